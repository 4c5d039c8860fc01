"""Lists of query ids as flat arrays, and the two counts that the balance rests on.

In: the query_ids column of MATCHED. Out: vectors with an entry a query, which are added up over batches: half a million
integers, whatever the number of pairs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Counts", "Matches", "count_matches", "count_rarest", "flat_matches", "rarest"]

Counts = npt.NDArray[np.int64]  # an entry a query, by query id


@dataclass(frozen=True)
class Matches:
    """Every (row, query) of a column of lists, end to end."""

    queries: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]  # of each entry of ``queries``
    matched: npt.NDArray[np.int64]  # the rows whose list is not empty
    starts: npt.NDArray[np.int64]  # where the lists of ``matched`` begin in ``queries``


def flat_matches(query_ids: pa.ListArray) -> Matches:
    """The lists of a column (null counts as empty) as flat arrays."""
    if query_ids.null_count:
        query_ids = query_ids.fill_null([])
    offsets = np.asarray(query_ids.offsets).astype(np.int64)
    lengths = np.diff(offsets)
    matched = np.flatnonzero(lengths)
    return Matches(
        queries=np.asarray(query_ids.flatten()).astype(np.int64),
        rows=np.repeat(np.arange(len(lengths)), lengths),
        matched=matched,
        starts=(offsets[:-1] - offsets[0])[matched],
    )


def count_matches(query_ids: pa.ListArray, n: int) -> Counts:
    """How many rows hold each of ``n`` queries. Raises ValueError for an id of ``n`` or above."""
    flat = np.asarray(query_ids.flatten())
    if len(flat) and int(flat.max()) >= n:
        raise ValueError(f"query id {int(flat.max())} in a list of {n} queries: matched with another query list")
    return np.bincount(flat, minlength=n).astype(np.int64)


def rarest(query_ids: pa.ListArray, counts: Counts) -> npt.NDArray[np.int64]:
    """The query of each row that has the fewest matches, the lowest id among equals; -1 for a row without queries."""
    matches = flat_matches(query_ids)
    return _rarest(matches, counts, len(query_ids))


def _rarest(matches: Matches, counts: Counts, rows: int) -> npt.NDArray[np.int64]:
    owners = np.full(rows, -1, np.int64)
    if len(matches.matched):
        fewest = np.full(rows, -1, np.int64)
        fewest[matches.matched] = np.minimum.reduceat(counts[matches.queries], matches.starts)
        candidates = np.where(counts[matches.queries] == fewest[matches.rows], matches.queries, np.iinfo(np.int64).max)
        owners[matches.matched] = np.minimum.reduceat(candidates, matches.starts)
    return owners


def count_rarest(query_ids: pa.ListArray, counts: Counts) -> Counts:
    """How many rows each query owns, when a row belongs to its rarest query."""
    owners = rarest(query_ids, counts)
    return np.bincount(owners[owners >= 0], minlength=len(counts)).astype(np.int64)
