"""Tar archives that depend on nothing but their members: no times, owners or machine's names, and each member's place
is known.

In: names and bytes. Out: a POSIX ustar archive on a binary stream. A few lines of our own, because the standard
library's writer spends more time on a small member than copying it takes. And back: the files of any archive, up to an
end that is one.
"""

import tarfile
from collections.abc import Iterator
from typing import IO, Protocol

__all__ = ["TarWriter", "read_members"]

_BLOCK = 512
_RECORD = 20 * _BLOCK  # archives end at a multiple of this
_MAX_SIZE = 8**11  # what eleven octal digits hold
_ZEROS = bytes(_RECORD)
# After the name: mode 0644, owner 0, group 0 | size | time 0, then the checksum, a plain file, and the format's mark.
_BEFORE_SIZE = b"0000644\0" + b"0000000\0" * 2
_TIME = b"00000000000\0"
_MAGIC = b"ustar\x0000"
_FIXED_SUM = sum(_BEFORE_SIZE + _TIME + b" " * 8 + b"0" + _MAGIC)


class _Writable(Protocol):
    def write(self, data: bytes, /) -> int: ...


class TarWriter:
    """Writes members to ``stream`` in order; ``offset`` is the number of bytes written so far."""

    def __init__(self, stream: _Writable) -> None:
        self._stream = stream
        self.offset = 0

    def add(self, name: str, data: bytes) -> int:
        """Appends a member (an ASCII name of at most 100 characters); returns the offset of its bytes in the
        archive."""
        size = len(data)
        place = self.offset + _BLOCK
        self._write(_header(name, size))
        self._write(data)
        self._write(_ZEROS[: -size % _BLOCK])
        return place

    def close(self) -> None:
        """Writes the archive's end; the stream stays open."""
        self._write(_ZEROS[: 2 * _BLOCK])
        self._write(_ZEROS[: -self.offset % _RECORD])

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self.offset += len(data)


def read_members(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each file in an archive, whose content is to be read before the next is asked for.

    Raises tarfile.TarError where it breaks off: the library alone takes a damaged header, and a cut between two
    members, for the end.
    """
    with tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            # A link's content is what it leads to, perhaps nothing that is here.
            if member.isreg() and (content := archive.extractfile(member)) is not None:
                yield member.name, content
        stream.seek(archive.offset)
        if stream.read(_BLOCK) != bytes(_BLOCK):
            raise tarfile.ReadError(f"no header and no end at byte {archive.offset:,}")


def _header(name: str, size: int) -> bytes:
    label = name.encode("ascii")
    if not 0 < len(label) <= 100 or size >= _MAX_SIZE:
        raise ValueError(f"a tar member cannot be called {name!r} and have {size} bytes")
    digits = b"%011o\0" % size
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(label) + sum(digits))
    fields = label.ljust(100, b"\0") + _BEFORE_SIZE + digits + _TIME + checksum + b"0"
    return (fields.ljust(257, b"\0") + _MAGIC).ljust(_BLOCK, b"\0")
