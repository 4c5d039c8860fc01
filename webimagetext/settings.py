"""Typed settings: frozen dataclasses, filled from defaults, then a TOML file (flags: :mod:`webimagetext.flags`).

In: a dataclass type and a TOML file. Out: one instance, fully checked. A key that
the dataclass does not have is an error with the nearest known name, so a typing mistake never passes in silence.
:func:`to_toml` writes the resolved settings back, so that a run folder can say exactly what it was made with.
"""

import dataclasses
import difflib
import hashlib
import json
import os
import sys
import textwrap
import tomllib
import types
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from webimagetext.errors import UserError
from webimagetext.files import is_url, read, size
from webimagetext.foreign import check_text
from webimagetext.ranges import limits_of
from webimagetext.stores import refuse_credentials

__all__ = ["fingerprint", "from_dict", "from_toml", "pop_verb", "read_toml", "suggestion", "to_dict", "to_toml"]

T = TypeVar("T")
MEND = "mend that line, or begin anew with `webimagetext init`"
MAX_BYTES = 16 << 20  # of a configuration file: anything larger is a table or an archive given in its place


def suggestion(word: str, known: Iterable[str], *, dashes: str = "") -> str:
    """``did you mean 'name'?`` for the known name that differs least, in case first of all; "" where none is near."""
    names = {name.lower(): name for name in known}
    low = word.lower()
    found = [low] if low in names else difflib.get_close_matches(low, names, 1)
    return f"did you mean '{dashes}{names[found[0]]}'?" if found else ""


def pop_verb(args: Sequence[str], verbs: dict[str, str], *, prog: str, about: str) -> tuple[str, list[str]]:
    """Splits ``verb rest…``. Prints the list of verbs and exits for ``--help``, no verb, or an unknown one.

    ``verbs`` maps a verb to a line of help. Parsing the verb by hand lets each command import only its own settings.
    """
    width = max(map(len, verbs)) + 2
    listing = "\n".join(f"  {verb:<{width}}{text}" for verb, text in verbs.items())
    usage = f"usage: {prog} COMMAND …\n\n{textwrap.fill(about, 80)}\n\n"
    usage += f"commands:\n{listing}\n\n{prog} COMMAND --help explains one."
    if not args or args[0] in ("-h", "--help"):
        print(usage)
        sys.exit(0 if args else 2)
    if args[0] not in verbs:
        hint = suggestion(args[0], verbs) or f"one of: {', '.join(verbs)}"
        raise UserError(f"{prog}: there is no command {args[0]!r}", hint)
    return args[0], list(args[1:])


def from_toml(cls: type[T], path: str | os.PathLike[str]) -> T:
    """Reads a TOML file, by path or URL, into ``cls``.

    Raises UserError for a missing file, bad TOML, an unknown key, a wrong type or an address that holds credentials.
    """
    return from_dict(cls, read_toml(path), where=str(path))


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The keys and values of a TOML file, by path or URL. Raises UserError for a missing file or bad TOML."""
    try:
        if not is_url(str(path)) and os.path.isfile(path) and size(str(path)) > MAX_BYTES:
            raise UserError(f"{path}: is too large for a configuration file")
        content = read(str(path))
        if content is None:
            raise UserError(f"{path}: no such configuration file", "correct its name")
        return tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: cannot be read: it is no text in UTF-8", MEND) from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not valid TOML: {error}", MEND) from None


def from_dict(cls: type[T], data: dict[str, Any], *, where: str) -> T:
    """Builds ``cls`` from nested dictionaries; ``where`` names their origin in error messages."""
    assert dataclasses.is_dataclass(cls)
    hints = typing.get_type_hints(cls)
    limits = limits_of(cls)
    known = {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}
    values: dict[str, Any] = {}
    for key, value in data.items():
        name = key.replace("-", "_")
        if name not in known:
            hint = suggestion(name, known) or f"known here: {', '.join(sorted(known))}"
            raise UserError(f"{where}: unknown key {key!r}", hint)
        values[name] = _convert(known[name], value, f"{where}: {key}")
        if name in limits:
            limits[name].refuse(values[name], f"{where}: {key} = {value}")
    try:
        return typing.cast(T, cls(**values))
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}") from None


def _convert(kind: Any, value: Any, where: str) -> Any:
    """Checks ``value`` against the annotation ``kind``; lists become tuples, strings become paths where asked."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if origin is Literal:
        if value in arguments:
            return value
        hint = suggestion(str(value), map(str, arguments))
        raise UserError(f"{where}: {value!r} is not one of {', '.join(map(repr, arguments))}", hint)
    if origin in (tuple, list) and isinstance(value, list):
        return tuple(_convert(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {name: _convert(arguments[1], item, f"{where}.{name}") for name, item in value.items()}
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return from_dict(typing.cast(type[Any], kind), value, where=where)
    return _convert_plain(kind, value, where)


def _convert_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """The value as the first of ``kinds`` that takes it; the first kind's objection where none does."""
    problems = []
    for kind in kinds:
        if kind is not type(None):
            try:
                return _convert(kind, value, where)
            except UserError as error:
                problems.append(error)
    raise problems[0]


def _convert_plain(kind: Any, value: Any, where: str) -> Any:
    """A path, number, switch or text. A switch is no number, but a whole number is a number with a point."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    switch = isinstance(value, bool)
    if kind is float and isinstance(value, int) and not switch:
        return float(value)
    if isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not switch):
        if isinstance(value, str):
            refuse_credentials(value, where)
            check_text(value, where)
        return value
    raise UserError(f"{where}: {value!r} is not of type {getattr(kind, '__name__', kind)}")


def to_dict(settings: Any) -> dict[str, Any]:
    """The settings as plain JSON-ready values, without fields that are None."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            pairs = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
            return {name: plain(item) for name, item in pairs if item is not None}
        if isinstance(value, dict):
            return {str(name): plain(item) for name, item in value.items()}
        if isinstance(value, (tuple, list)):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    result: dict[str, Any] = plain(settings)
    return result


def to_toml(settings: Any) -> str:
    """The settings as a TOML document that :func:`from_toml` reads back to an equal instance."""
    import tomli_w

    return tomli_w.dumps(to_dict(settings))


def fingerprint(*parts: Any) -> str:
    """A stable SHA-256 (hex) of settings and plain values: equal exactly when their resolved contents are equal."""
    plain = [to_dict(part) if dataclasses.is_dataclass(part) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()
