"""The rows of a list, whatever kind of file it is.

In: a piece of a Parquet, CSV, TSV, JSON Lines or RedCaps JSON file, also as .gz, .bz2 or .zst; or what a user's own
reader gives. Out: rows by the names of their columns, or the reason why one is none; many at once as a table where the
file allows it.
"""

import codecs
import io
import json
import zlib
from collections import deque
from collections.abc import Iterator
from typing import IO, Any

import fsspec
import pyarrow as pa
import zstandard

from pipeline.own import failure, load
from pipeline.read.blocks import Blocks, RowBlock, cut_rows, plain_block
from pipeline.read.cells import may_hold_text, values_of
from pipeline.read.columns import Layouts, Row
from pipeline.read.config import ExtractConfig
from pipeline.read.delimited import UTF_16, DelimitedRows, delimiter_of, lines_of
from pipeline.read.json_lines import is_json, json_row, json_rows
from pipeline.read.pieces import Piece, lines_within
from pipeline.read.rows import lines_in
from webimagetext.errors import UserError
from webimagetext.files import open_input
from webimagetext.parquet import UNREADABLE, open_parquet
from webimagetext.zstd import open_zstd

__all__ = ["PIECE_ROWS", "compression_of", "decompressed", "row_dicts", "rows_of"]

MAX_JSON = 1 << 30  # bytes of a file that is one JSON value

PIECE_ROWS = 10_000  # that are read one by one
TABLE_ROWS = 65_536
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".xz": "xz"}
_SIGNATURES = {b"\x1f\x8b\x08": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz"}
_HEAD = 65_536  # bytes that tell how a file is written


def rows_of(piece: Piece, extract: ExtractConfig) -> Iterator[pa.Table | RowBlock | Row | str]:
    """The rows of a piece: tables or blocks of them by the names of their columns, or one by one, as the user's own
    reader gives them; a string in place of a row is the reason why it cannot be used."""
    return _own_rows(piece.path, extract.reader) if extract.reader else _read(piece, extract)


def row_dicts(table: pa.Table) -> Iterator[Row]:
    """The rows of a table, a value that Python has nothing for being None."""
    cells = {name: values_of(table.column(name).combine_chunks()) for name in table.schema.names}
    for values in zip(*cells.values(), strict=True):
        yield dict(zip(cells, values, strict=True))


def _own_rows(path: str, reader: str) -> Iterator[Row | str]:
    call = load("extract.reader", reader)
    try:
        for row in call(path):
            yield row if isinstance(row, dict) and row else "broken_line"
    except UserError:
        raise
    except Exception as error:
        raise failure("extract.reader", reader, error) from error


def _read(piece: Piece, extract: ExtractConfig) -> Iterator[pa.Table | RowBlock | Row | str]:
    path = piece.path
    stem = path.lower().partition("?")[0]
    compression = compression_of(path)
    if compression:
        stem = stem.rpartition(".")[0]
    with open_input(path) as stream:
        try:
            if stem.endswith(".parquet"):
                yield from _read_parquet(stream, piece, extract)
                return
            if compression is None and (packed := _packing(stream.read(_HEAD))):
                raise UserError(
                    f"{path}: is packed ({packed}), and its name does not say so", "add the ending to its name"
                )
            stream.seek(0)
            plain = stream if compression is None else decompressed(stream, compression)
            if stem.endswith((".jsonl", ".ndjson")):
                yield from _read_json_lines(plain, extract, piece)
            elif stem.endswith(".json"):
                yield from _read_redcaps(plain, path)
            elif stem.endswith((".csv", ".tsv", ".tab", ".txt")) or compression:
                lines, delimiter = _begun(plain, path, comma=stem.endswith(".csv")) if piece.is_whole else (plain, "\t")
                yield from _read_delimited(lines, delimiter, piece)
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


def compression_of(path: str) -> str | None:
    """How a list is packed, by its name; None where it is not."""
    stem = path.lower().partition("?")[0]
    return next((name for suffix, name in _COMPRESSIONS.items() if stem.endswith(suffix)), None)


def _packing(head: bytes) -> str:
    """How a file that begins so is packed; "" where it is not."""
    return next((name for signature, name in _SIGNATURES.items() if head.startswith(signature)), "")


def decompressed(stream: IO[bytes], compression: str) -> IO[bytes]:
    """What a packed list holds."""
    if compression == "zstd":
        return open_zstd(stream)
    opened: Any = fsspec.compression.compr[compression](stream, mode="rb")
    return opened if hasattr(opened, "peek") else io.BufferedReader(opened)


def _read_parquet(stream: IO[bytes], piece: Piece, extract: ExtractConfig) -> Iterator[pa.Table]:
    """Tables of the columns that are used, and of nulls for the others, which may hold anything."""
    path = piece.path
    try:
        file = open_parquet(stream)
    except UNREADABLE as error:
        raise _damaged(path, error) from None
    schema = file.schema_arrow
    nothing = dict.fromkeys(schema.names)
    layouts = Layouts(extract, path)
    columns = layouts.of(nothing)
    layouts.check()
    used = set(columns.used)
    for names, what, setting in (([columns.url], "addresses", "url_column"), (columns.texts, "texts", "text_columns")):
        kinds = {str(name): schema.field(schema.names.index(name)).type for name in names}
        if not any(map(may_hold_text, kinds.values())):
            said = ", ".join(f"the column {name} holds {kind}" for name, kind in kinds.items())
            raise UserError(
                f"{path}: {said}, not {what}", f"set extract.{setting} to another one of: {', '.join(nothing)}"
            )
    groups = None if piece.stop is None else range(piece.start, piece.stop)
    batches = file.iter_batches(TABLE_ROWS, groups)
    while True:
        try:
            batch = next(batches, None)
        except UNREADABLE as error:
            raise _damaged(path, error) from None
        if batch is None:
            return
        unused = pa.nulls(batch.num_rows)
        arrays = [column if name in used else unused for name, column in zip(schema.names, batch.columns, strict=True)]
        yield pa.table(dict(zip(schema.names, arrays, strict=True)))


class _Rest(io.RawIOBase):
    """What follows in a file behind a part that was read already, with that part in front."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self._head, self._stream = head, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._head[: len(buffer)] or self._stream.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(found)] = found
        return len(found)


def _begun(stream: IO[bytes], path: str, *, comma: bool) -> tuple[IO[bytes], str]:
    """A file of lines from its beginning, and what parts its cells: with ``comma`` a comma as a rule, else a tab."""
    head = stream.read(_HEAD)
    if b"\r" in head.rstrip(b"\r") and b"\n" not in head:
        raise UserError(f"{path}: its rows end in carriage returns alone", "write it with line feeds at their ends")
    return io.BufferedReader(_Rest(head, stream)), delimiter_of(head) if comma else "\t"


def _read_delimited(stream: IO[bytes], delimiter: str, piece: Piece) -> Iterator[RowBlock | Row | str]:
    """Blocks of rows; one by one the first row, which may hold the names, and those of a file that is read in no other
    way."""
    reader = DelimitedRows(delimiter)
    if delimiter not in ",\t":
        yield from reader.read(stream)
        return
    if piece.start:
        while reader.names is None and (line := stream.readline()):  # the names of the columns stand in the first one
            deque(reader.read(io.BytesIO(line)), maxlen=0)
    blocks = Blocks(stream if piece.is_whole else lines_within(stream, piece))
    for block in blocks:
        begin = 0
        while reader.names is None and begin < len(block) and not block.startswith(UTF_16):
            end = block.find(b"\n", begin) + 1 or len(block)
            if delimiter == "," and block.count(b'"', begin, end) % 2:
                break  # it may go on
            yield from reader.read(io.BytesIO(block[begin:end]))
            begin = end
        block = block[begin:]
        names = reader.names or []
        if not names or len(set(names)) < len(names) or reader.is_of_yfcc:
            if delimiter == "\t" and not block.startswith(UTF_16):
                yield from reader.read(io.BytesIO(block))
                continue
            yield from reader.read(io.BufferedReader(_Rest(block + blocks.rest, stream)))
            return
        if (plain := plain_block(block, reader)) is not None:
            yield plain
            continue
        lines = lines_in(block, delimiter, len(names))
        if lines.goes_on(delimiter) and not blocks.is_last:
            held = lines.bytes_of(lines.stretches.pop())
            if len(held) > len(block) // 2:  # it would be looked at again and again
                yield cut_rows(lines_in(block[: len(block) - len(held)], delimiter, len(names)), reader)
                yield from reader.read(io.BufferedReader(_Rest(b"\n" + held + blocks.rest, stream)))
                return
            blocks.rest = held + blocks.rest
            lines = lines_in(block[: len(block) - len(held)], delimiter, len(names))
        yield cut_rows(lines, reader)


def _read_json_lines(stream: IO[bytes], extract: ExtractConfig, piece: Piece) -> Iterator[RowBlock | Row | str]:
    """Blocks of rows; one by one those of a file in UTF-16."""
    blocks = Blocks(stream if piece.is_whole else lines_within(stream, piece))
    first = piece.start == 0
    for block in blocks:
        if first and block.startswith(UTF_16):
            yield from map(json_row, filter(is_json, lines_of(io.BufferedReader(_Rest(block + blocks.rest, stream)))))
            return
        yield from json_rows(block.removeprefix(codecs.BOM_UTF8) if first else block, extract)
        first = False


def _read_redcaps(stream: IO[bytes], path: str) -> Iterator[Row | str]:
    """RedCaps annotations: one object with the list ``annotations``; or a list of rows, or JSON Lines called so."""
    try:
        data = stream.read(MAX_JSON + 1)
        if len(data) > MAX_JSON:
            problem = f"{path}: holds more than {MAX_JSON:,} bytes, and JSON is read as a whole"
            raise UserError(problem, "make JSON Lines of it, a row a line, in a file whose name ends in .jsonl")
        content = json.loads(data.decode(json.detect_encoding(data), "replace"))
    except (ValueError, RecursionError) as error:
        lines = map(json_row, filter(is_json, lines_of(io.BytesIO(data))))
        first = next(lines, "")
        if isinstance(first, str):
            raise UserError(f"{path}: not valid JSON: {error}", "get the file again, or leave it out") from None
        yield first
        yield from lines
        return
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise UserError(f"{path}: neither a list of rows nor an object with 'annotations'")
    for row in rows:
        yield row if isinstance(row, dict) and row else "broken_line"
