"""Which lines of a block are rows of a CSV or TSV file by themselves, told without a look at each by Python.

In: whole lines, and how many cells a row has. Out: :class:`Lines`: the lines that are *fine*, and the stretches between
them. A fine line has so many cells, and its quotation marks are where a writer of CSV puts them: around whole cells,
doubled within, closed on the line. What begins on another line may go on over the next ones, fine ones among them; a
line that looks like a row by itself, or comes after more lines than a row has, ends it in any case
(delimited.py), so there a stretch ends too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.read.delimited import MAX_LINE, MAX_LINES_A_ROW, is_row

__all__ = ["Lines", "lines_in"]

Places = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
_LINE_END, _RETURN, _QUOTE, _ZERO = b'\n\r"\0'


@dataclass(frozen=True)
class Lines:
    """The lines of ``block``: where each begins (and the last one ends), and which are ``fine`` and in no stretch.
    ``stretches``: the first line of each, and the one behind its last. The last stretch may go on in the next block
    where it ends with this one."""

    block: bytes
    starts: Places
    fine: Mask
    stretches: list[tuple[int, int]]

    def fine_bytes(self) -> bytes:
        """The fine lines."""
        if self.fine.all():
            return self.block
        kept = np.repeat(self.fine, np.diff(self.starts))
        return np.frombuffer(self.block, np.uint8)[kept].tobytes()

    def bytes_of(self, stretch: tuple[int, int]) -> bytes:
        """The lines of a stretch."""
        return self.block[self.starts[stretch[0]] : self.starts[stretch[1]]]

    def goes_on(self, delimiter: str) -> bool:
        """Whether the last stretch may go on behind the block."""
        return delimiter == "," and bool(self.stretches) and self.stretches[-1][1] == len(self.fine)


def lines_in(block: bytes, delimiter: str, width: int) -> Lines:
    """The lines of a block whose rows have ``width`` cells."""
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _LINE_END)
    starts = np.concatenate([[0], ends + 1])
    if starts[-1] < len(block):
        starts = np.append(starts, len(block))
    quotes = np.flatnonzero(data == _QUOTE) if delimiter == "," else np.zeros(0, np.int64)
    fine = _closed(data, starts, quotes, delimiter)
    fine &= _cells(data, starts, quotes, delimiter) == width
    fine &= np.diff(starts) < MAX_LINE
    returns = np.flatnonzero(data == _RETURN)
    odd = returns[_byte(data, returns + 1) != _LINE_END]
    for places in (odd, np.flatnonzero(data == _ZERO)):
        fine[_line_of(starts, places)] = False
    stretches = list(_stretches(block, starts, fine, delimiter, width))
    for begin, end in stretches:
        fine[begin:end] = False
    return Lines(block, starts, fine, stretches)


def _line_of(starts: Places, places: Places) -> Places:
    return np.searchsorted(starts, places, "right") - 1


def _byte(data: npt.NDArray[np.uint8], places: Places) -> npt.NDArray[np.uint8]:
    """The bytes at these places; an end of line before and behind all."""
    inside = (places >= 0) & (places < len(data))
    return np.where(inside, data[np.clip(places, 0, max(0, len(data) - 1))], _LINE_END).astype(np.uint8)


def _closed(data: npt.NDArray[np.uint8], starts: Places, quotes: Places, delimiter: str) -> Mask:
    """Which lines have their quotation marks in the right places: the odd ones open a cell, the even ones close it, and
    one right behind another is a mark within."""
    closed = np.ones(len(starts) - 1, bool)
    if not len(quotes):
        return closed
    line = _line_of(starts, quotes)
    rank = np.arange(len(quotes)) - np.searchsorted(quotes, starts[:-1])[line]
    opens = rank % 2 == 0
    before, behind = _byte(data, quotes - 1), _byte(data, quotes + 1)
    cut = ord(delimiter)
    ends_line = (behind == _LINE_END) | ((behind == _RETURN) & (_byte(data, quotes + 2) == _LINE_END))
    opened = (before == _LINE_END) | (before == cut) | ((before == _QUOTE) & (rank > 0))
    ended = ends_line | (behind == cut) | (behind == _QUOTE)
    closed[line[np.where(opens, ~opened, ~ended)]] = False
    closed &= np.bincount(line, minlength=len(closed)) % 2 == 0
    return closed


def _cells(data: npt.NDArray[np.uint8], starts: Places, quotes: Places, delimiter: str) -> Places:
    """How many cells each line has: marks between cells count outside of quotation marks."""
    cuts = np.flatnonzero(data == ord(delimiter))
    line = _line_of(starts, cuts)
    if len(quotes):
        before = np.searchsorted(quotes, cuts) - np.searchsorted(quotes, starts[:-1])[line]
        line = line[before % 2 == 0]
    return np.bincount(line, minlength=len(starts) - 1) + 1


def _stretches(block: bytes, starts: Places, fine: Mask, delimiter: str, width: int) -> Iterator[tuple[int, int]]:
    """The lines that are not fine, with those behind them that may be part of their rows."""

    def line(place: int) -> str:
        return block[starts[place] : starts[place + 1]].decode("utf-8", "replace")

    done = 0
    for begin in np.flatnonzero(~fine).tolist():
        if begin < done:
            continue
        last, place = begin, begin + 1
        while place < len(fine):
            if not fine[place]:
                last = place
            elif delimiter != "," or place - last > MAX_LINES_A_ROW or is_row(line(place), width):
                break
            place += 1
        yield begin, place
        done = place
