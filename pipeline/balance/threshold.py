"""From t to the size of the result and back, and from t to the share of the tail and back.

In independent mode a pair is kept exactly when its priority is below t, so the size of the result as a function of t is
the distribution of the priorities: a histogram of them, added up over batches, answers every "which t gives which
total", and a finer one about the answer makes it exact. In capped mode the pairs each query owns answer it alone.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipeline.balance.config import BalanceConfig
from pipeline.balance.matches import Counts

__all__ = [
    "PRIORITY_EDGES",
    "Edges",
    "capped_total",
    "needed_total",
    "priority_histogram",
    "resolve_t",
    "t_for_capped_total",
    "t_for_tail_share",
    "t_for_total",
    "t_in_words",
    "tail_share",
    "total_at",
]

Edges = npt.NDArray[np.float64]
# A bin is 1.1 % wide: 64 to a doubling, from 2^-10 to 2^40 pairs.
PRIORITY_EDGES: Edges = np.concatenate([[0.0], 2.0 ** np.linspace(-10, 40, 50 * 64 + 1)])
FINER = 1 << 16  # bins into which the one that holds the answer is cut


def t_in_words(t: float) -> str:
    """``20000`` -> ``20,000``; of a fraction six digits."""
    return f"{t:,.0f}" if t == int(t) else f"{t:,.6g}"


def tail_share(counts: Counts, t: float) -> float:
    """The share of all matches that belongs to queries with at most ``t`` of them (0 without matches)."""
    total = int(counts.sum())
    return float(counts[counts <= t].sum() / total) if total else 0.0


def t_for_tail_share(counts: Counts, share: float) -> int:
    """The smallest t at which the tail holds at least ``share`` of all matches. Raises ValueError where there is no
    match."""
    ordered = np.sort(counts[counts > 0])
    if not len(ordered):
        raise ValueError("no pair matches any query, so no t has a tail")
    reached = np.cumsum(ordered)
    place = int(np.searchsorted(reached, share * float(reached[-1])))
    return int(ordered[min(place, len(ordered) - 1)])


def priority_histogram(
    priorities: npt.NDArray[np.float64], edges: npt.NDArray[np.float64] = PRIORITY_EDGES
) -> npt.NDArray[np.int64]:
    """How many priorities lie below the first edge, in each bin, and at or above the last edge: ``len(edges) + 1``
    counts.

    Add the vectors of all batches. A sample of the pairs gives an estimate: scale the vector by pairs / sampled pairs.
    """
    return np.bincount(np.searchsorted(edges, priorities, side="right"), minlength=len(edges) + 1).astype(np.int64)


def total_at(
    histogram: npt.NDArray[np.int64] | npt.NDArray[np.float64],
    t: float,
    edges: npt.NDArray[np.float64] = PRIORITY_EDGES,
) -> float:
    """How many pairs ``t`` keeps: exact at an edge, between two edges in proportion."""
    reached = np.cumsum(histogram)[:-1]
    return float(np.interp(t, edges, reached))


def t_for_total(histogram_at: Callable[[Edges], Counts], wanted: int, edges: Edges = PRIORITY_EDGES) -> float:
    """The t that keeps exactly ``wanted`` pairs: so many priorities lie below it. Infinite where there are no more.

    ``histogram_at`` counts the priorities of all pairs between edges, as :func:`priority_histogram` does; it is called
    again with edges about the answer until a bin holds no more than one pair. Only where several pairs have the very
    same priority is the total that is nearest to ``wanted`` taken.
    """
    while True:
        histogram = histogram_at(edges)
        reached = np.cumsum(histogram)[:-1]
        if wanted >= int(histogram.sum()):
            return math.inf
        place = int(np.searchsorted(reached, wanted, "right")) - 1
        if reached[place] == wanted or place == len(edges) - 1:
            return float(edges[place])
        low, high = float(edges[place]), float(edges[place + 1])
        if np.nextafter(low, high) == high:
            nearer_above = reached[place + 1] - wanted < wanted - reached[place]
            return high if nearer_above else low
        edges = np.unique(np.linspace(low, high, FINER + 1))


def capped_total(owned: Counts, t: int) -> int:
    """How many pairs the capped mode keeps: each query the smaller of t and the pairs it owns."""
    return int(np.minimum(owned, t).sum())


def t_for_capped_total(owned: Counts, wanted: int) -> int:
    """The largest t, at least 1, at which the capped mode keeps at most ``wanted`` pairs; that of all pairs where there
    are no more."""
    low, high = 1, int(owned.max())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if capped_total(owned, middle) <= wanted else (low, middle - 1)
    return low


def needed_total(config: BalanceConfig) -> int:
    """The pairs to select so that ``wanted_total`` of them outlast the expected loss."""
    if config.wanted_total is None:
        raise ValueError("no total is wanted")
    return math.ceil(round(config.wanted_total / (1.0 - config.expected_loss), 6))


def resolve_t(
    config: BalanceConfig,
    counts: Counts,
    *,
    histogram_at: Callable[[Edges], Counts] | None = None,
    owned: Counts | None = None,
) -> float:
    """The t that the settings ask for; ``config.t`` where no pair matches, since then nothing can be kept at any t.

    It is whole but where independent mode is to reach a wanted total, for which it needs ``histogram_at`` (see
    :func:`t_for_total`); capped mode needs the ``owned`` counts. Where fewer pairs match than are wanted, it is a t
    that keeps them all.
    """
    if not counts.any():
        return config.t
    if config.tail_share is not None:
        return t_for_tail_share(counts, config.tail_share)
    if config.wanted_total is None:
        return config.t
    if config.mode == "capped":
        if owned is None:
            raise ValueError("a wanted total in capped mode needs the pairs that each query owns")
        return t_for_capped_total(owned, needed_total(config))
    if histogram_at is None:
        raise ValueError("a wanted total needs the priorities")
    return min(t_for_total(histogram_at, needed_total(config)), int(counts.max()))
