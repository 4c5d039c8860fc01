"""What the balance did to each query, as the counts table and as the lists and curves of the report.

Two numbers answer "how many pairs does this query have", and they differ: ``drawn`` is what the query's own draw kept
(capped near t), ``selected`` is every selected pair that holds the query (for a common word far above t, brought along
by other queries).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.balance.matches import Counts
from pipeline.tables.schema import COUNTS

__all__ = ["counts_table", "cumulative_curve", "head", "summary", "zero_matches"]


def counts_table(queries: pa.Array, matched: Counts, drawn: Counts, selected: Counts) -> pa.RecordBatch:
    """The COUNTS table, in order of query id. ``queries`` are the names by id."""
    columns = [pa.array(np.arange(len(queries), dtype=np.uint32)), queries.cast(pa.string())]
    columns += [pa.array(vector) for vector in (matched, drawn, selected)]
    return pa.RecordBatch.from_arrays(columns, schema=COUNTS)


@dataclass(frozen=True)
class Head:
    """A query and its counts, for a list in the report."""

    query: str
    matched: int
    drawn: int
    selected: int


def head(counts: pa.RecordBatch, length: int = 50) -> list[Head]:
    """The queries with the most matches in a COUNTS table, most first, by name among equals."""
    table = pa.Table.from_batches([counts]).sort_by([("matched", "descending"), ("query", "ascending")])
    return [
        Head(row["query"], row["matched"], row["drawn"], row["selected"]) for row in table.slice(0, length).to_pylist()
    ]


def zero_matches(counts: pa.RecordBatch) -> pa.Array:
    """The names of the queries that no pair holds, in order of id."""
    return counts.column("query").filter(pa.array(np.asarray(counts.column("matched")) == 0))


def cumulative_curve(matched: Counts, points: int = 200) -> npt.NDArray[np.int64]:
    """The cumulative count of matches from the rarest query to the most common: rows of (queries so far, matches so
    far).

    The curve by which the published re-creation chose its t: the tail is where it is still flat.
    """
    reached = np.concatenate([[0], np.cumsum(np.sort(matched))])
    # Even steps would miss the head, where nearly all matches are: space the points by distance from the end.
    steps = np.unique(np.concatenate([[0], np.geomspace(1, len(matched) + 1, points) - 1]).round().astype(np.int64))
    queries = np.unique(len(matched) - steps.clip(0, len(matched)))
    return np.stack([queries, reached[queries]], axis=1)


def summary(counts: pa.RecordBatch, t: float) -> dict[str, float]:
    """The figures of a balance in one line each: queries with no match, in the tail, in the head; matches and their
    tail share."""
    matched, drawn, selected = (np.asarray(counts.column(name)) for name in ("matched", "drawn", "selected"))
    in_head = matched > t
    total = int(matched.sum())
    return {
        "queries": counts.num_rows,
        "queries_without_match": int((matched == 0).sum()),
        "queries_in_tail": int(((matched > 0) & ~in_head).sum()),
        "queries_in_head": int(in_head.sum()),
        "matches": total,
        "tail_share": float(matched[~in_head].sum() / total) if total else 0.0,
        "head_drawn_mean": float(drawn[in_head].mean()) if in_head.any() else 0.0,
        "head_selected_mean": float(selected[in_head].mean()) if in_head.any() else 0.0,
        "selected_most": int(selected.max()) if len(selected) else 0,
    }
