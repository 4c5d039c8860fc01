"""Topping up: which pairs of the reserve make up for those that fetching and the image rules lost.

In: how many pairs each query drew and how many of them are left, and reserve rows. Out: for each query that is short, the draw up
to which its reserve is taken: in the order of its draws, which is the same as raising t for that query alone.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.balance.matches import Counts, flat_matches
from pipeline.hashing import draw

__all__ = ["SHORT_DRAWS", "AtMost", "last_draws", "missing", "short_draws", "taken", "wanted"]

Floats = npt.NDArray[np.float64]
LEAST_SURVIVAL = 0.05  # a query that lost more asks for twenty times what it lacks, not for more

SHORT_DRAWS = pa.schema(
    [
        pa.field("query_id", pa.uint32(), nullable=False),
        pa.field("draw", pa.float64(), nullable=False),
    ]
)


def missing(matched: Counts, held: Counts, t: int) -> Counts:
    """How many pairs of its own draw each query lacks of t, or of all its matches if they are fewer."""
    return np.maximum(np.minimum(matched, t) - held, 0)


def wanted(matched: Counts, drawn: Counts, held: Counts, t: int) -> Counts:
    """How many reserve pairs each query asks for, so that what it lacks is likely to remain of them.

    Of the pairs a query drew, the share held / drawn survived; with the same luck, ``lacking / share`` are needed on average,
    and one standard deviation more is asked for.
    """
    lacking = missing(matched, held, t)
    share = np.clip(held / np.maximum(drawn, 1), LEAST_SURVIVAL, 1.0)
    asked = np.ceil((lacking + np.sqrt(lacking * (1 - share))) / share)
    counts: Counts = asked.astype(np.int64)
    return counts


def _own_draws(batch: pa.RecordBatch, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """(rows, queries, draws) of every (row, query that draws it)."""
    found = flat_matches(batch.column("drawn_by"))
    pairs = batch.column("pair_id").to_numpy().astype(np.uint64)
    return found.rows, found.queries, draw(pairs[found.rows], found.queries, seed)


def taken(batch: pa.RecordBatch, last: Floats, seed: int) -> npt.NDArray[np.bool_]:
    """Whether each reserve row is taken when each query takes its draws up to ``last`` (an entry a query, -1 for none)."""
    rows, queries, draws = _own_draws(batch, seed)
    result = np.zeros(batch.num_rows, dtype=bool)
    result[rows[draws <= last[queries]]] = True
    return result


def short_draws(batch: pa.RecordBatch, asked: Counts, last: Floats, seed: int) -> pa.RecordBatch:
    """The draws of the reserve rows that are not taken yet, for the queries that ask for some: SHORT_DRAWS."""
    rows, queries, draws = _own_draws(batch, seed)
    free = (asked[queries] > 0) & ~taken(batch, last, seed)[rows]
    columns = [pa.array(queries[free].astype(np.uint32)), pa.array(draws[free])]
    return pa.RecordBatch.from_arrays(columns, schema=SHORT_DRAWS)


def last_draws(table: pa.Table, asked: Counts) -> pa.Table:
    """The draw up to which each query takes: SHORT_DRAWS, a row a query. ``table`` is sorted by query and draw, queries whole."""
    queries, draws = table.column("query_id").to_numpy(), table.column("draw").to_numpy()
    found, starts, sizes = np.unique(queries, return_index=True, return_counts=True)
    rows = starts + np.minimum(asked[found], sizes) - 1
    return pa.table([pa.array(found), pa.array(draws[rows])], SHORT_DRAWS)


class AtMost:
    """Keeps at most t pairs of each query of the capped mode, those with the smallest draws: what was topped up beyond t goes.

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
