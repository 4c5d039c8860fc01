"""A number that is expected, and how far it can be trusted.

In: an estimate from a sample, and the estimates from the sample without one of its groups at a time. Out:
:class:`Figure`. The interval is that of the jackknife (Quenouille, Tukey), less the share that was looked at.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Figure", "figure_of"]

T_95 = 2.262  # of Student's distribution with nine degrees of freedom


@dataclass(frozen=True)
class Figure:
    """What is expected, and between which numbers it lies in 95 of 100 cases."""

    value: float
    low: float
    high: float

    def times(self, share: float) -> "Figure":
        """The same of a share of it."""
        return Figure(self.value * share, self.low * share, self.high * share)

    def plus(self, more: float) -> "Figure":
        """The same with so much added."""
        return Figure(self.value + more, self.low + more, self.high + more)

    def widened(self, by: float) -> "Figure":
        """The same with an interval that chance of another kind makes wider, which alone would be so wide to either
        side."""
        low, high = (math.hypot(bound - self.value, by) for bound in (self.low, self.high))
        return Figure(self.value, max(0.0, self.value - low), self.value + high)


def figure_of(value: float, parts: Sequence[float], share: float, least: float = 0.0) -> Figure:
    """A figure from ten ``parts`` (none: it is exact), of a sample that is such a ``share`` of all; its interval is at
    least so wide to either side."""
    spread = 0.0
    if parts:
        mean = sum(parts) / len(parts)
        variance = (len(parts) - 1) / len(parts) * sum((part - mean) ** 2 for part in parts)
        spread = max(least, T_95 * math.sqrt(variance * max(0.0, 1 - share)))
    return Figure(float(value), max(0.0, float(value) - spread), float(value) + spread)
