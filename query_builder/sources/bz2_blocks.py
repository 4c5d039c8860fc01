"""Reads a bz2 file from any place in it: every block of up to 900 KB is found by its signature and decompressed alone.

In: an open file and a byte offset. Out: the decompressed blocks that begin at or after it, in order, each with the
offset it was found at. Single-stream files, multistream dumps and concatenations are all the same to it, and no index
is needed, so several processes can share one file. A block starts with the 48 bits 0x314159265359 at any bit, a stream
ends with 0x177245385090 and a check sum (bzip2's format as its source code states it). Each block's own check sum is
verified. Blocks are decompressed several at a time (:mod:`query_builder.sources.bz2_decoder`), and what that doesn't
take goes to Python's own decoder.
"""

import bz2
import itertools
import math
from collections import deque
from collections.abc import Iterator
from typing import IO

import numpy as np
import numpy.typing as npt

from query_builder.hash_table import Bytes, as_bytes
from query_builder.sources.bz2_decoder import LANES, BlockDecoder
from query_builder.sources.piece import CorruptInputError, Gap, Piece
from webimagetext.compiled import compiled

__all__ = ["bz2_pieces", "find_markers"]

BLOCK = 0x314159265359
END = 0x177245385090
READ_SIZE = 4 << 20
MARKER_BITS = 48
CHECKSUM_BITS = 32
# A signature can occur by chance inside a block, once in a thousand full dumps; then the next one ends the block.
FALSE_MARKERS = 2


def _candidates() -> npt.NDArray[np.bool_]:
    """Which 16-bit values can stand in the middle of a signature, whatever bit it begins at."""
    table = np.zeros(1 << 16, np.bool_)
    for marker in (BLOCK, END):
        for shift in range(8):
            table[marker >> (16 - shift) & 0xFFFF] = True
    return table


_CANDIDATES = _candidates()


@compiled
def _scan(
    data: Bytes, candidates: npt.NDArray[np.bool_], found: npt.NDArray[np.int64], kinds: npt.NDArray[np.bool_]
) -> int:
    block, end, mask = np.uint64(BLOCK), np.uint64(END), np.uint64((1 << MARKER_BITS) - 1)
    window = np.uint64(0)
    count = 0
    for index in range(len(data)):
        window = window << np.uint64(8) | np.uint64(data[index])
        if not candidates[np.int64(window >> np.uint64(16) & np.uint64(0xFFFF))]:
            continue
        for shift in range(7, -1, -1):
            value = window >> np.uint64(shift) & mask
            position = (index + 1) * 8 - shift - MARKER_BITS
            if value in (block, end) and position >= 0:
                found[count] = position
                kinds[count] = value == block
                count += 1
    return count


def find_markers(data: bytes) -> list[tuple[int, bool]]:
    """The bit positions of all signatures in ``data``, with True for a block and False for a stream's end."""
    room = len(data) // 6 + 2
    found, kinds = np.empty(room, np.int64), np.empty(room, np.bool_)
    count = _scan(as_bytes(data), _CANDIDATES, found, kinds)
    return list(zip(found[:count].tolist(), kinds[:count].tolist(), strict=True))


class _Window:
    """The part of a file that is being looked at, and the markers in it; positions are bits from the file's start."""

    def __init__(self, stream: IO[bytes], start: int) -> None:
        self.stream = stream
        stream.seek(start)
        self.data, self.base, self.scanned, self.ended = b"", start, 0, False
        self.markers: deque[tuple[int, bool]] = deque()

    def read_more(self) -> bool:
        """Reads on; False at the end of the file."""
        more = self.stream.read(READ_SIZE)
        if not more:
            self.ended = True
            return False
        self.data += more
        # A marker may straddle what was read before: look at its last six bytes again.
        first = max(0, self.scanned - 6)
        known = self.markers[-1][0] if self.markers else -1
        for position, is_block in find_markers(self.data[first:]):
            absolute = (self.base + first) * 8 + position
            if absolute > known and absolute + MARKER_BITS > (self.base + self.scanned) * 8:
                self.markers.append((absolute, is_block))
        self.scanned = len(self.data)
        return True

    def drop_before(self, position: int) -> None:
        """Forgets what lies before a bit position."""
        count = position // 8 - self.base
        if count > READ_SIZE:
            self.data, self.base, self.scanned = self.data[count:], self.base + count, self.scanned - count

    def need_markers(self, count: int) -> bool:
        """Reads until ``count`` markers are known; False if the file has fewer."""
        while len(self.markers) < count:
            if not self.read_more():
                return False
        return True

    def bits(self, start: int, end: int) -> int:
        """The bits from ``start`` to ``end`` as a number."""
        value = int.from_bytes(self.data[start // 8 - self.base : (end + 7) // 8 - self.base])
        return value >> (-end % 8) & ((1 << (end - start)) - 1)


def _decompress(window: _Window, start: int, end: int) -> bytes | None:
    """Decompresses one block by giving it a stream of its own; None if it is damaged."""
    size = end - start
    if size < MARKER_BITS + CHECKSUM_BITS:
        return None
    payload = window.bits(start, end)
    checksum = payload >> (size - MARKER_BITS - CHECKSUM_BITS) & 0xFFFFFFFF
    total = (payload << (MARKER_BITS + CHECKSUM_BITS)) | END << CHECKSUM_BITS | checksum
    bits = size + MARKER_BITS + CHECKSUM_BITS
    data = (total << (-bits % 8)).to_bytes((bits + 7) // 8)
    decompressor = bz2.BZ2Decompressor()
    try:
        text = decompressor.decompress(b"BZh9" + data)
    except (OSError, ValueError):
        return None
    return text if decompressor.eof else None


class _Ahead:
    """The texts of blocks that were decompressed beside an earlier one."""

    def __init__(self, window: _Window, end: int | None) -> None:
        self.window, self.end = window, end
        self.decoder = BlockDecoder()
        self.found: dict[int, tuple[bytes, int] | None] = {}

    def take(self, position: int) -> bytes | None:
        """The text of the block at ``position``, whose marker has been taken; the markers up to its end are taken too.
        None for a block that has to be looked at by itself."""
        if position not in self.found and not self._read_with(position):
            return None
        found, markers = self.found.pop(position), self.window.markers
        ends = [at for at, _ in itertools.islice(markers, FALSE_MARKERS + 1)]
        if found is None or found[1] not in ends:
            return None
        for _ in range(ends.index(found[1])):
            markers.popleft()
        return found[0]

    def _read_with(self, position: int) -> bool:
        """Decompresses a block and those that follow it, as far as the end that was asked for; False beyond it."""
        window = self.window
        last = math.inf if self.end is None else self.end
        if position // 8 >= last:
            return False
        while len(window.markers) < 2 * LANES and window.base + len(window.data) < last and window.read_more():
            pass
        if not window.markers:
            return False
        following = [at for at, is_block in window.markers if is_block and at // 8 < last][: LANES - 1]
        starts = [position, *(at for at in following if at < window.markers[-1][0])]
        first = position // 8
        data = window.data[first - window.base :]
        found = self.decoder.decode(data, [at - 8 * first for at in starts])
        for at, block in zip(starts, found, strict=True):
            self.found[at] = (block[0], block[1] + 8 * first) if block else None
        return True


def bz2_pieces(stream: IO[bytes], url: str, start: int, end: int | None = None) -> Iterator[Piece | Gap]:
    """The blocks that begin at byte ``start`` or later. A damaged stretch gives a :class:`Gap` where its text should
    be. Those from ``end`` on are not read ahead: perhaps no more of them is wanted."""
    window = _Window(stream, start)
    ahead = _Ahead(window, end)
    if start == 0:
        if not window.read_more() or window.data[:3] != b"BZh":
            raise CorruptInputError(url, 0, "not a bz2 file")
        if not window.markers or window.markers[0][0] != 32:
            yield Gap(0, "the first block's signature is damaged")
    while window.need_markers(1):
        position, is_block = window.markers.popleft()
        window.drop_before(position)
        offset = position // 8
        if not is_block:
            yield from _check_stream_end(window, position)
            continue
        skipped: list[tuple[int, bool]] = []
        text = ahead.take(position)
        while text is None and len(skipped) <= FALSE_MARKERS and window.need_markers(1):
            text = _decompress(window, position, window.markers[0][0])
            if text is None:
                skipped.append(window.markers.popleft())
        if text is not None:
            yield Piece(offset, text)
            continue
        # Not a chance signature either: the block is damaged, and what follows may be whole.
        window.markers.extendleft(reversed(skipped))
        cut_off = not window.markers
        yield Gap(offset, "the file is cut off within this block" if cut_off else "this bz2 block is damaged")


def _check_stream_end(window: _Window, position: int) -> Iterator[Gap]:
    """After a stream's end come its check sum and then the next stream's header and block, or the end of the file."""
    after = (position + MARKER_BITS + CHECKSUM_BITS + 7) // 8
    following = window.need_markers(1)
    length = window.base + len(window.data)
    if after > length:
        yield Gap(position // 8, "the file is cut off within this stream's check sum")
    elif following and window.markers[0][0] != (after + 4) * 8:
        yield Gap(after, "the bz2 stream that should start here is damaged")
    elif not following and window.data[after - window.base :].strip(b"\0"):
        yield Gap(after, "what follows the last bz2 stream is not bz2")
