"""Which numbers a field of settings may hold: a mark in its declaration, checked wherever settings are made.

A :class:`Range` stands beside the other marks (webimagetext/deciding.py), holds for a number, for each of several and
for the values of a dictionary, and is shown by ``--help``::

    beta2: Annotated[float, AHEAD, Range(0, below=1)] = 0.98

In: settings, or a value on its way into them. Out: nothing, or a UserError of one line with the range. Infinities and
what is no number at all (NaN) are in no range, nor is a whole number that 64 bits do not hold. Imports nothing heavy.
"""

import dataclasses
import math
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from webimagetext.errors import UserError

__all__ = ["Limits", "Range", "Ranged", "kinds_of", "limits_of"]

_KNOWN: dict[type, dict[str, "Limits"]] = {}
_WHOLE = 2**63  # beyond which no table holds a whole number


@dataclass(frozen=True)
class Range:
    """From ``least`` to ``most``, both included, or ``above`` and ``below`` what is given; ``also``: one number
    outside, such as the 0 that turns something off."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    also: float | None = None

    def __contains__(self, value: float) -> bool:
        if not math.isfinite(value) if isinstance(value, float) else not -_WHOLE <= value < _WHOLE:
            return False
        if self.also is not None and value == self.also:
            return True
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    @property
    def words(self) -> str:
        """The range as ``--help`` shows it; "" for any number."""
        also = "" if self.also is None else f"{self.also} or "
        return also + self._inner if self._inner else ""

    @property
    def _inner(self) -> str:
        match self.least, self.above, self.most, self.below:
            case None, None, None, None:
                return ""
            case None, above, None, None:
                return f"above {above}"
            case least, None, None, None:
                return f"from {least} up"
            case None, above, most, None:
                return f"above {above} and at most {most}"
            case least, None, None, below:
                return f"from {least} up to but not including {below}"
            case least, None, most, None:
                return f"from {least} to {most}"
        raise ValueError(f"no words for {self!r}")


@dataclass(frozen=True)
class Limits:
    """The range of a field, and whether its numbers are whole ones."""

    range: Range
    whole: bool

    def refuse(self, value: Any, told: str) -> None:
        """Raises UserError unless each number in ``value`` is in the range; ``told`` says where it was given."""
        for number in _numbers(value):
            if number not in self.range:
                also = "" if self.range.also is None else f"{self.range.also} or "
                kind = "a whole number" if self.whole else "a number"
                within = self.range._inner or ("that 64 bits hold" if self.whole else "that is finite")
                if self.whole and self.range._inner and not -_WHOLE <= number < _WHOLE:
                    within += ", below 2^63"
                raise UserError(f"{told}: give {also}{kind} {within}")


def _numbers(value: Any) -> Iterator[int | float]:
    """The numbers in a field's value: itself, several, or those of a dictionary."""
    if isinstance(value, dict):
        value = tuple(value.values())
    for item in value if isinstance(value, (tuple, list)) else (value,):
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            yield item


def limits_of(cls: type[Any]) -> dict[str, Limits]:
    """The limits of each field of a dataclass that has a range."""
    if cls in _KNOWN:
        return _KNOWN[cls]
    hints = typing.get_type_hints(cls, include_extras=True)
    found = _KNOWN[cls] = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        for mark in getattr(hint, "__metadata__", ()):
            if isinstance(mark, Range):
                found[field.name] = Limits(mark, float not in kinds_of(hint))
    return found


def kinds_of(hint: Any) -> set[Any]:
    """Every plain type that an annotation is made of."""
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Annotated:
        inner = inner[:1]
    return set().union(*map(kinds_of, inner)) if inner else {hint}


class Ranged:
    """The base of settings: a dataclass whose numbers are checked whenever one is made."""

    def __post_init__(self) -> None:
        for name, limits in limits_of(type(self)).items():
            value = getattr(self, name)
            limits.refuse(value, f"{type(self).__name__}: {name} = {value}")
