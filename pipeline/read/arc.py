"""The answers of an ARC file, the format before WARC, one after another, whatever state the file is in.

In: the stream of an archive. Out: the items of archive_items.py in file order. warcio reads the records; where one is
broken, reading goes on at the next line that looks like the first one of a record, or at the next gzip member.
"""

import gzip
import re
import zlib
from collections.abc import Generator, Iterator
from typing import IO, Any

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from pipeline.read.archive_items import (
    BROKEN,
    MAX_PROBLEMS,
    TRUNCATED,
    WEB,
    Item,
    Problem,
    Response,
    Wanted,
    grouped,
    leads_to,
    media_type_of,
    passed,
)
from pipeline.read.record_ends import end_of_record, ends_the_file, next_start
from webimagetext.foreign import one_line, valid

__all__ = ["read_arc"]

# An address, where it was found, when, what it is, and at last how many bytes follow.
_LINE = re.compile(rb"(?<=\n)[A-Za-z]{3,10}:[^\n]{1,4000} \d{14} [^\n]{1,600} \d+\r?\n")
_BROKEN = (ArchiveLoadFailed, OSError, ValueError, EOFError, AttributeError, zlib.error, gzip.BadGzipFile)


class _Records(ArchiveIterator):
    """warcio's iterator, which keeps the line that it passes over behind a record, and where that begins, and says
    nothing of it."""

    passed_over, passed_at = b"", 0

    @property
    def INC_RECORD(self) -> "_Records":  # noqa: N802
        return self

    def format(self, offset: int, line: bytes) -> str:
        """Stands in for the warning that names the line."""
        self.passed_over, self.passed_at = line, offset
        return ""


def read_arc(stream: IO[bytes], wanted: Wanted, max_bytes: int) -> Iterator[Item]:
    """Every answer of a wanted media type with status 200, and every problem."""
    start = 0
    for _ in range(MAX_PROBLEMS):
        begin = yield from _read_from(stream, start, wanted, max_bytes)
        if begin is None:
            return
        start = begin


def _read_from(stream: IO[bytes], start: int, wanted: Wanted, max_bytes: int) -> Generator[Item, None, int | None]:
    """Reads on from ``start`` as far as that goes; returns where another record may begin, None where none does."""
    stream.seek(start)
    records = _Records(stream, arc2warc=False)
    last: int = start
    error = ""
    held: Item | None = None
    try:
        for record in records:
            if records.passed_over:
                break
            if held is not None:
                yield held
            last, held = int(records.offset), None
            held = _from_arc(record, wanted, max_bytes)
            if isinstance(held, Problem) and held.reason == TRUNCATED:
                yield held
                return next_start(stream, last + 1, _LINE)  # a length that lies may have swallowed the next records
    except _BROKEN as problem:
        error = one_line(str(problem))
    if records.passed_over and _LINE.match(b"\n" + records.passed_over, 1):  # no empty line is between the two
        if held is not None:
            yield held
        return records.passed_at
    whole = not error and not records.passed_over and ends_the_file(stream, last, 0)
    behind = last if whole else int(records.offset) if error else end_of_record(stream, last, 0)
    if records.passed_over or behind is None or (error and behind == last):  # the last record is to blame
        yield Problem(held.url if held else None, BROKEN, error or "it does not end where it says")
        return next_start(stream, last + 1, _LINE)
    if held is not None:
        yield held
    if whole:
        return None
    yield Problem(None, BROKEN, error or f"no record begins at byte {behind:,}")
    return next_start(stream, behind + 1, _LINE)


def _from_arc(record: Any, wanted: Wanted, max_bytes: int) -> Item | None:
    url = valid(record.rec_headers.get_header("uri") or "")
    if not url.startswith(WEB):
        answer = record.http_headers is not None or record.raw_stream.read(5) == b"HTTP/"
        return Problem(url or None, "bad_url") if answer else None  # of a name look-up, say
    if record.http_headers is None:
        return Problem(url, "no_http_headers")
    headers = grouped(record.http_headers.headers)
    media_type = media_type_of(headers)
    code = record.http_headers.get_statuscode()[:3]
    status = int(code) if code.isdigit() else 0
    if not wanted(media_type):
        return passed(url, status, headers)
    if status != 200:
        return Problem(url, f"http_{status}", leads_to(url, status, headers))
    body = record.raw_stream.read(max_bytes + 1)
    if len(body) > max_bytes:
        return Problem(url, "too_large")
    if record.raw_stream.limit > 0:
        return Problem(url, TRUNCATED, f"{len(body)} bytes read")
    return Response(url, headers, body, media_type)
