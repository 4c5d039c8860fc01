"""Lists of what is to be taken out: a text file with an entry a line, or a column of a table.

In: a file, by path or URL, and its kind. Out: the entries in the spelling by which tombstones are compared, and the
file's digest, by which the log names it. An entry that cannot be one of its kind is an error: who asks for a removal
must not be told that it was done because a line was misread.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from pipeline.hosts import host_of
from pipeline.read.urls import canonical
from pipeline.removing.tombstones import Kind
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.parquet import UNREADABLE, read_parquet

__all__ = ["Asked", "read_list"]

SHA256 = re.compile("[0-9a-f]{64}")
KEY = re.compile(r"[^\s./][^\s/]*")
HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[?[0-9a-f:.]+\]?")
# The column of a Parquet file that holds entries of a kind: those of our shards.
COLUMNS: dict[Kind, str] = {"url": "url", "key": "key", "hash": "sha256", "page": "page_url", "host": "host"}


@dataclass(frozen=True)
class Asked:
    """What one list asks for."""

    kind: Kind
    file: str
    sha256: str
    values: tuple[str, ...]  # each once, in order


def read_list(kind: Kind, file: str) -> Asked:
    """Reads a list. Raises UserError for a missing file, one without entries, and an entry that is none of its kind."""
    content = files.read(file)
    if content is None:
        raise UserError(f"{file}: no such file", "give a text file with an entry a line, or a Parquet file")
    entries = _of_table(kind, file, content) if file.endswith(".parquet") else _of_text(file, content)
    found: set[str] = set()
    for number, entry in enumerate(entries, 1):
        if not entry or entry.startswith("#"):
            continue
        value = _SPELLED[kind](entry)
        if not value:
            raise UserError(f"{file}: entry {number:,} is no {_CALLED[kind]}: {entry[:200]!r}", "correct or remove it")
        found.add(value)
    if not found:
        raise UserError(f"{file}: there is nothing in it", "give a list with an entry a line")
    return Asked(kind, file, files.digest_of(content), tuple(sorted(found)))


def _of_text(file: str, content: bytes) -> list[str]:
    try:
        return [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise UserError(f"{file}: is no text in UTF-8", "give a text file with an entry a line") from None


def _of_table(kind: Kind, file: str, content: bytes) -> list[str]:
    try:
        table = read_parquet(pa.BufferReader(content), [COLUMNS[kind]])
    except UNREADABLE as error:
        raise UserError(f"{file}: has no column {COLUMNS[kind]}: {error}", "give one, or a text file") from None
    return [str(value).strip() for value in table.column(0).to_pylist() if value is not None]


def _host(entry: str) -> str:
    """A host's name, also of an address on it."""
    name = host_of(entry) if "://" in entry else host_of(f"http://{entry}/")
    return name if HOST.fullmatch(name) else ""


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    return lambda entry: entry if pattern.fullmatch(entry) else ""


_SPELLED: dict[Kind, Callable[[str], str]] = {
    "url": lambda entry: (canonical(entry) or "") if "://" in entry else "",
    "page": lambda entry: (canonical(entry) or "") if "://" in entry else "",
    "host": _host,
    "key": _matching(KEY),
    "hash": lambda entry: _matching(SHA256)(entry.lower()),
}
_CALLED: dict[Kind, str] = {
    "url": "address of an image",
    "page": "address of a page",
    "host": "host",
    "key": "key of a pair",
    "hash": "SHA-256 of an image, 64 hexadecimal digits",
}
