"""Files packed by Zstandard, read so that one that is cut off says so: the library's own reader ends there as if that
were all.

In: an open binary stream of one or more frames. Out: a buffered stream of what they hold.
"""

import io
from typing import IO, Any

import zstandard

__all__ = ["STARTS", "STEP", "open_zstd"]

FEED = 1 << 18
STEP = 1 << 11  # packed bytes that are unpacked at once: any four of them may stand for 128 KiB
FRAME = b"\x28\xb5\x2f\xfd"
DICTIONARY = b"\x5d\x2a\x4d\x18"  # a frame to skip, in which a .warc.zst carries the dictionary of the others
STARTS = (FRAME, DICTIONARY)  # how files of this kind begin


def open_zstd(stream: IO[bytes], *, own_dictionary: bool = False) -> io.BufferedReader:
    """The unpacked content; with ``own_dictionary``, by the one that the file begins with, if it does. Reading raises
    EOFError where the file ends within a frame, and zstandard.ZstdError for what is no frame."""
    frames = _Frames(stream)
    if own_dictionary:
        frames.read_dictionary()
    return io.BufferedReader(frames, FEED)


class _Frames(io.RawIOBase):
    """Frames one after the other."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._packed, self._at, self._text = b"", 0, memoryview(b"")
        self._frame: Any = None  # the decompressor of the frame that is being read, None between two
        self._dictionary: Any = None

    def readable(self) -> bool:
        return True

    def read_dictionary(self) -> None:
        """Takes the dictionary that the file begins with, packed or not; does nothing where it begins with none."""
        self._packed = self._stream.read(8)
        if self._packed[:4] != DICTIONARY:
            return
        size = int.from_bytes(self._packed[4:], "little")
        content = self._stream.read(size)
        if len(content) < size:
            raise EOFError("the file ends within its dictionary")
        if content[:4] == FRAME:
            content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
        self._packed, self._dictionary = b"", zstandard.ZstdCompressionDict(content)

    def readinto(self, buffer: Any, /) -> int:
        while not self._text:
            if self._at == len(self._packed):
                self._packed, self._at = self._stream.read(FEED), 0
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the file ends before its last part does")
                return 0
            if self._frame is None:
                self._frame = zstandard.ZstdDecompressor(dict_data=self._dictionary).decompressobj()
            step = self._packed[self._at : self._at + STEP]
            self._at += len(step)
            self._text = memoryview(self._frame.decompress(step))
            if self._frame.eof:
                self._at -= len(self._frame.unused_data)
                self._frame = None
        view = memoryview(buffer).cast("B")
        given = self._text[: len(view)]
        view[: len(given)] = given
        self._text = self._text[len(given) :]
        return len(given)
