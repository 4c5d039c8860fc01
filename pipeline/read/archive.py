"""The HTTP responses of a WARC or ARC file, one after another, whatever state the file is in.

In: a path or URL. Out: :class:`Response` and :class:`Problem` items in file order. FastWARC reads WARC; where a record
is so broken that it stops, reading goes on at the next place that looks like the start of a record (or of a gzip
member). warcio reads ARC.
"""

import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urljoin

from fastwarc.warc import ArchiveIterator, WarcRecordType
from warcio.archiveiterator import ArchiveIterator as ArcIterator
from warcio.exceptions import ArchiveLoadFailed

from pipeline.net.transport import Headers
from pipeline.read.archive_file import GZIP_START, RECORD_START, SCAN_BYTES, is_arc, opened_archive
from webimagetext.foreign import one_line, valid

__all__ = ["REDIRECTS", "Passed", "Problem", "Response", "read_metadata", "read_responses"]

_ANY_START = re.compile(b"|".join((RECORD_START.pattern, GZIP_START.pattern)))
_KINDS = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.revisit | WarcRecordType.unknown
TRUNCATED = "truncated_record"
_WEB = ("http://", "https://")
REDIRECTS = (301, 302, 303, 307, 308)
_MAX_PROBLEMS = 100_000  # places at which reading is taken up again in one file


@dataclass(slots=True)
class Response:
    """One archived response. ``body`` is as stored, with whatever codings the headers tell of."""

    url: str
    headers: Headers
    body: bytes
    media_type: str  # without parameters, lower case


@dataclass(slots=True)
class Problem:
    """A record, or a stretch of the file, that gave no response."""

    url: str | None
    reason: str
    detail: str = ""


@dataclass(slots=True)
class Passed:
    """A record of a media type that nobody wants: passed over, but the archive holds an answer for its address."""

    url: str
    reason: str
    detail: str = ""


Item = Response | Problem | Passed
Wanted = Callable[[str], bool]  # whether a media type is worth reading the body of


def read_responses(path: str, wanted: Wanted, max_bytes: int) -> Iterator[Item]:
    """Every response of a wanted media type with status 200, and every problem. Raises UserError for a file that cannot
    be opened.

    Records of other kinds are left out; those of other media types are only named; revisits, other statuses and stored
    bodies over ``max_bytes`` are problems.
    """
    with opened_archive(path) as (stream, cut):
        if is_arc(stream):
            yield from _read_arc(stream, wanted, max_bytes)
        else:
            yield from _read_warc(stream, _KINDS, lambda record: _from_warc(record, wanted, max_bytes))
        if cut:
            yield Problem(None, TRUNCATED, cut)


def read_metadata(path: str, max_bytes: int) -> Iterator[Item]:
    """Every metadata record of JSON in a WAT file, as a response without headers. Raises UserError as
    :func:`read_responses`."""
    with opened_archive(path) as (stream, cut):
        yield from _read_warc(stream, WarcRecordType.metadata, lambda record: _from_wat(record, max_bytes))
        if cut:
            yield Problem(None, TRUNCATED, cut)


def _read_warc(stream: IO[bytes], kinds: Any, convert: Callable[[Any], Item | None]) -> Iterator[Item]:
    start: int | None = 0
    problems = 0
    while start is not None and problems < _MAX_PROBLEMS:
        stream.seek(start)
        last = -1  # where the last record begins
        try:
            # Of all kinds, so that the last one is known.
            for record in ArchiveIterator(stream, quirks_mode=True, fsspec_args=False):
                last = max(last, record.stream_pos)
                kind = record.record_type
                item = convert(record) if kind & kinds or kind == WarcRecordType.no_type else None
                if item is not None:
                    yield item
                if isinstance(item, Problem) and item.reason == TRUNCATED:
                    break  # a length that lies may have swallowed the next records
            else:
                if last >= 0:
                    if reason := _left_over(stream, last):
                        yield Problem(None, "broken_record", reason)
                    return
                problems += 1
                if not start:  # an empty file is told of by whoever reads it
                    stream.seek(0)
                    if not stream.read(1):
                        return
                    yield Problem(None, "broken_record", "the file does not begin with a record")
        except (OSError, ValueError) as error:
            problems += 1
            yield Problem(None, "broken_record", one_line(str(error)))
        start = _next_start(stream, max(last, start) + 1)


def _left_over(stream: IO[bytes], last: int) -> str:
    """What is wrong with the end of a file whose last record begins at ``last``; "" where that ends it. FastWARC takes
    the beginning of a record for the end."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(last)
    head = stream.read(SCAN_BYTES)
    if head[:2] == b"\x1f\x8b":
        return "" if _ends_with_a_member(stream, head) else "the file ends within a record"
    fields = re.match(rb"WARC/[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n", head)
    length = re.search(rb"(?im)^content-length:\s*(\d+)", fields[0]) if fields else None
    if fields is None or length is None:
        return ""  # in a file that is packed as a whole
    end = last + fields.end() + int(length[1])
    stream.seek(min(end, size))
    return "" if end <= size and not stream.read(SCAN_BYTES).strip() else "the file ends within a record"


def _ends_with_a_member(stream: IO[bytes], data: bytes) -> bool:
    """Whether a file ends where a gzip member does; ``data`` is what was read already, from the start of one."""
    member = zlib.decompressobj(31)
    try:
        while data:
            member.decompress(data, SCAN_BYTES)  # of a bomb, piece by piece
            if member.eof:
                data = member.unused_data.lstrip(b"\0") or stream.read(SCAN_BYTES).lstrip(b"\0")
                if not data:
                    return True
                member = zlib.decompressobj(31)
            else:
                data = member.unconsumed_tail or stream.read(SCAN_BYTES)
    except zlib.error:
        return False
    return False


def _from_wat(record: Any, max_bytes: int) -> Response | Problem | None:
    url = _target(record)
    if "json" not in (record.headers.get("Content-Type") or "").lower():
        return None
    return _whole(record, url, {}, "application/json", max_bytes)


def _target(record: Any) -> str:
    return valid(record.headers.get("WARC-Target-URI") or "").strip().strip("<>")


def _from_warc(record: Any, wanted: Wanted, max_bytes: int) -> Item | None:
    url = _target(record)
    if record.record_type == WarcRecordType.revisit:
        return Problem(url, "revisit")
    if record.record_type in (WarcRecordType.unknown, WarcRecordType.no_type) and not _answers(record):
        return Problem(url or None, "broken_record", "no known record type")
    headers: Headers
    status = 200
    if record.record_type == WarcRecordType.resource:
        headers = {"content-type": (valid(record.headers.get("Content-Type") or ""),)}
    elif record.http_headers is not None and record.http_headers.status_code:
        headers = _grouped(record.http_headers.items())
        status = record.http_headers.status_code
    else:
        return Problem(url, "no_http_headers") if url.startswith(_WEB) else None  # of a name look-up, say
    media_type = _media_type(headers)
    if not wanted(media_type):
        return _passed(url, status, headers)
    if not url.startswith(_WEB):
        return Problem(url or None, "bad_url")
    if status != 200:
        return Problem(url, f"http_{status}", _leads_to(url, status, headers))
    return _whole(record, url, headers, media_type, max_bytes)


def _answers(record: Any) -> bool:
    """Whether a record without a type holds an answer of a server; one of a type that is not known here may be
    anything."""
    untyped = record.record_type == WarcRecordType.no_type
    return untyped and record.http_headers is not None and bool(record.http_headers.status_code)


def _whole(record: Any, url: str, headers: Headers, media_type: str, max_bytes: int) -> Response | Problem:
    length = record.content_length
    if length > max_bytes:
        return Problem(url, "too_large", str(length))
    body = record.reader.read()
    if len(body) < length:
        return Problem(url, TRUNCATED, f"{len(body)} of {length} bytes")
    return Response(url, headers, body, media_type)


def _next_start(stream: IO[bytes], begin: int) -> int | None:
    """Where, from ``begin`` on, a record or a gzip member may start."""
    stream.seek(0)
    head = stream.read(5)
    pattern = GZIP_START if head[:2] == b"\x1f\x8b" else RECORD_START if head == b"WARC/" else _ANY_START
    stream.seek(begin)
    kept = b""
    while chunk := stream.read(SCAN_BYTES):
        window = kept + chunk
        found = pattern.search(window)
        if found:
            return begin - len(kept) + found.start()
        begin += len(chunk)
        kept = window[-16:]
    return None


def _read_arc(stream: IO[bytes], wanted: Wanted, max_bytes: int) -> Iterator[Item]:
    records = iter(ArcIterator(stream, arc2warc=False))
    while True:
        try:
            record = next(records, None)
            if record is None:
                return
            item = _from_arc(record, wanted, max_bytes)
        except (
            ArchiveLoadFailed,
            OSError,
            ValueError,
            EOFError,
            AttributeError,
            zlib.error,
            gzip.BadGzipFile,
        ) as error:
            yield Problem(None, "broken_record", one_line(str(error)))
            return
        if item is not None:
            yield item


def _passed(url: str, status: int, headers: Headers) -> Passed | None:
    """A record that was passed over, where it is an answer on the web."""
    reason = "wrong_type" if status == 200 else f"http_{status}"
    return Passed(url, reason, _leads_to(url, status, headers)) if url.startswith(_WEB) else None


def _leads_to(url: str, status: int, headers: Headers) -> str:
    """Where a redirect leads; "" for other answers, and where it does not say."""
    location = headers.get("location", ("",))[0].strip() if status in REDIRECTS else ""
    try:
        return urljoin(url, location) if location else ""
    except ValueError:
        return ""


def _from_arc(record: Any, wanted: Wanted, max_bytes: int) -> Item | None:
    url = valid(record.rec_headers.get_header("uri") or "")
    if not url.startswith(_WEB) or record.http_headers is None:
        return None
    headers = _grouped(record.http_headers.headers)
    media_type = _media_type(headers)
    code = record.http_headers.get_statuscode()[:3]
    status = int(code) if code.isdigit() else 0
    if not wanted(media_type):
        return _passed(url, status, headers)
    if status != 200:
        return Problem(url, f"http_{status}", _leads_to(url, status, headers))
    body = record.raw_stream.read(max_bytes + 1)
    if len(body) > max_bytes:
        return Problem(url, "too_large")
    if record.raw_stream.limit > 0:
        return Problem(url, TRUNCATED, f"{len(body)} bytes read")
    return Response(url, headers, body, media_type)


def _grouped(pairs: Any) -> Headers:
    headers: Headers = {}
    for name, value in pairs:
        name = valid(name).lower()
        headers[name] = (*headers.get(name, ()), valid(value))
    return headers


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", ("",))[0].partition(";")[0].strip().lower()
