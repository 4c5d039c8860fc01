"""The published balance: each query of a pair draws on its own, and the pair stays if any of them draws it.

A query with ``c`` matches draws each of its pairs with probability ``min(1, t / c)`` (Xu et al., ICLR 2024, after the
cap of Radford et al. 2021). The draw is a hash of (pair, query, seed): ``draw < t / c``, here as ``draw * c < t``, so
that the same number also says from which t on the pair is drawn. It needs no record of other pairs, so it runs on any
batch in any order.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.balance.matches import Counts, Matches, flat_matches
from pipeline.hashing import draw

__all__ = ["Draws", "chances", "draws", "list_where", "priorities"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """What the balance decided on the rows of a batch."""

    drawn_by: pa.ListArray  # the queries that draw the row, ascending
    probability: Floats  # with which the row is kept at t
    priority: Floats  # the row is kept at every t above this number


def priorities(pair_ids: pa.Array, query_ids: pa.ListArray, counts: Counts, seed: int) -> Floats:
    """For each row the number that t must exceed for the row to be kept: the least of draw * count over its queries.

    Infinite for a row without queries.
    """
    matches = flat_matches(query_ids)
    return _least(_scaled(pair_ids, matches, counts, seed), matches, len(query_ids))


def draws(
    pair_ids: pa.Array, query_ids: pa.ListArray, counts: Counts, t: float, seed: int, limit: float | None = None
) -> Draws:
    """Draws each row at ``t``.

    ``drawn_by`` names the queries that draw the row at t or, for a row that t does not keep, at the higher ``limit``.
    ``probability`` is ``1 - prod(1 - min(1, t / c))`` over the row's queries. ``counts`` are over all rows, not this
    batch.
    """
    matches = flat_matches(query_ids)
    scaled = _scaled(pair_ids, matches, counts, seed)
    priority = _least(scaled, matches, len(query_ids))
    limits = np.where(priority < t, t, t if limit is None else limit)
    return Draws(
        drawn_by=list_where(matches, scaled < limits[matches.rows], len(query_ids)),
        probability=_kept(matches, len(query_ids), counts, t),
        priority=priority,
    )


def chances(query_ids: pa.ListArray, counts: Counts, t: float) -> Floats:
    """The probability with which each row is kept at ``t``; their sum is the number of rows that stay on average."""
    return _kept(flat_matches(query_ids), len(query_ids), counts, t)


def _kept(matches: Matches, rows: int, counts: Counts, t: float) -> Floats:
    missed = np.ones(rows)
    if len(matches.matched):
        each = 1.0 - np.minimum(1.0, t / np.maximum(counts[matches.queries], 1))
        missed[matches.matched] = np.multiply.reduceat(each, matches.starts)
    return 1.0 - missed


def _scaled(pair_ids: pa.Array, matches: Matches, counts: Counts, seed: int) -> Floats:
    """draw * count of every (row, query)."""
    pairs = np.asarray(pair_ids).astype(np.uint64)
    return draw(pairs[matches.rows], matches.queries, seed) * counts[matches.queries]


def _least(values: Floats, matches: Matches, rows: int) -> Floats:
    """The least value of each row."""
    least = np.full(rows, np.inf)
    if len(matches.matched):
        least[matches.matched] = np.minimum.reduceat(values, matches.starts)
    return least


def list_where(matches: Matches, kept: npt.NDArray[np.bool_], rows: int) -> pa.ListArray:
    """The lists of queries with only the entries where ``kept`` is true."""
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(np.bincount(matches.rows[kept], minlength=rows), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(matches.queries[kept].astype(np.uint32)))
