"""Places in input files that stand for all of them, each copied into a small file that the usual readers read.

In: the paths of lists or archives. Out: :class:`Stratum`, the files of one form with the places to look at; and
:func:`cut`, a place as a file of its own. Places are spread over all bytes, each drawn by a hash within its stretch:
the same ones every time. Of what is packed as a whole only the beginning can be looked at.
"""

import contextlib
import io
import itertools
import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipeline.hashing import hash64
from pipeline.read.archive_file import GZIP_START, RECORD_START, SCAN_BYTES
from pipeline.read.columns import Layouts
from pipeline.read.config import ExtractConfig
from pipeline.read.delimited import MAX_LINE, UTF_16
from pipeline.read.list_file import compression_of, decompressed
from pipeline.read.pieces import PARQUET
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.parquet import UNREADABLE, open_parquet

__all__ = ["SPOTS", "Spot", "Stratum", "cut", "strata_of"]

SPOTS = 40
PACKED_ROW_BYTES = 80  # of a list, about
HEAD_BYTES = 1 << 16
ARCHIVE_SPOT_BYTES = 2_000_000
_OF_LINES = (".tsv", ".tab", ".csv", ".txt", ".jsonl", ".ndjson")
_WITH_NAMES = (".tsv", ".tab", ".csv", ".txt")
_KNOWN = {end[1:] for end in (*_OF_LINES, *PARQUET, ".json", ".warc", ".arc", ".wat", ".gz", ".bz2", ".xz", ".zst")}
_OF_RECORDS = (".warc", ".warc.gz", ".wat", ".wat.gz")


@dataclass(frozen=True)
class Spot:
    """Bytes ``start`` to ``stop`` of a file of ``size`` bytes."""

    path: str
    start: int
    stop: int
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the file."""
        return self.start == 0 and self.stop >= self.size


@dataclass(frozen=True)
class Stratum:
    """The input files of one form: how many ``files``, their ``bytes`` in all, and the places to look at."""

    form: str
    files: int
    bytes: float
    spots: tuple[Spot, ...]


def strata_of(paths: Sequence[str], rows: int, archives: bool) -> list[Stratum]:
    """The places to look at, for about so many ``rows`` in all."""
    forms: dict[str, list[str]] = {}
    for path in paths:
        forms.setdefault(_form_of(path), []).append(path)
    found = []
    for form, members in sorted(forms.items()):
        number = max(2, round(SPOTS * len(members) / len(paths)))
        share = rows * len(members) / len(paths) / number
        if archives:
            span = min(ARCHIVE_SPOT_BYTES, int(share * ARCHIVE_SPOT_BYTES / 500))
        else:
            span = int(share * _row_bytes(min(members, key=hash64), form))
        found.append(_stratum(form, members, number, max(span, 1)))
    return found


def _row_bytes(path: str, form: str) -> float:
    """How many bytes of its file a row takes, about."""
    with files.open_input(path) as stream:
        try:
            if form.endswith(PARQUET):
                rows = int(open_parquet(stream, pages=False).metadata.num_rows)
                return files.size(path) / max(1, rows)
        except UNREADABLE:
            return PACKED_ROW_BYTES  # whoever reads it says so
        head = stream.read(HEAD_BYTES)
    compression = compression_of(path)
    plain = _unpacked(head, compression) if compression else head
    return len(head) / max(1, plain.count(b"\n"))


def _form_of(path: str) -> str:
    """How the name ends, such as .warc.wat.gz."""
    words = path.lower().partition("?")[0].split(".")
    return "".join(reversed([f".{word}" for word in itertools.takewhile(_KNOWN.__contains__, reversed(words))]))


def _stratum(form: str, paths: list[str], number: int, span: int) -> Stratum:
    looked_at = sorted(paths, key=hash64)[: None if not files.is_url(paths[0]) else number]
    sizes = {path: files.size(path) for path in looked_at}
    in_all = sum(sizes.values()) * len(paths) / len(looked_at)
    if sum(sizes.values()) <= number * span and len(looked_at) == len(paths):
        spots = [Spot(path, 0, size, size) for path, size in sizes.items()]
    elif form.endswith((*_OF_LINES, *PARQUET, *_OF_RECORDS)):
        spots = list(_spread(sizes, number, span))
    else:
        first = [path for path in looked_at if sizes[path]][:number]
        each = number * span // max(1, len(first))
        spots = [Spot(path, 0, min(each, sizes[path]), sizes[path]) for path in first]
    return Stratum(form, len(paths), in_all, tuple(spots))


def _spread(sizes: dict[str, int], number: int, span: int) -> list[Spot]:
    """So many places of ``span`` bytes over files end to end: one in each stretch of equal length, none over others."""
    total = sum(sizes.values())
    spots: list[Spot] = []
    path_of, before = iter(sizes.items()), 0
    path, size = next(path_of)
    for stretch in range(number):
        place = int((stretch + hash64(f"{stretch} {path}") / 2.0**64) * total / number)
        while place >= before + size:
            before += size
            path, size = next(path_of)
        start = place - before
        if spots and spots[-1].path == path:
            spots[-1] = replace(spots[-1], stop=min(spots[-1].stop, start))
        spots.append(Spot(path, start, min(start + span, size), size))
    return [spot for spot in spots if spot.stop > spot.start]


def cut(spot: Spot, folder: str, extract: ExtractConfig) -> tuple[str, float]:
    """A place as a file that is read as the whole would be, written into ``folder`` where it is not the whole; returns
    its path, and how many bytes it stands for. Raises UserError for a file that cannot be read."""
    if spot.is_whole:
        return spot.path, spot.size
    form = _form_of(spot.path)
    to = os.path.join(folder, f"{hash64(f'{spot.path} {spot.start}'):016x}")
    with files.open_input(spot.path) as stream, open(to + form, "wb") as made:
        if form.endswith(PARQUET):
            return to + form, _cut_rows(spot, stream, made, extract)
        if form.endswith(_OF_RECORDS):
            return to + form, _cut_records(spot, stream, made)
        if form.endswith(_OF_LINES) and stream.read(2) not in UTF_16:
            return to + form, _cut_lines(spot, stream, made, form.endswith(_WITH_NAMES))
        stream.seek(0)
        if (name := compression_of(spot.path)) and "arc" not in form:
            plain = os.path.splitext(form)[0] or ".tsv"
            with open(to + plain, "wb") as unpacked:
                return to + plain, _cut_packed(spot, stream, unpacked, name)
        made.write(stream.read(spot.stop))
        return to + form, spot.stop


def _cut_lines(spot: Spot, stream: IO[bytes], made: IO[bytes], has_names: bool) -> float:
    """The lines that begin in the place, behind the first line, which may hold the names of the columns."""
    stream.seek(0)
    if has_names and spot.start:
        made.write(stream.readline(MAX_LINE))
    if spot.start:
        stream.seek(spot.start - 1)
        stream.readline(MAX_LINE)
    while stream.tell() < spot.stop and (line := stream.readline(MAX_LINE)):
        made.write(line)
    return spot.stop - spot.start


def _cut_records(spot: Spot, stream: IO[bytes], made: IO[bytes]) -> float:
    """The records that begin in the place, the last one to its end."""
    pattern = GZIP_START if stream.read(2) == b"\x1f\x8b" else RECORD_START
    stream.seek(spot.start)
    span = spot.stop - spot.start
    content = stream.read(span + SCAN_BYTES)
    begin = pattern.search(content) if spot.start else re.match(b"", content)
    if begin is not None and begin.start() < span:
        end = pattern.search(content, max(span, begin.end() + 1))
        made.write(content[begin.start() : end.start() if end else len(content)])
    return span


def _cut_rows(spot: Spot, stream: IO[bytes], made: IO[bytes], extract: ExtractConfig) -> float:
    """The rows of a Parquet file from the one that lies as far within it as the place does."""
    try:
        file = open_parquet(stream)
        layouts = Layouts(extract, spot.path)
        columns = layouts.of(dict.fromkeys(file.schema_arrow.names))
        layouts.check()
        rows = int(file.metadata.num_rows)
        first, wanted = (int(rows * part / spot.size) for part in (spot.start, spot.stop - spot.start))
        before, group = 0, 0
        while before + file.metadata.row_group(group).num_rows <= first:
            before += file.metadata.row_group(group).num_rows
            group += 1
        batches, held = [], 0
        for batch in file.iter_batches(8192, [group], list(dict.fromkeys(columns.used))):
            begin = max(0, first - before)
            if begin < batch.num_rows and held < max(1, wanted):
                batches.append(batch.slice(begin, max(1, wanted) - held))
                held += batches[-1].num_rows
            before += batch.num_rows
            if held >= max(1, wanted):
                break
        pq.write_table(pa.Table.from_batches(batches), made)
    except UNREADABLE as error:
        told = " ".join(str(error).split())[:200]
        raise UserError(f"{spot.path}: the file is damaged: {told}", "get the file again, or leave it out") from None
    return float(held * spot.size / rows)


def _cut_packed(spot: Spot, stream: IO[bytes], made: IO[bytes], compression: str) -> float:
    """The beginning of a packed list, to the end of a line."""
    lines, _, _ = _unpacked(stream.read(spot.stop), compression).rpartition(b"\n")
    made.write(lines + b"\n")
    return spot.stop


def _unpacked(head: bytes, compression: str) -> bytes:
    """What the beginning of a packed file holds, as far as it goes."""
    pieces = []
    with contextlib.suppress(OSError, EOFError, zlib.error, zstandard.ZstdError):
        opened: Any = decompressed(io.BytesIO(head), compression)
        while piece := opened.read1(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)
