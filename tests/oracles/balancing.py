"""The balance modes said as plainly as they can be, one pair at a time: what the fast forms must equal in tests and
benchmarks.

In: (pair id, query ids) tuples and the limits. Out: the ids of the pairs that stay.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from pipeline.hashing import draw

__all__ = ["reference_capped", "reference_independent"]

Pairs = Sequence[tuple[int, Sequence[int]]]


def _draw(pair: int, query: int, seed: int) -> float:
    return float(draw(np.array([pair], np.uint64), query, seed)[0])


def _counts(pairs: Pairs) -> Counter[int]:
    return Counter(query for _, queries in pairs for query in queries)


def reference_independent(pairs: Pairs, t: int, seed: int) -> dict[int, list[int]]:
    """The pairs that any of their queries draws with probability t / count, with the queries that drew them."""
    counts = _counts(pairs)
    kept = {}
    for pair, queries in pairs:
        drawn_by = [query for query in queries if _draw(pair, query, seed) * counts[query] < t]
        if drawn_by:
            kept[pair] = drawn_by
    return kept


def reference_capped(pairs: Pairs, t: int, seed: int) -> dict[int, int]:
    """The t pairs with the smallest draws of each query, each pair belonging to its rarest query; and that query."""
    counts = _counts(pairs)
    owned: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for pair, queries in pairs:
        if queries:
            owner = min(queries, key=lambda query: (counts[query], query))
            owned[owner].append((_draw(pair, owner, seed), pair))
    return {pair: owner for owner, own in owned.items() for _, pair in sorted(own)[:t]}
