"""The exact cap: each pair belongs to its rarest query, and a query keeps at most t of its own pairs.

Of its pairs a query keeps those with the t smallest (draw, pair id). Finding the t-th smallest needs no sort of them
all: among g uniform draws it lies within a few standard deviations of t / g, so a pass over the batches counts the
draws below that window, gathers the few inside, and the t-th smallest is then a small selection. Three passes, all
streaming:

1. ``count_matches``, then ``count_rarest`` (matches.py): the pairs each query owns;
2. ``candidates`` on each batch with the ``windows``; add up ``below`` and gather the rows (by query, if they are many);
   ``cutoffs`` then gives each query's last kept draw;
3. ``within`` on each batch.

Pair ids must be distinct (deduplicated by url and caption).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.balance.matches import Counts
from pipeline.hashing import draw

__all__ = ["CANDIDATE_DRAWS", "Cutoffs", "Windows", "candidates", "cutoffs", "windows", "within"]

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

CANDIDATE_DRAWS = pa.schema(
    [
        pa.field("query_id", pa.uint32(), nullable=False),
        pa.field("draw", pa.float64(), nullable=False),
        pa.field("pair_id", pa.uint64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Windows:
    """Where the t-th smallest draw of each query is expected; an entry a query."""

    low: Floats
    high: Floats  # below ``low`` where a query owns at most t pairs: nothing to find


@dataclass(frozen=True)
class Cutoffs:
    """The last (draw, pair id) that each query keeps; an entry a query."""

    draw: Floats  # infinite where a query keeps all it owns
    pair: npt.NDArray[np.uint64]


def windows(owned: Counts, t: int, slack: float = 6.0) -> Windows:
    """An interval around t / owned for each query that owns more than ``t`` pairs.

    The number of draws below x has mean g x and a standard deviation below sqrt(g x), so ``slack`` counts standard
    deviations: at 6 a query in half a billion is missed. An infinite slack never misses.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = t / owned
        margin = slack * np.sqrt(t) / owned + slack / owned
        low, high = np.maximum(middle - margin, 0.0), np.minimum(middle + margin, 1.0)
    few = owned <= t
    return Windows(np.where(few, 0.0, low), np.where(few, -1.0, high))


def candidates(
    pair_ids: pa.Array, owners: Ids, windows: Windows, seed: int, *, only: npt.NDArray[np.bool_] | None = None
) -> tuple[Counts, pa.RecordBatch]:
    """A batch's part in the search: for each query the draws below its window, and the rows inside it
    (CANDIDATE_DRAWS).

    ``owners`` is each row's rarest query. ``only`` restricts the search to some queries (a mask by id).
    """
    searched = windows.high >= 0 if only is None else (windows.high >= 0) & only
    rows = np.flatnonzero((owners >= 0) & searched[owners])
    queries, pairs = owners[rows], np.asarray(pair_ids).astype(np.uint64)[rows]
    drawn = draw(pairs, queries, seed)
    below = drawn < windows.low[queries]
    inside = ~below & (drawn <= windows.high[queries])
    columns = [queries[inside].astype(np.uint32), drawn[inside], pairs[inside]]
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=CANDIDATE_DRAWS)
    return np.bincount(queries[below], minlength=len(windows.low)).astype(np.int64), batch


def cutoffs(found: Sequence[pa.RecordBatch], below: Counts, owned: Counts, t: int) -> tuple[Cutoffs, Ids]:
    """Each query's cutoff from all candidates, and the queries whose window missed it.

    For the missed ones (almost always none) run ``candidates`` again with ``windows(owned, t, inf)`` and a mask of
    them. ``found`` may hold some queries' candidates only (one bucket of many); the rest then count as missed.
    """
    last_draw = np.where(owned > t, -1.0, np.inf)
    last_pair = np.zeros(len(owned), np.uint64)
    if found:
        table = pa.Table.from_batches(found)
        order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in ("query_id", "draw", "pair_id")])
        table = table.take(order)
        queries = np.asarray(table.column("query_id")).astype(np.int64)
        groups, starts, sizes = np.unique(queries, return_index=True, return_counts=True)
        rank = t - below[groups] - 1
        good = (rank >= 0) & (rank < sizes)
        rows, groups = starts[good] + rank[good], groups[good]
        last_draw[groups] = np.asarray(table.column("draw"))[rows]
        last_pair[groups] = np.asarray(table.column("pair_id"))[rows]
    return Cutoffs(last_draw, last_pair), np.flatnonzero(last_draw < 0)


def within(pair_ids: pa.Array, owners: Ids, limit: Cutoffs, seed: int) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Whether each row is among those that its query keeps, and the row's draw (infinite for a row without queries)."""
    pairs = np.asarray(pair_ids).astype(np.uint64)
    drawn = np.where(owners >= 0, draw(pairs, np.maximum(owners, 0), seed), np.inf)
    last = limit.draw[owners]
    kept = (drawn < last) | ((drawn == last) & (pairs <= limit.pair[owners]))
    return kept & (owners >= 0), drawn
