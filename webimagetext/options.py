"""The options that a dataclass of settings has on the command line, with what is said about each where it is declared.

In: a dataclass type and an instance with the defaults. Out: one :class:`Option` a field, those of a nested dataclass
named ``table.field`` as in a TOML file. The help of a field is the string below it, that of a table its class's
docstring. A nested dataclass whose field has the metadata ``flat`` adds its options without a prefix.
"""

import ast
import dataclasses
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union

from webimagetext.ranges import Limits, limits_of

__all__ = ["FLAT", "Option", "options_of"]

FLAT: dict[str, Any] = {"flat": True}
_NAMES = {str: "STR", int: "INT", float: "FLOAT"}


@dataclass(frozen=True)
class Option:
    """An option: its name without dashes, the fields that lead to its value, what it holds, its default and its
    help."""

    name: str
    path: tuple[str, ...]
    kind: Any  # the annotation, without None
    may_be_none: bool
    default: Any
    help: str
    limits: Limits | None  # of its numbers
    table: str  # "" for those of the first list
    about: str  # of the table

    @property
    def negative(self) -> str:
        """The name that turns a switch off: ``http.no-allow-loopback``."""
        table, _, last = self.name.rpartition(".")
        return f"{table}.no-{last}" if table else f"no-{last}"

    @property
    def origin(self) -> Any:
        """``tuple``, ``dict``, ``Literal`` or None."""
        return typing.get_origin(self.kind)

    @property
    def values(self) -> str:
        """What follows the name, for people."""
        if self.kind is bool:
            return ""
        if self.origin is dict:
            return "[NAME VALUE ...]"
        if self.origin is tuple:
            return f"[{_value(typing.get_args(self.kind)[0])} ...]"
        return _value(self.kind)


def _value(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return f"{{{','.join(map(str, typing.get_args(kind)))}}}"
    return _NAMES.get(kind, "STR")


def options_of(default: Any, table: str = "", path: tuple[str, ...] = (), about: str = "") -> Iterator[Option]:
    """The options of an instance of a dataclass, in the order of its fields, those of nested ones last."""
    hints, limits = typing.get_type_hints(type(default)), limits_of(type(default))
    helps = _helps(type(default))
    nested = []
    for field in dataclasses.fields(default):
        value, kind = getattr(default, field.name), hints[field.name]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            nested.append((field, value))
            continue
        if typing.get_origin(kind) is tuple and dataclasses.is_dataclass(typing.get_args(kind)[0]):
            continue  # several tables, for which a line has no room: the configuration file has
        kinds = [kind]
        if typing.get_origin(kind) in (Union, types.UnionType):
            kinds = [one for one in typing.get_args(kind) if one is not type(None)]
        name = field.name.replace("_", "-")
        yield Option(
            f"{table}.{name}" if table else name, (*path, field.name), kinds[0], kinds != [kind], value,
            helps.get(field.name, ""), limits.get(field.name), table.partition(".")[0], about,
        )  # fmt: skip
    for field, value in nested:
        name = field.name.replace("_", "-")
        below = table if field.metadata.get("flat") else f"{table}.{name}" if table else name
        said = about or ("" if below == table else inspect.cleandoc(type(value).__doc__ or ""))
        yield from options_of(value, below, (*path, field.name), said)


def _helps(cls: type) -> dict[str, str]:
    """The strings that stand below the fields of a dataclass and its bases, each as one line."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        try:
            body = typing.cast(ast.ClassDef, ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]).body
        except (OSError, TypeError, SyntaxError, IndexError):  # no source at hand, or another one since it was imported
            continue
        for field, below in itertools.pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = " ".join(text.split())
    return found
