"""Where a record of a WARC file ends, and where reading can be taken up again.

In: the stream of an archive, and where a record begins. Out: places in it. All of this is asked only where something is
wrong, and at the end of a file: whether a record ends where it says tells whose fault it is that no other follows.
"""

import os
import re
import zlib
from typing import IO, Any

from pipeline.read.archive_file import GZIP_START, RECORD_START, SCAN_BYTES

__all__ = ["end_of_record", "ends_the_file", "first_missed", "next_place", "next_start"]

_GZIP = b"\x1f\x8b"
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")
_LONGEST_START = 1 << 13
_HEAD_BYTES = 1 << 16  # FastWARC takes no longer head
_BEHIND = (b"\r\n\r\n", b"\n\n")


def next_place(record: Any) -> int:
    """Where the record after this one begins in a plain file, if this one is written as nearly all are: cheaply, and
    before its HTTP head is read."""
    headers = record.headers
    head = sum([len(name) + len(value) + 4 for name, value in headers.items_bytes()])
    # Behind the first line stands the end of a line, behind the head another, and behind the block two.
    place: int = record.stream_pos + len(headers.status_line_bytes or b"") + head + record.content_length + 8
    return place


def end_of_record(stream: IO[bytes], start: int, length: int) -> int | None:
    """Where the record that begins at ``start`` and has a block of ``length`` bytes ends, with the empty space behind
    it; None where it does not end there, or is damaged. Of one that is packed this is where its gzip member ends."""
    stream.seek(start)
    head = stream.read(_HEAD_BYTES)
    if head[:2] == _GZIP:
        return _end_of_member(stream, head)
    blank = _BLANK_LINE.search(head)
    if blank is None:
        return None
    end = start + blank.end() + length
    if end > stream.seek(0, os.SEEK_END):
        return None
    stream.seek(end)
    behind = stream.read(_HEAD_BYTES)
    space = len(behind) - len(behind.lstrip())
    return end + space if space == len(behind) or behind.startswith(_BEHIND) else None


def _end_of_member(stream: IO[bytes], data: bytes) -> int | None:
    """Where the gzip member that ``data`` begins, and that the stream stands behind, ends, with the zeros behind it;
    None where it is damaged or cut off."""
    member = zlib.decompressobj(31)
    try:
        while data and not member.eof:
            member.decompress(data, SCAN_BYTES)  # of a bomb, piece by piece
            if not member.eof:
                data = member.unconsumed_tail or stream.read(SCAN_BYTES)
    except zlib.error:
        return None
    if not member.eof:
        return None
    end = stream.tell() - len(member.unused_data)
    stream.seek(end)
    behind = stream.read(SCAN_BYTES)
    return end + len(behind) - len(behind.lstrip(b"\0"))


def ends_the_file(stream: IO[bytes], start: int, length: int) -> bool:
    """Whether a file ends with the record that begins at ``start``; of a packed one, whether it ends where a member
    does, and of one that was packed as a whole, where nobody knows, that it does. FastWARC takes the beginning of a
    record for the end."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(start)
    packed = stream.read(5)
    if packed[:2] != _GZIP:
        return packed != b"WARC/" or end_of_record(stream, start, length) == size
    place: int | None = start
    while place is not None and place < size:
        stream.seek(place)
        place = _end_of_member(stream, stream.read(_HEAD_BYTES))
    return place is not None


def next_start(stream: IO[bytes], begin: int, of_arc: re.Pattern[bytes] | None = None) -> int | None:
    """Where, from ``begin`` on, a record or a gzip member may start; ``of_arc`` is how those of a plain ARC file do."""
    stream.seek(0)
    head = stream.read(5)
    if head[:2] == _GZIP:
        pattern = GZIP_START
    elif head == (b"filed" if of_arc else b"WARC/"):
        pattern = of_arc or RECORD_START
    else:
        pattern = re.compile(b"|".join(((of_arc or RECORD_START).pattern, GZIP_START.pattern)))
    stream.seek(begin)
    kept = b""
    while chunk := stream.read(SCAN_BYTES):
        window = kept + chunk
        found = pattern.search(window)
        if found:
            return begin - len(kept) + found.start()
        begin += len(chunk)
        kept = window[-_LONGEST_START:]
    return None


def first_missed(stream: IO[bytes], start: int, length: int, place: int) -> int | None:
    """What is wrong between a record that begins at ``start`` (before the first one: -1) and the one that was found at
    ``place``: where the first one begins that its length has swallowed; ``place`` where it has swallowed none, but
    something else lies there; None where nothing is wrong."""
    here = stream.tell()
    if start < 0:
        stream.seek(0)
        end: int | None = -1 if stream.read(min(place, _HEAD_BYTES)).strip() else place
    else:
        end = end_of_record(stream, start, length)
    first = next_start(stream, start + 1) if end is None else place
    stream.seek(here)  # of the reading that goes on there
    return None if end == place else first
