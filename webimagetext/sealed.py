"""Files that carry their own checksum, for those that no manifest names: a last line with the CRC-32 of all before it.

In: bytes. Out: the same with the line, and back; NumPy reads its own files with the line after them. A file that was
cut short, or of which one bit changed, is told from a whole one. A Parquet file, which must end as it does, has the
checksum in its metadata: of the file as it is with zeros in that place. One that is written piece by piece has the line
between its last page and its footer, where no reader looks.
"""

import io
import os
import re
import zlib
from typing import IO, Any

__all__ = [
    "PARQUET_SEAL",
    "SEAL_BYTES",
    "Sealing",
    "SealingParquet",
    "is_broken_parquet",
    "is_sealed",
    "is_sealed_parquet",
    "seal",
    "seal_parquet",
    "unseal",
]

_STATED = re.compile(rb"crc32:([0-9a-f]{8})")
_NAME = b"crc32_of_file"
# The entry as the footer has it, whatever its name has become.
_ENTRY = re.compile(rb"\x18\x0d.{13}\x18\x0ecrc32:[0-9a-f]{8}", re.DOTALL)
_ZEROS = b"crc32:00000000"
# What the metadata of the schema holds when a Parquet file is written that is to be sealed.
PARQUET_SEAL = {_NAME: _ZEROS}

_MARK = b"\nCRC-32 "
SEAL_BYTES = len(_MARK) + 9
_FOOTER_END = 8  # the footer's length, and the letters that end a Parquet file
_PIECE = 1 << 20


def _line(crc: int) -> bytes:
    return _MARK + b"%08x\n" % crc


def seal(content: bytes) -> bytes:
    """``content`` with the line of its checksum."""
    return content + _line(zlib.crc32(content))


def unseal(sealed: bytes) -> bytes | None:
    """What was sealed; None where it is not whole."""
    content = sealed[:-SEAL_BYTES]
    return content if len(sealed) >= SEAL_BYTES and seal(content) == sealed else None


class Sealing:
    """Seals what is written through it, without holding it: for files that are too large for :func:`seal`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._crc = stream, 0

    def write(self, data: Any) -> int:
        """Writes bytes."""
        self._crc = zlib.crc32(data, self._crc)
        return self._stream.write(data)

    def close(self) -> None:
        """Writes the line of the checksum; the stream stays open."""
        self._stream.write(_line(self._crc))


def is_sealed(stream: IO[bytes]) -> bool:
    """Whether a file, from its start to its end, is as it was sealed: :func:`unseal` without holding it."""
    crc, held = 0, b""
    while data := stream.read(_PIECE):
        held += data
        crc = zlib.crc32(held[:-SEAL_BYTES], crc)
        held = held[-SEAL_BYTES:]
    return held == _line(crc)


def seal_parquet(content: bytes) -> bytes:
    """A Parquet file, written with PARQUET_SEAL last in its schema's metadata, with its checksum there."""
    place = content.rindex(_ZEROS)  # what else may hold such a text stands before the metadata
    return content[:place] + b"crc32:%08x" % zlib.crc32(content) + content[place + len(_ZEROS) :]


def is_broken_parquet(content: bytes) -> bool:
    """Whether a Parquet file is not as it was sealed; False too for one that was not sealed."""
    if _NAME not in content and not _ENTRY.search(content):
        return False
    found = list(_STATED.finditer(content))[-1:]
    return not found or zlib.crc32(content[: found[0].start()] + _ZEROS + content[found[0].end() :]) != int(
        found[0][1], 16
    )


class SealingParquet(io.RawIOBase):
    """Seals a Parquet file that is written through it, by a line before its footer, without holding more than that."""

    def __init__(self, stream: IO[bytes] | io.RawIOBase) -> None:
        self._stream, self._crc = stream, 0
        self._footer: bytearray | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        if self._footer is not None:
            self._footer += data
            return memoryview(data).nbytes
        self._crc = zlib.crc32(data, self._crc)
        return self._stream.write(data)

    def begin_footer(self) -> None:
        """Says that all pages are written."""
        self._footer = bytearray()

    def finish(self) -> None:
        """Writes the line and the footer; the stream stays open."""
        footer = bytes(self._footer or b"")
        place = len(footer) - _FOOTER_END - int.from_bytes(footer[-_FOOTER_END:-4], "little")
        self._stream.write(footer[:place] + _line(zlib.crc32(footer, self._crc)) + footer[place:])


def is_sealed_parquet(stream: IO[bytes]) -> bool | None:
    """Whether a Parquet file is, from its start to its end, as it was sealed by a line; None for one without it. The
    stream stands at its start then."""
    try:
        return _is_sealed_parquet(stream)
    finally:
        stream.seek(0)


def _is_sealed_parquet(stream: IO[bytes]) -> bool | None:
    stream.seek(max(0, stream.seek(0, os.SEEK_END) - _FOOTER_END))
    end = stream.read()
    place = stream.tell() - _FOOTER_END - int.from_bytes(end[:4], "little") - SEAL_BYTES
    if place < 0:
        return None
    stream.seek(place)
    line = stream.read(SEAL_BYTES)
    if line[:4] != _MARK[:4] and line[4:8] != _MARK[4:]:  # where it is damaged, one of its halves is not
        return None
    stream.seek(0)
    crc, left = 0, place
    while left and (data := stream.read(min(left, _PIECE))):
        crc, left = zlib.crc32(data, crc), left - len(data)
    stream.seek(place + SEAL_BYTES)
    while data := stream.read(_PIECE):
        crc = zlib.crc32(data, crc)
    return line == _line(crc)
