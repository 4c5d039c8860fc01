"""From t to the size of the result and back, and from t to the share of the tail and back.

In independent mode a pair is kept exactly when its priority is below t, so the size of the result as a function of t is
the distribution of the priorities: a histogram of them, added up over batches, answers every "which t gives which
total". In capped mode the pairs each query owns answer it alone.
"""

import numpy as np
import numpy.typing as npt

from pipeline.balance.config import BalanceConfig
from pipeline.balance.matches import Counts
from webimagetext.errors import UserError

__all__ = [
    "PRIORITY_EDGES",
    "capped_total",
    "needed_total",
    "priority_histogram",
    "resolve_t",
    "t_for_capped_total",
    "t_for_tail_share",
    "t_for_total",
    "tail_share",
    "total_at",
]

# A bin is 1.1 % wide: 64 to a doubling, from 2^-10 to 2^40 pairs.
PRIORITY_EDGES: npt.NDArray[np.float64] = 2.0 ** np.linspace(-10, 40, 50 * 64 + 1)


def tail_share(counts: Counts, t: int) -> float:
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


def t_for_total(
    histogram: npt.NDArray[np.int64] | npt.NDArray[np.float64],
    wanted: float,
    edges: npt.NDArray[np.float64] = PRIORITY_EDGES,
) -> int:
    """The largest t, at least 1, that keeps at most ``wanted`` pairs.

    Exact when the edges about the answer are whole numbers: a second histogram with ``np.arange`` edges about a first
    answer makes it so. Raises UserError when even every pair is fewer than wanted: no t is needed then.
    """
    pairs = float(histogram.sum())
    if wanted >= pairs:
        raise UserError(
            f"balance.wanted_total asks for {wanted:,.0f} pairs but {pairs:,.0f} match",
            "use mode = 'none' to keep them all",
        )
    low, high = 1, int(edges[-1])
    while low < high:
        middle = (low + high + 1) // 2
        if total_at(histogram, middle, edges) <= wanted:
            low = middle
        else:
            high = middle - 1
    return low


def capped_total(owned: Counts, t: int) -> int:
    """How many pairs the capped mode keeps: each query the smaller of t and the pairs it owns."""
    return int(np.minimum(owned, t).sum())


def t_for_capped_total(owned: Counts, wanted: float) -> int:
    """The largest t, at least 1, at which the capped mode keeps at most ``wanted`` pairs. Errors as in t_for_total."""
    pairs = int(owned.sum())
    if wanted >= pairs:
        raise UserError(
            f"balance.wanted_total asks for {wanted:,.0f} pairs but {pairs:,} match",
            "use mode = 'none' to keep them all",
        )
    low, high = 1, int(owned.max())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if capped_total(owned, middle) <= wanted else (low, middle - 1)
    return low


def needed_total(config: BalanceConfig) -> float:
    """The pairs to select so that ``wanted_total`` of them outlast the expected loss."""
    assert config.wanted_total is not None
    return config.wanted_total / (1.0 - config.expected_loss)


def resolve_t(
    config: BalanceConfig,
    counts: Counts,
    *,
    histogram: npt.NDArray[np.int64] | None = None,
    owned: Counts | None = None,
) -> int:
    """The t that the settings ask for; ``config.t`` where no pair matches, since then nothing can be kept at any t.

    With ``wanted_total``, independent and none modes need the ``histogram`` of priorities, capped mode the ``owned``
    counts.
    """
    if not counts.any():
        return config.t
    if config.tail_share is not None:
        return t_for_tail_share(counts, config.tail_share)
    if config.wanted_total is None:
        return config.t
    if config.mode == "capped":
        assert owned is not None
        return t_for_capped_total(owned, needed_total(config))
    assert histogram is not None
    return t_for_total(histogram, needed_total(config))
