"""The file of an archive: opened so that reading can take up again at any place of it, and known for what it is.

In: a path or URL. Out: a stream of WARC, WAT or ARC records, as they are or in gzip members. Zstandard is unpacked into
a temporary file. What is no archive is an error that names the file, never an archive without records.
"""

import contextlib
import itertools
import re
import tempfile
import zlib
from collections.abc import Iterator
from typing import IO

import zstandard

from webimagetext.errors import UserError
from webimagetext.files import open_input
from webimagetext.zstd import STARTS, open_zstd

__all__ = ["GZIP_START", "RECORD_START", "SCAN_BYTES", "is_arc", "opened_archive"]

SCAN_BYTES = 1 << 20
RECORD_START = re.compile(rb"WARC/\d\.\d+\r?\n")
_LIKE_A_RECORD = re.compile(rb"(?:\A|\n)\s{0,9}WARC|WARC-[A-Z][a-z]+")
GZIP_START = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]")
_ARC_START = b"filedesc:"
_ARC_LINE = re.compile(rb"[A-Za-z]{3,10}:[^\n]{1,4000} \d{14} ")
MAX_MEMBERS = 100  # looked into


@contextlib.contextmanager
def opened_archive(path: str) -> Iterator[tuple[IO[bytes], str]]:
    """(the file, why it is not whole); one packed by Zstandard comes unpacked as far as it goes, since reading takes
    up again at any place of it. Raises UserError for what is no archive at all."""
    with open_input(path) as stream:
        head = stream.read(4)
        stream.seek(0)
        if head in STARTS:
            with tempfile.TemporaryFile() as plain:
                cut = _unpack(stream, plain, path)
                _check_kind(plain, path)
                yield plain, cut
        else:
            _check_kind(stream, path)
            yield stream, ""


def _unpack(stream: IO[bytes], plain: IO[bytes], path: str) -> str:
    """Unpacks the frames of a .warc.zst, whose dictionary, if any, is the first of them; says if they are cut off."""
    cut = ""
    try:
        packed = open_zstd(stream, own_dictionary=True)
        while piece := packed.read1(SCAN_BYTES):
            plain.write(piece)
    except EOFError as error:
        cut = str(error)
    except zstandard.ZstdError as error:
        raise UserError(f"{path}: the file is damaged: {error}", "get the file again, or leave it out") from None
    plain.seek(0)
    return cut


def _check_kind(stream: IO[bytes], path: str) -> None:
    """Raises UserError for a file in whose first megabyte no record of an archive begins, packed or not."""
    head = stream.read(SCAN_BYTES)
    stream.seek(0)
    begins = head[:1000]
    if not begins.strip() or begins.startswith(_ARC_START) or _LIKE_A_RECORD.search(begins):
        return
    if _packs_records(head) or _LIKE_A_RECORD.search(head):
        return
    raise UserError(
        f"{path}: is no WARC, ARC or WAT file: it begins with {head[:16]!r}",
        "leave it out of extract.inputs, or set extract.source to what it is",
    )


def _packs_records(head: bytes) -> bool:
    """Whether one of the gzip members in ``head`` holds a record of an archive, or the first is too damaged to tell."""
    damaged = False
    for found in itertools.islice(GZIP_START.finditer(head), MAX_MEMBERS):
        try:
            text = zlib.decompressobj(31).decompress(head[found.start() : found.start() + 65_536], 4096)
        except zlib.error:
            damaged |= found.start() == 0
            continue
        if _LIKE_A_RECORD.search(text) or _begins_arc(text):
            return True
    return damaged


def _begins_arc(text: bytes) -> bool:
    return text.startswith(_ARC_START) or _ARC_LINE.match(text) is not None


def is_arc(stream: IO[bytes]) -> bool:
    """Whether a file is in the format before WARC; where its first member is damaged, the next one tells."""
    head = stream.read(SCAN_BYTES)
    stream.seek(0)
    if head.startswith((_ARC_START, b"WARC/")):
        return head.startswith(_ARC_START)
    for found in itertools.islice(GZIP_START.finditer(head), MAX_MEMBERS):
        try:
            text = zlib.decompressobj(31).decompress(head[found.start() : found.start() + 65_536], 4096)
        except zlib.error:
            continue
        if text:
            return _begins_arc(text)
    return False
