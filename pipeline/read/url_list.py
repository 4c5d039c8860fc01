"""Candidate pairs from published lists of image URLs with texts.

In: a Parquet, CSV, TSV, JSON Lines or RedCaps JSON file, also as .gz, .bz2 or .zst. Out: :class:`Extracted` pieces in
file order. Columns are found by the names that LAION, COYO, DataComp, CC12M, CC3M, RedCaps, WIT and YFCC100M use, or
given by the configuration; CC12M, CC3M and YFCC100M files have no line of names and are known by their shape.
"""

import io
import json
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

import fsspec
import zstandard

from pipeline.own import failure, load
from pipeline.read.cells import may_hold_text, pixels, shown, texts_in, values_of
from pipeline.read.choose import choose, plain
from pipeline.read.columns import Columns, Layouts, Row
from pipeline.read.config import ExtractConfig
from pipeline.read.delimited import lines_of, read_delimited
from pipeline.read.pages import Pair
from pipeline.read.tables import Extracted, Rows
from pipeline.read.urls import MAX_URL_LENGTH, picture_url
from webimagetext.errors import UserError
from webimagetext.files import open_input
from webimagetext.foreign import valid
from webimagetext.parquet import UNREADABLE, open_parquet
from webimagetext.zstd import open_zstd

__all__ = ["first_addresses", "read_url_list"]

PIECE_ROWS = 10_000
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}


def read_url_list(path: str, extract: ExtractConfig) -> Iterator[Extracted]:
    """Reads one list. Raises UserError when the file cannot be opened, or has no column for the URL or the texts."""
    rows = Rows("url_list")
    layouts = Layouts(extract, path)
    for number, row in enumerate(_rows_of(path, extract), 1):
        if isinstance(row, str):
            rows.reject(f"{path}:{number}", "pair", row, None)
        else:
            _add(rows, row, layouts.of(row), f"{path}:{number}")
        if len(rows) >= PIECE_ROWS:
            layouts.check()
            yield rows.take()
    layouts.check()
    yield rows.take()


def first_addresses(path: str, extract: ExtractConfig, rows: int = 100) -> list[str]:
    """The image addresses in the first rows of a list.

    Raises UserError as :func:`read_url_list`, and for a column that the settings name and none of these rows has.
    """
    first = [row for row in islice(_rows_of(path, extract), rows) if not isinstance(row, str)]
    names = list(dict.fromkeys(name for row in first for name in row))
    if not first:
        return []
    layouts = Layouts(extract, path)
    columns = layouts.of(dict.fromkeys(names))
    layouts.check()
    known = {str(name).strip().lower() for name in names}
    set_to = {
        "url_column": [extract.url_column],
        "text_columns": extract.text_columns,
        "page_column": [extract.page_column],
    }
    for field, wanted in set_to.items():
        for name in filter(None, wanted):
            if name.lower() not in known:
                raise UserError(
                    f"{path}: has no column {name!r}", f"set extract.{field} to one of: {', '.join(map(str, names))}"
                )
    return [url for row in first for url in islice(texts_in(row.get(columns.url or "")), 1)]


def _add(rows: Rows, row: Row, columns: Columns, place: str) -> None:
    if columns.url is None:
        rows.reject(place, "pair", "bad_url", None, f"no column for the address among: {shown(list(row))}")
        return
    given = row.get(columns.url)
    url = next(filter(None, map(picture_url, islice(texts_in(given), 1))), None)
    if url is None:
        rows.reject(place, "pair", "bad_url", None, shown(given))
        return
    found = [(valid(str(name)).lower(), plain(text)) for name in columns.texts for text in texts_in(row.get(name))]
    kept, caption = choose(found)
    if not caption:
        held = {type(row[name]).__name__ for name in columns.texts if row.get(name) is not None}
        other = "" if found or not held else f": no text but {', '.join(sorted(held))}"
        rows.reject(url, "image", "no_text", url, place + other)
        return
    page = next(texts_in(row.get(columns.page or "")), "")
    width, height = (pixels(row.get(name or "")) for name in columns.sizes)
    pair = Pair(url, caption, kept, width, height)
    page_url = valid(page) if 0 < len(page) <= MAX_URL_LENGTH else None
    rows.add_pair(pair, page_url, "", "not_asked", "list: states no consent")


def _rows_of(path: str, extract: ExtractConfig) -> Iterator[Row | str]:
    """The rows of a file, as :func:`_read` or the user's own reader finds them."""
    return _own_rows(path, extract.reader) if extract.reader else _read(path, extract)


def _own_rows(path: str, reader: str) -> Iterator[Row | str]:
    call = load("extract.reader", reader)
    try:
        for row in call(path):
            yield row if isinstance(row, dict) and row else "broken_line"
    except UserError:
        raise
    except Exception as error:
        raise failure("extract.reader", reader, error) from error


def _read(path: str, extract: ExtractConfig) -> Iterator[Row | str]:
    """The rows of a file by column name; a string in place of a row is the reason why it cannot be used."""
    stem = path.lower().partition("?")[0]
    compression = next((name for suffix, name in _COMPRESSIONS.items() if stem.endswith(suffix)), None)
    if compression:
        stem = stem.rpartition(".")[0]
    with open_input(path) as stream:
        try:
            if stem.endswith(".parquet"):
                yield from _read_parquet(stream, path, extract)
                return
            plain = stream if compression is None else _decompressed(stream, compression)
            if stem.endswith((".jsonl", ".ndjson")):
                yield from _read_json_lines(plain)
            elif stem.endswith(".json"):
                yield from _read_redcaps(plain, path)
            elif stem.endswith((".csv", ".tsv", ".tab", ".txt")) or compression:
                yield from read_delimited(plain, "," if stem.endswith(".csv") else "\t")
            else:
                raise UserError(
                    f"{path}: not a kind of list this program reads",
                    "known: .parquet .csv .tsv .jsonl .json, also .gz .zst",
                )
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            raise _damaged(path, error) from None


def _damaged(path: str, error: Exception) -> UserError:
    told = " ".join(str(error).split())[:200]
    return UserError(f"{path}: the file is damaged: {told}", "get the file again, or leave it out")


def _decompressed(stream: IO[bytes], compression: str) -> IO[bytes]:
    if compression == "zstd":
        return open_zstd(stream)
    opened: Any = fsspec.compression.compr[compression](stream, mode="rb")
    return opened if hasattr(opened, "peek") else io.BufferedReader(opened)


def _read_parquet(stream: IO[bytes], path: str, extract: ExtractConfig) -> Iterator[Row]:
    """Rows with a value for the columns that are used, and None for the others, which may hold anything."""
    try:
        file = open_parquet(stream)
    except UNREADABLE as error:
        raise _damaged(path, error) from None
    schema = file.schema_arrow
    nothing = dict.fromkeys(schema.names)
    layouts = Layouts(extract, path)
    columns = layouts.of(nothing)
    layouts.check()
    used = {name for name in (columns.url, columns.page, *columns.texts, *columns.sizes) if name}
    for names, what, setting in (([columns.url], "addresses", "url_column"), (columns.texts, "texts", "text_columns")):
        kinds = {str(name): schema.field(schema.names.index(name)).type for name in names}
        if not any(map(may_hold_text, kinds.values())):
            said = ", ".join(f"the column {name} holds {kind}" for name, kind in kinds.items())
            raise UserError(
                f"{path}: {said}, not {what}", f"set extract.{setting} to another one of: {', '.join(nothing)}"
            )
    batches = file.iter_batches(PIECE_ROWS)
    while True:
        try:
            batch = next(batches, None)
        except UNREADABLE as error:
            raise _damaged(path, error) from None
        if batch is None:
            return
        cells = {name: values_of(batch.column(schema.names.index(name))) for name in used}
        for values in zip(*cells.values(), strict=True):
            yield {**nothing, **dict(zip(cells, values, strict=True))}


def _read_json_lines(stream: IO[bytes]) -> Iterator[Row | str]:
    for line in lines_of(stream):
        if line is None:
            yield "line_too_long"
        elif line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                yield "broken_line"
            else:
                yield row if isinstance(row, dict) and row else "broken_line"


def _read_redcaps(stream: IO[bytes], path: str) -> Iterator[Row | str]:
    """RedCaps annotations: one object with the list ``annotations``."""
    try:
        data = stream.read()
        content = json.loads(data.decode(json.detect_encoding(data), "replace"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON: {error}", "get the file again, or leave it out") from None
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise UserError(f"{path}: neither a list of rows nor an object with 'annotations'")
    for row in rows:
        yield row if isinstance(row, dict) and row else "broken_line"
