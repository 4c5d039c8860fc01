"""The texts of a list of one's own, from whatever it is kept in.

In: a file by path or URL: text (one a line), CSV, TSV, JSON, JSON Lines or Parquet, also packed by gzip, bzip2 or
Zstandard. Out: its texts in their order, each with its place and the sources that the file gives it. A file that is not
what its name says, or not UTF-8, is a UserError that names the line.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pyarrow as pa
import zstandard

from webimagetext.errors import UserError
from webimagetext.files import open_input
from webimagetext.foreign import encodable
from webimagetext.parquet import UNREADABLE, open_parquet
from webimagetext.zstd import open_zstd

__all__ = ["TEXT_COLUMNS", "Text", "read_texts"]

TEXT_COLUMNS = ("query", "text", "name", "surface", "phrase", "keyword", "term", "word", "title", "label", "caption")
SOURCE_COLUMNS = ("sources", "source")
MAX_BYTES = 2 << 30  # of an unpacked file: many times the longest list that can be matched
MAX_CELL = 1 << 24  # characters; Python's own limit stops at 131,072
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\x28\xb5\x2f\xfd": open_zstd, b"\xfd7zXZ": lzma.open}
AGAIN = "get the file again, mend it, or leave it out"
_PACKED = (".gz", ".bz2", ".zst", ".xz")
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_BAD_PACKING = (EOFError, OSError, zlib.error, zstandard.ZstdError, lzma.LZMAError)


@dataclass(frozen=True, slots=True)
class Text:
    """A text as it is written, the number of its line or row (from 1), and its sources, where the file gives some."""

    text: str
    place: int
    sources: tuple[str, ...] = ()


def read_texts(url: str, column: str = "") -> Iterator[Text]:
    """The texts of a file. ``column`` names the one that holds them, or is its number in a table without a line of
    names.

    Without it the first of TEXT_COLUMNS that is there is taken. Raises UserError for a file that cannot be read so.
    """
    data = _content(url)
    name = url.lower()
    for ending in _PACKED:
        name = name.removesuffix(ending)
    if data[:4] == b"PAR1":
        return _from_parquet(data, column, url)
    text = _decoded(data, url)
    if name.endswith((".csv", ".tsv", ".tab")):
        return _from_table(text, column, url, tabs=not name.endswith(".csv"))
    if name.endswith((".jsonl", ".ndjson")):
        return _from_items(_json_lines(text, url), column, url)
    if name.endswith(".json"):
        return _from_items(_json_items(text, url), column, url)
    if name.endswith((".parquet", ".pq")):
        raise UserError(f"{url}: not a Parquet file", AGAIN)
    return (Text(line.removesuffix("\r"), place) for place, line in _lines(text))


def _content(url: str) -> bytes:
    """The file's bytes, unpacked."""
    with open_input(url) as stream:
        data = stream.read(MAX_BYTES + 1)
    opener = next((opener for mark, opener in _OPENERS.items() if data.startswith(mark)), None)
    if opener:
        try:
            with cast(Any, opener)(io.BytesIO(data)) as stream:
                data = stream.read(MAX_BYTES + 1)
        except _BAD_PACKING as error:
            raise UserError(f"{url}: cannot be unpacked: {error}", AGAIN) from None
    if len(data) > MAX_BYTES:
        raise UserError(f"{url}: holds more than {MAX_BYTES:,} bytes: too much for a list of queries")
    return data


def _decoded(data: bytes, url: str) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark. Raises UserError with the line of the first bad
    byte."""
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{url}: line {line:,}: the byte {data[error.start]:#04x} is not UTF-8",
            f"convert the file, for example with: iconv -f latin1 -t utf-8 {url}",
        ) from None
    if "\0" in text:
        raise UserError(f"{url}: not a text file: there is a zero byte at character {text.index(chr(0)):,}", AGAIN)
    return text


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers; the nothing after the last line's end is none."""
    start, place = 0, 1
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield place, text[start:end]
        start, place = end + 1, place + 1


def _from_table(text: str, column: str, url: str, *, tabs: bool) -> Iterator[Text]:
    """CSV with commas or semicolons, or TSV, where quotation marks mean nothing."""
    csv.field_size_limit(MAX_CELL)
    first = text.partition("\n")[0]
    if tabs:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        mark = ";" if ";" in first and "," not in first else ","
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        names = next(rows, [])
        if column.isascii() and column.isdigit():
            wanted, sources = int(column) - 1, None
            if not 0 <= wanted < len(names):
                raise UserError(f"{url}: there is no column {column} among {len(names)}")
            yield from _cells([names], wanted, sources, 1)
        elif len(names) == 1 and not column and names[0].strip().lower() not in TEXT_COLUMNS:
            wanted, sources = 0, None
            yield from _cells([names], wanted, sources, 1)
        else:
            wanted = names.index(_pick(names, column, url))
            sources = next((names.index(name) for name in names if name.strip().lower() in SOURCE_COLUMNS), None)
        for row in rows:
            yield from _cells([row], wanted, sources, rows.line_num)
    except csv.Error as error:
        raise UserError(f"{url}: line {rows.line_num:,}: not a table: {error}", AGAIN) from None


def _cells(rows: Iterable[Sequence[str]], wanted: int, sources: int | None, place: int) -> Iterator[Text]:
    for row in rows:
        if row:  # an empty line is no row
            given = row[sources] if sources is not None and sources < len(row) else ""
            yield Text(row[wanted] if wanted < len(row) else "", place, (given,) if given else ())


def _pick(names: Sequence[str], column: str, url: str) -> str:
    """The name of the column with the texts."""
    by_name = {str(name).strip().lower(): name for name in names}
    found = next(
        (by_name[name.lower()] for name in ([column] if column else TEXT_COLUMNS) if name.lower() in by_name), None
    )
    if found is not None:
        return found
    shown = ", ".join(str(name)[:40] for name in names[:8])
    problem = f"no column '{column}'" if column else "no column with a usual name, such as query, text or name,"
    raise UserError(
        f"{url}: {problem} among: {shown}",
        "name the one with the texts by: python -m query_builder import FILE --column NAME --output queries.parquet"
        "\n  (--column 1: the first of a table without a line of names)",
    )


def _json_items(text: str, url: str) -> Iterator[tuple[int, Any]]:
    """The entries of a JSON list, or the keys of a JSON object, numbered."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{url}: not JSON: {error}", AGAIN) from None
    if isinstance(value, dict):
        # Text to count, or a list under one name.
        lists = [item for item in value.values() if isinstance(item, list)]
        value = lists[0] if len(value) == len(lists) == 1 else list(value)
    if not isinstance(value, list):
        raise UserError(f"{url}: neither a list nor an object of texts", AGAIN)
    return enumerate(value, 1)


def _json_lines(text: str, url: str) -> Iterator[tuple[int, Any]]:
    for place, line in _lines(text):
        if line.strip():
            try:
                yield place, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{url}: line {place:,}: not JSON: {error}", AGAIN) from None


def _from_items(items: Iterator[tuple[int, Any]], column: str, url: str) -> Iterator[Text]:
    wanted, names = "", None
    for place, item in items:
        if isinstance(item, Mapping):
            if names is None or wanted not in item:
                names = list(item)
                wanted = _pick(names, column, url)
            value = item[wanted]
            given = next((item[name] for name in item if name.lower() in SOURCE_COLUMNS), None)
        else:
            value, given = item, None
        if value is not None and not isinstance(value, str):
            raise UserError(f"{url}: entry {place:,} is {json.dumps(value)[:60]}, not a text", AGAIN)
        yield Text(encodable(value or ""), place, _sources(given))


def _sources(value: object) -> tuple[str, ...]:
    """One source, or several, as a file gives them."""
    if isinstance(value, str):
        return (encodable(value),) if value else ()
    return tuple(encodable(str(item)) for item in value if item) if isinstance(value, list) else ()


def _from_parquet(data: bytes, column: str, url: str) -> Iterator[Text]:
    try:
        file = open_parquet(io.BytesIO(data))
        names = file.schema_arrow.names
        wanted = _pick(names, column, url)
        given = next((name for name in names if name.lower() in SOURCE_COLUMNS and name != wanted), None)
        kind = file.schema_arrow.field(wanted).type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
            raise UserError(f"{url}: the column {wanted} holds {kind}, not texts", "name another one by --column")
        place = 0
        for batch in file.iter_batches(columns=[wanted, *([given] if given else [])], use_threads=False):
            batch.validate(full=True)
            sources = batch.column(given).to_pylist() if given else [None] * batch.num_rows
            for text, source in zip(batch.column(wanted).to_pylist(), sources, strict=True):
                place += 1
                yield Text(text or "", place, _sources(source))
    except UNREADABLE as error:
        raise UserError(f"{url}: not a Parquet file that can be read: {error}", AGAIN) from None
