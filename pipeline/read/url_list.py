"""Candidate pairs from published lists of image URLs with texts.

In: a Parquet, CSV, TSV, JSON Lines or RedCaps JSON file, also as .gz, .bz2 or .zst. Out: :class:`Extracted` pieces in
file order. Columns are found by the names that LAION, COYO, DataComp, CC12M, CC3M, RedCaps and YFCC100M use, or given
by the configuration; CC12M, CC3M and YFCC100M files have no line of names and are known by their shape.
"""

import io
import json
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, Any

import fsspec
import zstandard

from pipeline.own import failure, load
from pipeline.read.cells import may_hold_text, pixels, shown, texts_in, values_of
from pipeline.read.choose import choose, plain
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
URL_NAMES = ("url", "image_url", "img_url", "downloadurl", "photo_url", "image", "src")
TEXT_NAMES = ("text", "caption", "alt_text", "alt", "title", "description", "top_caption")
PAGE_NAMES = ("page_url", "pageurl", "permalink", "source_url")
SIZE_NAMES = (("width", "original_width"), ("height", "original_height"))
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}

Row = Mapping[str, Any]


def read_url_list(path: str, extract: ExtractConfig) -> Iterator[Extracted]:
    """Reads one list. Raises UserError when the file cannot be opened, or has no column for the URL or the texts."""
    rows = Rows("url_list")
    columns: _Columns | None = None
    for number, row in enumerate(_rows_of(path, extract), 1):
        if isinstance(row, str):
            rows.reject(f"{path}:{number}", "pair", row, None)
        else:
            if columns is None or not columns.fits(row):
                columns = _Columns(row, extract, path)
            _add(rows, row, columns, f"{path}:{number}")
        if len(rows) >= PIECE_ROWS:
            yield rows.take()
    yield rows.take()


def first_addresses(path: str, extract: ExtractConfig, rows: int = 100) -> list[str]:
    """The image addresses in the first rows of a list.

    Raises UserError as :func:`read_url_list`, and for a column that the settings name and none of these rows has.
    """
    first = [row for row in islice(_rows_of(path, extract), rows) if not isinstance(row, str)]
    names = list(dict.fromkeys(name for row in first for name in row))
    columns = _Columns(dict.fromkeys(names), extract, path) if first else None
    if columns is None:
        return []
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


class _Columns:
    """Which columns of a list hold what."""

    def __init__(self, row: Row, extract: ExtractConfig, path: str) -> None:
        self._names = frozenset(row)
        by_name = {str(name).strip().lower(): name for name in row}
        self.url = _pick(by_name, extract.url_column, URL_NAMES)
        self.page = _pick(by_name, extract.page_column, PAGE_NAMES)
        self.texts = [by_name[name.lower()] for name in extract.text_columns or TEXT_NAMES if name.lower() in by_name]
        self.sizes = [_pick(by_name, "", names) for names in SIZE_NAMES]
        listed = ", ".join(map(str, row))
        if self.url is None:
            raise UserError(f"{path}: no column holds the images' URLs", f"set extract.url_column to one of: {listed}")
        if not self.texts:
            raise UserError(f"{path}: no column holds texts", f"set extract.text_columns to some of: {listed}")

    def fits(self, row: Row) -> bool:
        """Whether a row has these columns; rows of JSON Lines may differ."""
        return self._names == row.keys() or self.url in row


def _pick(by_name: Mapping[str, str], wanted: str, usual: tuple[str, ...]) -> str | None:
    return next((by_name[name] for name in ((wanted.lower(),) if wanted else usual) if name in by_name), None)


def _add(rows: Rows, row: Row, columns: _Columns, place: str) -> None:
    given = row.get(columns.url or "")
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
    columns = _Columns(nothing, extract, path)
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
