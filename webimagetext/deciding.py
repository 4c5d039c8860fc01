"""Which settings decide what a step makes: marks on the fields of settings, and the values by which a result is known
again.

A field without a mark decides. FREE marks what decides no bytes: pace, identity, memory, threads. CONTENTS marks a
path, or several, of a file whose contents decide and not its name. CODE marks functions named ``module:function``, of
which the module's source decides. INPUT marks paths that the step itself follows to what they hold. AHEAD marks what
decides as well, and may yet change in the middle of the work: what was done before stays right. LATE marks what decides
only once all units of the work are there, so that none of them is done anew for it. A mark stands in the declaration::

    delay: Annotated[float, FREE] = 1.0

In: settings. Out: plain values, equal exactly when the settings decide the same. Imports nothing heavy: configurations
use it.
"""

import dataclasses
import importlib.util
import typing
from dataclasses import dataclass
from typing import Any

from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["AHEAD", "CODE", "CONTENTS", "FREE", "INPUT", "LATE", "check_name", "deciding", "marks_of"]


@dataclass(frozen=True)
class Mark:
    """Says how a field of settings decides."""

    name: str


FREE, CONTENTS, CODE, INPUT, AHEAD, LATE = map(Mark, ("free", "contents", "code", "input", "ahead", "late"))


def marks_of(cls: type) -> dict[str, list[Mark]]:
    """The marks of each field of a dataclass."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {
        field.name: [mark for mark in getattr(hints[field.name], "__metadata__", ()) if isinstance(mark, Mark)]
        for field in dataclasses.fields(cls)
    }


def deciding(settings: Any, *, of_a_unit: bool = False) -> Any:
    """The values in ``settings`` (a dataclass, or plain values) that decide; ``of_a_unit``: what one unit of the work
    makes. Raises UserError for a named file that is missing."""
    if isinstance(settings, dict):
        return {name: deciding(value, of_a_unit=of_a_unit) for name, value in settings.items()}
    if isinstance(settings, (tuple, list)):
        return [deciding(value, of_a_unit=of_a_unit) for value in settings]
    if not dataclasses.is_dataclass(settings) or isinstance(settings, type):
        return settings
    found = {}
    for name, marks in marks_of(type(settings)).items():
        value = getattr(settings, name)
        if FREE in marks or INPUT in marks or value is None or (of_a_unit and LATE in marks):
            continue
        if CONTENTS in marks:
            found[name] = _each(value, files.digest)
        elif CODE in marks:
            found[name] = _each(value, _code)
        else:
            found[name] = deciding(value, of_a_unit=of_a_unit)
    return found


def check_name(setting: str, name: str) -> None:
    """Raises UserError unless ``name`` has the form ``module:name``."""
    if not all(name.partition(":")):
        raise UserError(f"{setting}: {name!r} does not name a function", "write module:function")


def _each(value: Any, digest: typing.Callable[[str], str]) -> Any:
    """Digests of what one name, several, or the values of a dictionary stand for; an empty name stands for nothing."""
    if isinstance(value, dict):
        return {name: digest(text) for name, text in value.items()}
    if isinstance(value, (tuple, list)):
        return [digest(text) for text in value]
    return digest(value) if value else ""


def _code(name: str) -> str:
    """A function's name with a digest of its module's source, found without importing it; the name alone where there is
    none."""
    module = name.partition(":")[0]
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return name
    source = found.origin if found is not None else None
    return f"{name} {files.digest(source)}" if source and source.endswith(".py") else name
