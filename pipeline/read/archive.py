"""The HTTP responses of a WARC or ARC file, one after another, whatever state the file is in.

In: a path or URL. Out: the items of archive_items.py in file order. FastWARC reads WARC; where a record is so broken
that it stops, reading goes on at the next place that looks like the start of a record (or of a gzip member).
"""

import io
from collections.abc import Callable, Generator, Iterator
from typing import IO, Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from pipeline.net.transport import Headers
from pipeline.read.arc import read_arc
from pipeline.read.archive_file import is_arc, opened_archive
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
from pipeline.read.record_ends import end_of_record, ends_the_file, first_missed, next_place, next_start
from webimagetext.foreign import one_line, valid

__all__ = ["read_metadata", "read_record", "read_responses"]

_KINDS = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.revisit | WarcRecordType.unknown


def read_responses(path: str, wanted: Wanted, max_bytes: int) -> Iterator[Item]:
    """Every response of a wanted media type with status 200, and every problem. Raises UserError for a file that cannot
    be opened.

    Records of other kinds are left out; those of other media types are only named; revisits, other statuses and stored
    bodies over ``max_bytes`` are problems.
    """
    with opened_archive(path) as (stream, cut):
        if is_arc(stream):
            yield from read_arc(stream, wanted, max_bytes)
        else:
            yield from _read_warc(stream, _KINDS, lambda record: _from_warc(record, wanted, max_bytes))
        if cut:
            yield Problem(None, TRUNCATED, cut)


def read_record(content: bytes, wanted: Wanted, max_bytes: int) -> Iterator[Item]:
    """As :func:`read_responses`, of the bytes of a record, packed or not, that were cut out of an archive."""
    yield from _read_warc(io.BytesIO(content), _KINDS, lambda record: _from_warc(record, wanted, max_bytes))


def read_metadata(path: str, max_bytes: int) -> Iterator[Item]:
    """Every metadata record of JSON in a WAT file, as a response without headers. Raises UserError as
    :func:`read_responses`."""
    with opened_archive(path) as (stream, cut):
        yield from _read_warc(stream, WarcRecordType.metadata, lambda record: _from_wat(record, max_bytes))
        if cut:
            yield Problem(None, TRUNCATED, cut)


def _read_warc(stream: IO[bytes], kinds: Any, convert: Callable[[Any], Item | None]) -> Iterator[Item]:
    start = 0
    for _ in range(MAX_PROBLEMS):
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
                    yield Problem(held.url if held else None, BROKEN, "it does not end where it says")
                    return missed
                if held is not None:
                    yield held
                held = Problem(None, BROKEN, f"what ends at byte {place:,} is no record")
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
            yield Problem(None, BROKEN, error or "the file does not begin with a record")
        return start + 1
    whole = not error and ends_the_file(stream, last, length)
    behind = last if whole else end_of_record(stream, last, length) if read else None
    if behind is None:  # the last record is to blame, otherwise what follows it is
        yield Problem(held.url if held else None, BROKEN, error or "the file ends within a record")
        return last + 1
    if held is not None:
        yield held
    if whole:
        return None
    yield Problem(None, BROKEN, error or f"no record begins at byte {behind:,}")
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
        return Problem(url or None, BROKEN, "no known record type")
    headers: Headers
    status = 200
    if record.record_type == WarcRecordType.resource:
        headers = {"content-type": (valid(record.headers.get("Content-Type") or ""),)}
    elif record.http_headers is not None and record.http_headers.status_code:
        headers = grouped(record.http_headers.items())
        status = record.http_headers.status_code
    else:
        return Problem(url, "no_http_headers") if url.startswith(WEB) else None  # of a name look-up, say
    media_type = media_type_of(headers)
    if not wanted(media_type):
        return passed(url, status, headers)
    if not url.startswith(WEB):
        return Problem(url or None, "bad_url")
    if status != 200:
        return Problem(url, f"http_{status}", leads_to(url, status, headers))
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
