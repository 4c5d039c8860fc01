"""What queries lack of t in the end, and what became of the pairs they drew: the reject ledger, by query.

In: the pairs that were drawn with the queries that drew them, and the ledger's reasons. Out: a table of losses by query
and cause, then a row for each query with its counts.
"""

from collections import Counter, defaultdict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.balance.matches import Counts, flat_matches
from pipeline.balance.refill import missing
from pipeline.hashing import from_hex
from pipeline.reasons import CAUSES, cause_of

__all__ = [
    "LOSSES",
    "REJECTED_PAIRS",
    "losses",
    "rejected_pairs",
    "shortfall_table",
    "sum_losses",
]

REJECTED_PAIRS = pa.schema(
    [pa.field("pair_id", pa.uint64(), nullable=False), pa.field("cause", pa.string(), nullable=False)]
)
LOSSES = pa.schema(
    [
        pa.field("query_id", pa.uint32(), nullable=False),
        pa.field("cause", pa.string(), nullable=False),
        pa.field("pairs", pa.int64(), nullable=False),
    ]
)
SHORTFALL = pa.schema(
    [
        pa.field("query_id", pa.uint32(), nullable=False),
        pa.field("query", pa.string(), nullable=False),
        pa.field("matched", pa.int64(), nullable=False),
        pa.field("drawable", pa.int64(), nullable=False),  # its matches; in capped mode those it owns
        pa.field("target", pa.int64(), nullable=False),  # of its own draw it is to hold: t, or all it may draw
        pa.field("drawn", pa.int64(), nullable=False),  # by the query's own draw, as far as topping up went
        pa.field("held_before", pa.int64(), nullable=False),  # left of its own draw before topping up
        pa.field("held", pa.int64(), nullable=False),  # left of them in the end
        pa.field("missing", pa.int64(), nullable=False),  # of its target
        pa.field("reserve_left", pa.int64(), nullable=False),  # reserve pairs of its own draw that nobody took
        pa.field("lost", pa.list_(pa.struct([pa.field("cause", pa.string()), pa.field("pairs", pa.int64())]))),
    ]
)


def rejected_pairs(ledger: pa.RecordBatch) -> pa.RecordBatch:
    """Ledger rows (key, reason and stage) of pairs as REJECTED_PAIRS."""
    pairs = pa.array(from_hex(ledger.column("key")))
    told = zip(ledger.column("reason").to_pylist(), ledger.column("stage").to_pylist(), strict=True)
    causes = pa.array([cause_of(reason, step) for reason, step in told], pa.string())
    return pa.RecordBatch.from_arrays([pairs, causes], schema=REJECTED_PAIRS)


def losses(pairs: pa.Table, rejected: pa.Table) -> pa.RecordBatch:
    """LOSSES of the queries that drew rejected pairs. ``pairs`` has pair_id and drawn_by, each pair once."""
    place = pc.index_in(rejected.column("pair_id"), value_set=pairs.column("pair_id").combine_chunks())
    found = flat_matches(pairs.column("drawn_by").take(place).combine_chunks())
    rows = pa.table(
        {"query_id": pa.array(found.queries.astype(np.uint32)), "cause": rejected.column("cause").take(found.rows)}
    )
    counted = rows.group_by(["query_id", "cause"], use_threads=False).aggregate([([], "count_all")])
    return (
        pa.table(counted.select(["query_id", "cause", "count_all"]).columns, schema=LOSSES)
        .combine_chunks()
        .to_batches()[0]
        if counted.num_rows
        else pa.RecordBatch.from_pylist([], schema=LOSSES)
    )


def sum_losses(table: pa.Table) -> pa.Table:
    """LOSSES of several places added up, in order of query and cause."""
    counted = table.group_by(["query_id", "cause"], use_threads=False).aggregate([("pairs", "sum")])
    columns = counted.select(["query_id", "cause", "pairs_sum"]).columns
    return pa.table(columns, schema=LOSSES).sort_by([("query_id", "ascending"), ("cause", "ascending")])


def shortfall_table(
    names: pa.Array,
    matched: Counts,
    drawable: Counts,
    target: Counts,
    drawn: Counts,
    held_before: Counts,
    held: Counts,
    reserve_left: npt.NDArray[np.int64],
    lost: pa.Table,
) -> pa.Table:
    """The SHORTFALL table of the queries with matches, in order of id. The vectors have an entry a query."""
    of_query: dict[int, Counter[str]] = defaultdict(Counter)
    for row in lost.to_pylist():
        of_query[row["query_id"]][row["cause"]] += row["pairs"]
    ids = np.flatnonzero(matched)
    causes = [
        [{"cause": cause, "pairs": of_query[query][cause]} for cause in CAUSES if of_query[query][cause]]
        if query in of_query
        else []
        for query in ids.tolist()
    ]
    vectors = [matched, drawable, target, drawn, held_before, held, missing(target, held), reserve_left]
    columns = [pa.array(ids.astype(np.uint32)), names.take(pa.array(ids)).cast(pa.string())]
    columns += [pa.array(vector[ids].astype(np.int64)) for vector in vectors]
    return pa.table([*columns, pa.array(causes, SHORTFALL.field("lost").type)], SHORTFALL)
