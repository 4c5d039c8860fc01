"""The HTTP responses of a WARC or ARC file, one after another, whatever state the file is in.

In: a path or URL. Out: :class:`Response` and :class:`Problem` items in file order. FastWARC reads WARC; where a record
is so broken that it stops, reading goes on at the next place that looks like the start of a record (or of a gzip
member). warcio reads ARC.
"""

import gzip
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urljoin

from fastwarc.warc import ArchiveIterator, WarcRecordType
from warcio.archiveiterator import ArchiveIterator as ArcIterator
from warcio.exceptions import ArchiveLoadFailed

from pipeline.net.transport import Headers
from pipeline.read.archive_file import is_arc, opened_archive
from pipeline.read.record_ends import end_of_record, ends_the_file, first_missed, next_place, next_start
from webimagetext.foreign import one_line, valid

__all__ = ["REDIRECTS", "Passed", "Problem", "Response", "read_metadata", "read_responses"]

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
    start = 0
    for _ in range(_MAX_PROBLEMS):
        place = yield from _read_from(stream, start, kinds, convert)
        found = None if place is None else next_start(stream, place)
        if found is None:
            return
        start = found


def _read_from(
    stream: IO[bytes], start: int, kinds: Any, convert: Callable[[Any], Item | None]
) -> Generator[Item, None, int | None]:
    """Reads on from ``start`` as far as that goes; returns from where on to look for another record, None at the end.

    What a record gave is told when the next one begins: until then it may not end where it says.
    """
    stream.seek(start)
    plain = stream.read(2) != b"\x1f\x8b"
    stream.seek(start)
    last, length = -1, 0  # where the last record begins, and its block's length
    expected = 0 if plain and not start else -1  # where the next one does
    held: Item | None = None
    read, error = True, ""
    try:
        # Of all kinds, so that the last one is known. What stands between two records is passed over.
        for record in ArchiveIterator(stream, parse_http=False, quirks_mode=True, fsspec_args=False):
            place = record.stream_pos
            if place != expected >= 0 and (missed := first_missed(stream, last, length, place)) is not None:
                if missed < place:
                    yield Problem(held.url if held else None, "broken_record", "it does not end where it says")
                    return missed
                if held is not None:
                    yield held
                held = Problem(None, "broken_record", f"what ends at byte {place:,} is no record")
            if held is not None:
                yield held
            last, length, held, read = max(last, place), record.content_length, None, False
            if plain:
                expected = next_place(record)
            kind = record.record_type
            if kind & kinds or kind == WarcRecordType.no_type:
                record.parse_http(quirks_mode=True)
                held = convert(record)
                if isinstance(held, Problem) and held.reason == TRUNCATED:
                    yield held
                    return last + 1  # a length that lies may have swallowed the next records
            read = True
    except (OSError, ValueError) as problem:
        error = one_line(str(problem))
    if last < 0:
        stream.seek(0)
        if error or (not start and stream.read(1)):
            yield Problem(None, "broken_record", error or "the file does not begin with a record")
        return start + 1
    whole = not error and ends_the_file(stream, last, length)
    behind = last if whole else end_of_record(stream, last, length) if read else None
    if behind is None:  # the last record is to blame, otherwise what follows it is
        yield Problem(held.url if held else None, "broken_record", error or "the file ends within a record")
        return last + 1
    if held is not None:
        yield held
    if whole:
        return None
    yield Problem(None, "broken_record", error or f"no record begins at byte {behind:,}")
    return behind + 1


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
