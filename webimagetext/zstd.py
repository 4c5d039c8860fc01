"""Files packed by Zstandard, read so that one that is cut off says so: the library's own reader ends there as if that
were all.

In: an open binary stream of one or more frames. Out: a buffered stream of what they hold.
"""

import io
from typing import IO, Any

import zstandard

__all__ = ["open_zstd"]

FEED = 1 << 18


def open_zstd(stream: IO[bytes]) -> io.BufferedReader:
    """The unpacked content. Reading raises EOFError where the file ends within a frame, and zstandard.ZstdError for
    what is no frame."""
    return io.BufferedReader(_Frames(stream), FEED)


class _Frames(io.RawIOBase):
    """Frames one after the other."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._packed, self._text = b"", b""
        self._frame: Any = None  # the decompressor of the frame that is being read, None between two

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._text:
            self._packed = self._packed or self._stream.read(FEED)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the file ends before its last part does")
                return 0
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._text = self._frame.decompress(self._packed)
            ended = self._frame.eof
            self._packed = self._frame.unused_data if ended else b""
            if ended:
                self._frame = None
        view = memoryview(buffer).cast("B")
        given, self._text = self._text[: len(view)], self._text[len(view) :]
        view[: len(given)] = given
        return len(given)
