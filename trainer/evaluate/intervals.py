"""What a count of right answers says of the share behind it: intervals and a test, exact or by formula.

In: right answers of a total. Out: Wilson's interval, Clopper and Pearson's, and the chance of so many or more.
"""

import math

import numpy as np

__all__ = ["at_least", "clopper_pearson", "wilson"]

Z = 1.959964  # standard deviations of an interval of 95 %
HALVINGS = 60  # of the interval that holds an end: more than a float's digits


def wilson(right: int, total: int) -> tuple[float, float]:
    """Wilson's interval of 95 % for a share."""
    share, spread = right / total, Z * Z / total
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def at_least(right: int, total: int, share: float) -> float:
    """The chance of ``right`` or more right answers of ``total``, each with the chance ``share``: the one-sided
    binomial test."""
    if right <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    counts = np.arange(right, total + 1)
    ways = factorials[total] - factorials[counts] - factorials[total - counts]
    terms = ways + counts * math.log(share) + (total - counts) * math.log1p(-share)
    top = terms.max()
    return float(min(1.0, math.exp(top) * np.exp(terms - top).sum()))


def clopper_pearson(right: int, total: int, level: float = 0.995) -> tuple[float, float]:
    """The exact interval for a share: the shares that neither so many answers nor so few would be a surprise of, at
    half of 1 - ``level`` on each side."""
    rare = (1 - level) / 2

    def lowest(right: int) -> float:
        low, high = 0.0, 1.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if at_least(right, total, middle) < rare else (low, middle)
        return low

    return (lowest(right) if right else 0.0), (1 - lowest(total - right) if right < total else 1.0)
