"""The command line: words into settings, and ``--help``.

In: the words after a command's name, and a dataclass with the defaults. Out: an instance with the options given
replaced, and the words that are no option's value. Options may stand before, between and after these, as ``--name
value`` or ``--name=value``; an unknown one, or a value of the wrong kind, is a UserError with the nearest known name.
Imports nothing heavy.
"""

import dataclasses
import shutil
import sys
import textwrap
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from webimagetext.errors import UserError
from webimagetext.foreign import check_text
from webimagetext.options import Option, options_of
from webimagetext.settings import suggestion
from webimagetext.stores import refuse_credentials

__all__ = ["Words", "help_text", "need", "parse_flags", "split_words"]

T = TypeVar("T")
WIDTH, NARROWEST = 80, 40
HELP = ("-h", "--help")
Given = tuple[Option, list[str] | bool]


@dataclasses.dataclass(frozen=True)
class Words:
    """A command line taken apart: the words that belong to no option, and each option with its words (a switch: on or
    off)."""

    files: list[str]
    given: list[Given]
    prog: str

    def apply(self, default: T) -> T:
        """``default`` with what was given. Raises UserError for a value of the wrong kind, or one that its dataclass
        refuses."""
        values: dict[str, Any] = {}
        for option, words in self.given:
            table = values
            for name in option.path[:-1]:
                table = table.setdefault(name, {})
            table[option.path[-1]] = _converted(option, words, self.prog)
        return _replaced(default, values, self.prog)


def parse_flags(
    cls: type[T], args: Sequence[str], *, prog: str, default: T | None = None, usage: str = "[options]"
) -> T:
    """Parses ``args`` into ``cls`` with options named after its fields; ``default`` holds what a file has already set.

    ``--help`` prints and exits. Raises UserError for what cannot be parsed, and for an address that holds credentials,
    since settings are stored with what they make.
    """
    start = cls() if default is None else default
    words = split_words(start, args, prog=prog, usage=usage)
    if words.files:
        raise UserError(f"{prog}: {words.files[0]!r} belongs to no option", f"usage: {prog} {usage}")
    return words.apply(start)


def need(settings: Any, *fields: str, prog: str, example: str) -> None:
    """Raises UserError, with an ``example`` of the words, when one of several fields that a command needs is empty."""
    if not all(getattr(settings, name) for name in fields):
        names = [f"--{name.replace('_', '-')}" for name in fields]
        raise UserError(f"{prog}: {', '.join(names[:-1])} and {names[-1]} are needed", f"e.g. {example}")


def split_words(
    default: Any, args: Sequence[str], *, prog: str, usage: str, about: str = "", first: Sequence[str] = ()
) -> Words:
    """Takes a command line apart by the options of ``default``; ``--help`` prints them, tables ``first`` in front, and
    exits."""
    for word in args:
        refuse_credentials(word)
        check_text(word)
    options = list(options_of(default))
    if set(HELP) & set(args):
        print(help_text(options, prog=prog, usage=usage, about=about or type(default).__doc__ or "", first=first))
        sys.exit(0)
    switches = {option.negative: option for option in options if option.kind is bool}
    known = {option.name: option for option in options}
    rest, files, given = list(args), [], list[Given]()
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            files.append(word)
            continue
        name, mark, value = word.lstrip("-").partition("=")
        name = name.replace("_", "-")
        if not word.startswith("--") or (name not in known and name not in switches):
            raise _unknown(word.partition("=")[0], [*known, *switches], prog)
        if name in switches or known[name].kind is bool:
            if mark:
                raise UserError(
                    f"{prog}: --{name} takes no value", f"--{name} alone, or --{known_pair(name, known, switches)}"
                )
            given.append((switches.get(name) or known[name], name not in switches))
            continue
        option = known[name]
        words = [value] if mark else _values(rest, several=option.origin in (tuple, dict))
        if not words and option.origin not in (tuple, dict):
            raise UserError(f"{prog}: --{name} needs a value", f"--{name} {option.values}")
        given.append((option, words))
    return Words(files, given, prog)


def known_pair(name: str, known: Mapping[str, Option], switches: Mapping[str, Option]) -> str:
    """The other name of a switch: the one that turns it the other way."""
    return switches[name].name if name in switches else known[name].negative


def _values(rest: list[str], *, several: bool) -> list[str]:
    """Takes an option's values off the words that follow it."""
    found: list[str] = []
    while rest and not rest[0].startswith("--") and rest[0] != "-h" and (several or not found):
        found.append(rest.pop(0))
    return found


def _unknown(word: str, names: Sequence[str], prog: str) -> UserError:
    bare = word.lstrip("-").replace("_", "-")
    # One without its table: --t for --balance.t.
    inner = [name for name in names if name.rpartition(".")[2].lower() == bare.lower()]
    hint = f"did you mean '--{inner[0]}'?" if inner else suggestion(bare, names, dashes="--")
    return UserError(f"{prog}: there is no option {word!r}", hint or f"{prog} --help lists them")


def _converted(option: Option, words: list[str] | bool, prog: str) -> Any:
    if isinstance(words, bool):
        return words
    where = f"{prog}: --{option.name}"
    value = _value(option, words, where)
    if option.limits is not None:
        option.limits.refuse(value, f"{where} {' '.join(words)}")
    return value


def _value(option: Option, words: list[str], where: str) -> Any:
    if option.origin is tuple:
        return tuple(_one(typing.get_args(option.kind)[0], word, where) for word in words)
    if option.origin is dict:
        if len(words) % 2:
            raise UserError(f"{where}: {words[-1]!r} has no value", f"--{option.name} {option.values}")
        kind = typing.get_args(option.kind)[1]
        return {name: _one(kind, word, where) for name, word in zip(words[::2], words[1::2], strict=True)}
    if option.may_be_none and words[0] == "None":
        return None
    return _one(option.kind, words[0], where)


def _one(kind: Any, word: str, where: str) -> Any:
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if word not in choices:
            hint = suggestion(word, choices) or f"one of: {', '.join(choices)}"
            raise UserError(f"{where}: {word!r} is not one of {', '.join(map(repr, choices))}", hint)
        return word
    if kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            raise UserError(f"{where}: {word!r} is not a {'whole ' if kind is int else ''}number") from None
    return Path(word) if kind is Path else word


def _replaced(default: T, values: Mapping[str, Any], prog: str) -> T:
    changes = {}
    for name, value in values.items():
        inner = getattr(default, name)
        nested = dataclasses.is_dataclass(inner)
        changes[name] = _replaced(inner, value, prog) if nested else value
    try:
        return typing.cast(T, dataclasses.replace(typing.cast(Any, default), **changes))
    except (TypeError, ValueError) as error:
        raise UserError(f"{prog}: {error}") from None


def help_text(options: Sequence[Option], *, prog: str, usage: str, about: str, first: Sequence[str] = ()) -> str:
    """What ``--help`` prints: one line of usage, then the options, those of the tables ``first`` before the other
    tables'."""
    width = max(NARROWEST, min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))
    tables = dict.fromkeys([option.table for option in options])
    order = [name for name in ("", *first) if name in tables]
    order += [name for name in tables if name not in order]
    lines = [f"usage: {prog} {usage}", ""]
    for paragraph in textwrap.dedent(about).strip().split("\n\n"):
        lines += [*textwrap.wrap(" ".join(paragraph.split()), width), ""]
    for table in order:
        own = [option for option in options if option.table == table]
        lines.append(f"{table} options:" if table else "options:")
        if table and own[0].about:
            said = own[0].about.split("\n\n")[0]
            lines += textwrap.wrap(" ".join(said.split()), width, initial_indent="  ", subsequent_indent="  ")
        if not table:
            lines += ["  -h, --help", "      Show this and exit."]
        for option in own:
            lines += _described(option, width)
        lines.append("")
    return "\n".join(lines).rstrip()


def _described(option: Option, width: int) -> Iterator[str]:
    names = f"--{option.name}, --{option.negative}" if option.kind is bool else f"--{option.name} {option.values}"
    yield from textwrap.wrap(names, width, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)
    shown = _shown(option.default)
    notes = [f"default: {shown}"] if shown else []
    if option.limits is not None and option.limits.range.words:
        notes.append(option.limits.range.words)
    text = f"{option.help} ({'; '.join(notes)})" if notes else option.help
    indent = " " * 6
    yield from textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def _shown(value: Any) -> str:
    """A default for people; nothing for an empty one."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return " ".join(f"{name} {item}" for name, item in value.items())
    return "" if value is None else str(value)
