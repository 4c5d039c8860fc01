"""What each rule says of one pair, with the numbers that it goes by, and the setting that would keep what it drops.

In: a row of candidates or of joined pairs, and the settings that the step stored. Out: a :class:`Verdict` for each
rule, in order. The rules are those of the step itself, each asked for by itself, so that a pair that the first rule
drops is known to pass or to fail the others too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.reasons import setting_of
from pipeline.tables.ledger import Rule

__all__ = ["Change", "Verdict", "ask_rules", "change_for"]

# The number that a reason goes by, and the side on which the limit of its setting must move.
_LEAST, _MOST = "least", "most"
_NUMBERS = {
    "too_few_words": ("words", _LEAST),
    "too_few_characters": ("characters", _LEAST),
    "too_many_words": ("words", _MOST),
    "too_many_characters": ("characters", _MOST),
    "few_letters": ("letter_share", _LEAST),
    "overlong_word": ("longest_word", _MOST),
    "repeated_words": ("distinct_share", _LEAST),
    "other_language": ("p_language", _LEAST),
    "small_image": ("smaller_side", _LEAST),
    "bad_aspect_ratio": ("aspect_ratio", _MOST),
    "blank_image": ("spread", _LEAST),
}
# Settings that turn off the rule that gave a reason, where no number is beyond a limit.
_OFF: dict[str, Any] = {
    "text.file_names": False,
    "text.boilerplate": False,
    "text.markup": False,
    "text.max_repeats": 0,
    "package.rules.allow_animated": True,
}
# What a column that a rule adds is called here.
_ADDED = {"p_english": "p_language", "p_context": "p_context", "marks": "marks"}
DIGITS = 4  # of a share that is proposed


@dataclass(frozen=True)
class Change:
    """A setting and its value; ``would_keep`` is the nearest one that lets the pair pass, None where none is known."""

    setting: str
    value: Any = None
    would_keep: Any = None


@dataclass(frozen=True)
class Verdict:
    """A rule's answer: ``reason`` is "" where the pair passes."""

    rule: str
    reason: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    change: Change | None = None


def ask_rules(rules: Sequence[Rule], row: pa.RecordBatch, settings: dict[str, Any], step: str) -> list[Verdict]:
    """The verdict of each rule on a batch of one row. ``settings`` are those of the run as nested dictionaries."""
    found = []
    for rule in rules:
        reasons, added = rule(row)
        reason = reasons[0].as_py() or ""
        numbers = {name: _plain(values[0]) for name, values in _measured(rule, row).items()}
        numbers |= {_ADDED[name]: column[0].as_py() for name, column in added.items() if name in _ADDED}
        change = change_for(reason, settings, numbers, step) if reason else None
        found.append(Verdict(rule.name, reason, numbers, change))
    return found


def _measured(rule: Rule, row: pa.RecordBatch) -> dict[str, Any]:
    measures = getattr(rule, "measures", None)
    return measures(row) if measures is not None else {}


def _plain(value: Any) -> Any:
    """A number of NumPy or Arrow as Python's own."""
    return value.as_py() if isinstance(value, pa.Scalar) else value.item()


def change_for(reason: str, settings: dict[str, Any], numbers: dict[str, Any], step: str = "") -> Change | None:
    """The setting that decided on a reason, and the value of it that would not have given it; None where no setting
    decides."""
    name = setting_of(reason, step)
    if not name:
        return None
    value: Any = settings
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if name in _OFF:
        return Change(name, value, _OFF[name])
    number, side = _NUMBERS.get(reason, ("", ""))
    if numbers.get(number) is None:
        return Change(name, value)
    return Change(name, value, _beyond(numbers[number], side))


def _beyond(number: float, side: str) -> float:
    """The number itself, or the nearest short one on the side that lets it pass."""
    if isinstance(number, int):
        return number
    scaled: float = number * 10.0**DIGITS
    short: float = (math.floor(scaled) if side == _LEAST else math.ceil(scaled)) / 10**DIGITS
    return short
