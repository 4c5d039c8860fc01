"""Topping up: which pairs of the reserve make up for those that fetching and the image rules lost.

In: how many pairs of its own draw each query has left, reserve rows, and the rows that came through. Out: for each
query that is short, the draw up to which it takes: in the order of its draws, which is the same as raising t for that
query alone. Pairs on the way that other queries have brought in already count for it, and need not be fetched.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.balance.independent import list_where
from pipeline.balance.matches import Counts, Matches, flat_matches
from pipeline.balance.select import Plan
from pipeline.hashing import draw

__all__ = [
    "SHORT_DRAWS",
    "AtMost",
    "last_draws",
    "missing",
    "present_draws",
    "short_draws",
    "survival",
    "taken",
    "within",
]

Floats = npt.NDArray[np.float64]
LEAST_SURVIVAL = 0.05  # a query that lost more asks for twenty times what it lacks, not for more

SHORT_DRAWS = pa.schema(
    [
        pa.field("query_id", pa.uint32(), nullable=False),
        pa.field("draw", pa.float64(), nullable=False),
        pa.field("present", pa.bool_(), nullable=False),  # whether the pair is there already
    ]
)


def missing(target: Counts, held: Counts) -> Counts:
    """How many pairs of its own draw each query lacks of those that it is to hold."""
    lacking: Counts = np.maximum(target - held, 0)
    return lacking


def survival(drawn: Counts, held: Counts) -> Floats:
    """The share of the pairs that each query drew that came through, between LEAST_SURVIVAL and 1."""
    share: Floats = np.clip(held / np.maximum(drawn, 1), LEAST_SURVIVAL, 1.0)
    return share


def within(batch: pa.RecordBatch, plan: Plan, last: Floats) -> pa.ListArray:
    """For each row the queries within whose reach it is: drawn at t, or at a draw of at most ``last`` where a query
    takes more.

    Needs the columns pair_id, query_ids and drawn_by. In the capped mode, where a pair belongs to one query, it is that
    one.
    """
    if plan.mode != "independent":
        return batch.column("drawn_by")
    matches, draws = _draws(batch, "query_ids", plan.seed)
    inside = (draws * plan.counts[matches.queries] < plan.t) | (draws <= last[matches.queries])
    return list_where(matches, inside, batch.num_rows)


def _draws(batch: pa.RecordBatch, column: str, seed: int) -> tuple[Matches, Floats]:
    """Every (row, query) of a column of queries, and its draw."""
    found = flat_matches(batch.column(column))
    pairs = batch.column("pair_id").to_numpy().astype(np.uint64)
    return found, draw(pairs[found.rows], found.queries, seed)


def taken(batch: pa.RecordBatch, last: Floats, seed: int) -> npt.NDArray[np.bool_]:
    """Whether each reserve row is taken when each query takes its draws up to ``last`` (an entry a query, -1 for
    none)."""
    own, draws = _draws(batch, "drawn_by", seed)
    result = np.zeros(batch.num_rows, dtype=bool)
    result[own.rows[draws <= last[own.queries]]] = True
    return result


def short_draws(batch: pa.RecordBatch, short: npt.NDArray[np.bool_], last: Floats, seed: int) -> pa.RecordBatch:
    """The draws of the reserve rows that are not taken yet, for the queries that are short: SHORT_DRAWS."""
    own, draws = _draws(batch, "drawn_by", seed)
    return _rows_of(own.queries, draws, short[own.queries] & ~taken(batch, last, seed)[own.rows], present=False)


def present_draws(batch: pa.RecordBatch, plan: Plan, short: npt.NDArray[np.bool_], last: Floats) -> pa.RecordBatch:
    """The draws by which rows that are there already lie beyond the reach of queries that are short, but not beyond the
    reserve."""
    matches, draws = _draws(batch, "query_ids", plan.seed)
    scaled = draws * plan.counts[matches.queries]
    beyond = (scaled >= plan.t) & (scaled < plan.limit) & (draws > last[matches.queries])
    return _rows_of(matches.queries, draws, short[matches.queries] & beyond, present=True)


def _rows_of(
    queries: npt.NDArray[np.int64], draws: Floats, chosen: npt.NDArray[np.bool_], present: bool
) -> pa.RecordBatch:
    found = int(chosen.sum())
    columns = [pa.array(queries[chosen].astype(np.uint32)), pa.array(draws[chosen]), pa.repeat(present, found)]
    return pa.RecordBatch.from_arrays(columns, schema=SHORT_DRAWS)


def last_draws(table: pa.Table, lacking: Counts, share: Floats) -> pa.Table:
    """The draw up to which each query takes, so that what it lacks is likely to be there: SHORT_DRAWS, a row a query.

    A pair that is there counts in full, one that has to be fetched with the ``share`` of the query's pairs that
    survived; one standard deviation more than what is lacking is asked for. ``table`` is sorted by query and draw,
    queries whole.
    """
    queries, present = table.column("query_id").to_numpy(), table.column("present").to_numpy()
    worth = np.cumsum(np.where(present, 1.0, share[queries]))
    found, starts, sizes = np.unique(queries, return_index=True, return_counts=True)
    before = np.where(starts > 0, worth[starts - 1], 0.0)
    wanted = lacking[found] + np.sqrt(lacking[found] * (1 - share[found]))
    # Rounding must not ask for one more.
    rows = np.searchsorted(worth, before + wanted * (1 - 1e-9), "left")
    return table.take(pa.array(np.minimum(rows, starts + sizes - 1)))


class AtMost:
    """Keeps at most t pairs of each query of the capped mode, those with the smallest draws: what was topped up beyond
    t goes.

    Rows of one query (``drawn_by``) are to lie together.
    """

    name = "at_most"

    def __init__(self, t: int) -> None:
        self._t = t

    def __call__(self, batch: pa.Table | pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        owners = batch.column("drawn_by").combine_chunks().flatten().to_numpy()
        pairs, priority = batch.column("pair_id").to_numpy(), batch.column("priority").to_numpy()
        order = np.lexsort((pairs, priority, owners))
        ranked = owners[order]
        starts = np.searchsorted(ranked, ranked, "left")
        over = np.zeros(len(owners), dtype=bool)
        over[order] = np.arange(len(owners)) - starts >= self._t
        return pc.if_else(pa.array(over), "over_t", pa.scalar(None, pa.string())), {}
