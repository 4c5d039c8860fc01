"""Input files cut into pieces that are read by themselves, so that a large list is work for all workers.

In: the path of a list. Out: its pieces: spans of bytes of a file of lines, of which a piece holds the lines that begin
within; spans of row groups of a Parquet file; else the whole. Files in which a row may span lines, and compressed ones,
are not cut.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from pipeline.read.delimited import UTF_16
from webimagetext import files
from webimagetext.parquet import UNREADABLE, open_parquet

__all__ = ["CUT", "PARQUET", "PIECE_BYTES", "Piece", "lines_within", "pieces_of"]

PIECE_BYTES = 64_000_000
PIECE_ROWS = 500_000
_OF_LINES = (".tsv", ".tab", ".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
CUT = (*_OF_LINES, *PARQUET)  # how the names of files end that may be cut


@dataclass(frozen=True)
class Piece:
    """A file, or of it the lines that begin from byte ``start`` to before ``stop``, or the row groups of these numbers.

    ``row``: the number of the first row, where that is known.
    """

    path: str
    start: int = 0
    stop: int | None = None
    row: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the file."""
        return self.stop is None

    @property
    def span(self) -> tuple[int, ...]:
        """What tells the piece from others of its file; nothing of one that is whole."""
        return () if self.stop is None else (self.start, self.stop)

    @property
    def place(self) -> str:
        """What to call it where a row is told by its number."""
        return self.path if self.start == 0 or self.row > 1 else f"{self.path}, from byte {self.start}"


def pieces_of(path: str) -> list[Piece]:
    """The pieces of a list, in order: one where it is small."""
    stem = path.lower().partition("?")[0]
    cut: list[Piece] = []
    if stem.endswith(_OF_LINES):
        cut = list(_spans(path))
    elif stem.endswith(PARQUET):
        cut = list(_row_groups(path))
    return cut if len(cut) > 1 else [Piece(path)]


def _spans(path: str) -> Iterator[Piece]:
    size = files.size(path)
    if size < 2 * PIECE_BYTES:
        return
    with files.open_input(path) as stream:
        if stream.read(2) in UTF_16:
            return
    number = size // PIECE_BYTES
    edges = [size * place // number for place in range(number + 1)]
    for start, stop in itertools.pairwise(edges):
        yield Piece(path, start, stop)


def _row_groups(path: str) -> Iterator[Piece]:
    with files.open_input(path) as stream:
        try:
            about = open_parquet(stream, pages=False).metadata
        except UNREADABLE:
            return  # whoever reads it says so
        first, row, rows = 0, 1, 0
        for group in range(about.num_row_groups):
            rows += about.row_group(group).num_rows
            if rows >= PIECE_ROWS or group == about.num_row_groups - 1:
                yield Piece(path, first, group + 1, row)
                first, row, rows = group + 1, row + rows, 0


class lines_within:  # noqa: N801 (it is used as a function)
    """Reads, as a file does, the lines of ``stream`` that begin in a piece."""

    def __init__(self, stream: IO[bytes], piece: Piece) -> None:
        self._stream = stream
        self._stop = piece.stop
        self._place = piece.start
        if piece.start:
            stream.seek(piece.start - 1)
            self._place += len(stream.readline()) - 1

    def read(self, size: int) -> bytes:
        """The next bytes, at least one while there are any: up to ``size`` of them, and to the end of a line that the
        piece ends in."""
        if self._stop is None:
            return self._stream.read(size)
        if self._place >= self._stop:
            return b""
        found = self._stream.read(min(size, self._stop - self._place))
        self._place += len(found)
        if self._place >= self._stop and found and not found.endswith(b"\n"):
            rest = self._stream.readline()
            self._place += len(rest)
            found += rest
        return found
