"""Reads a dump from any place in it, whatever it is compressed with, so that several processes can share one file.

In: a file by path or URL (plain, bz2, gzip, Zstandard, xz; told by its first bytes) and a byte offset in it. Out:
decompressed pieces, each with the offset it belongs to. A *shard* is a range of compressed bytes; it owns the pieces
whose offsets lie in it. Plain and bz2 files are entered anywhere; the others can only be read from the start, so a
process keeps its place between shards.
"""

import gzip
import lzma
import os
import zlib
from collections import deque
from collections.abc import Iterator
from typing import IO, Any

from query_builder.sources.bz2_blocks import bz2_pieces
from query_builder.sources.piece import BEYOND, Gap, Piece
from webimagetext.errors import UserError
from webimagetext.files import open_input
from webimagetext.zstd import STEP

__all__ = ["container", "pieces_from"]

PLAIN_PIECE = 1 << 20
FEED = 1 << 18
BZ2, GZIP, ZSTANDARD, XZ, PLAIN = "bz2", "gzip", "zstd", "xz", "plain"
_SIGNATURES = {b"BZh": BZ2, b"\x1f\x8b": GZIP, b"\x28\xb5\x2f\xfd": ZSTANDARD, b"\xfd7zXZ\x00": XZ}
# Archives, which hold files of any number: what they are, and what unpacks one to its standard output.
_ARCHIVES = {
    b"7z\xbc\xaf\x27\x1c": ("7z", "7z e -so"),
    b"PK\x03\x04": ("zip", "unzip -p"),
    b"Rar!": ("rar", "unrar p -inul"),
}
XZ_MEMORY = 1 << 29  # bytes: eight times what the highest level of xz needs


def container(url: str) -> str:
    """How a file is compressed. Raises UserError for an empty file, UTF-16 text or an archive."""
    with open_input(url) as stream:
        head = stream.read(6)
    if not head:
        raise UserError(f"{url}: the file is empty", "fetch it again, or leave it out")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{url}: UTF-16 text", "convert it to UTF-8 first: iconv -f UTF-16 -t UTF-8")
    for signature, (name, command) in _ARCHIVES.items():
        if head.startswith(signature):
            raise UserError(
                f"{url}: a {name} archive, which is not read",
                f"unpack it, for example with: {command} {os.path.basename(url)} | zstd > dump.xml.zst",
            )
    return next((kind for signature, kind in _SIGNATURES.items() if head.startswith(signature)), PLAIN)


def pieces_from(url: str, start: int, end: int | None = None) -> Iterator[Piece | Gap]:
    """The pieces at or after byte ``start``, to the end of the file; none reaches over ``end`` from before it."""
    kind = container(url)
    if kind in _DECOMPRESSORS:
        yield from _sequential(url, kind, start)
        return
    with open_input(url) as stream:
        if kind == BZ2:
            yield from bz2_pieces(stream, url, start, end)
            return
        stream.seek(start)
        while data := stream.read(min(PLAIN_PIECE, end - start) if end and start < end else PLAIN_PIECE):
            yield Piece(start, data)
            start += len(data)


def _length(piece: Piece | Gap) -> int:
    return len(piece.data) if isinstance(piece, Piece) else 0


class _Sequential:
    """A compressed file read once from start to end by one process, shard after shard."""

    def __init__(self, url: str, kind: str) -> None:
        self.url = url
        self.position = 0
        # Shards read a little beyond their end, to finish a page: what they saw is kept for the next one.
        self.recent: deque[Piece | Gap] = deque()
        self.held = 0  # bytes of them
        self.source = self._read(kind)

    def _read(self, kind: str) -> Iterator[Piece | Gap]:
        with open_input(self.url) as stream:
            yield from _inflate(stream, _DECOMPRESSORS[kind])

    def from_(self, start: int) -> Iterator[Piece | Gap]:
        while self.recent and self.recent[0].offset < start:
            self.held -= _length(self.recent.popleft())
        yield from list(self.recent)
        for piece in self.source:
            if piece.offset >= start:
                self.recent.append(piece)
                self.held += _length(piece)
                while self.held - _length(self.recent[0]) > BEYOND:
                    self.held -= _length(self.recent.popleft())
                yield piece


_OPEN: dict[str, tuple[int, _Sequential]] = {}


def _sequential(url: str, kind: str, start: int) -> Iterator[Piece | Gap]:
    last, reader = _OPEN.get(url, (-1, None))
    if reader is None or start <= last:
        reader = _Sequential(url, kind)
    _OPEN[url] = start, reader
    yield from reader.from_(start)
    del _OPEN[url]  # read to its end


def _gzip_members() -> Any:
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)


def _zstandard_frames() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj()


def _xz_streams() -> Any:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY)


_DECOMPRESSORS = {GZIP: _gzip_members, ZSTANDARD: _zstandard_frames, XZ: _xz_streams}


class _Texts:
    """What was decompressed at one place of a file and is not given on yet."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.size = 0
        self._texts: list[bytes] = []

    def add(self, text: bytes) -> None:
        self._texts.append(text)
        self.size += len(text)

    def taken(self) -> Iterator[Piece]:
        """All of it as one piece, if there is any."""
        if self.size:
            yield Piece(self.offset, b"".join(self._texts))
        self._texts, self.size = [], 0


def _inflate(stream: IO[bytes], new_decompressor: Any) -> Iterator[Piece | Gap]:
    """Decompresses members or frames one after the other. The first damage ends it: there is no way to go on behind
    it."""
    import zstandard

    decompressor, offset, complete = new_decompressor(), 0, True
    while data := stream.read(FEED):
        at, texts = 0, _Texts(offset)
        while at < len(data):
            step = data[at : at + STEP]  # a little of what is packed may be very much
            at += len(step)
            try:
                texts.add(decompressor.decompress(step))
            except (zlib.error, gzip.BadGzipFile, zstandard.ZstdError, lzma.LZMAError) as error:
                yield from texts.taken()
                yield Gap(offset, f"the rest of the file cannot be decompressed: {error}")
                return
            if texts.size >= PLAIN_PIECE:
                yield from texts.taken()
            complete = decompressor.eof
            if complete:
                at -= len(decompressor.unused_data)
                decompressor = new_decompressor()
                while at < len(data) and not data[at]:
                    at += 1
        yield from texts.taken()
        offset = stream.tell()
    if not complete:
        # At the last byte, and not behind it: some shard has to own the damage.
        yield Gap(max(0, offset - 1), "the file is cut off")
