"""Decoding a compressed body as it arrives, with a cap on what comes out, so that no bomb is ever held in memory.

Servers say of a body what it is not: a coding that is none ("utf-8"), or one of a body that they send as it is. Then
the body is taken as it is.
"""

import io
import zlib

import zstandard
from fastwarc.stream_io import BrotliReader

from pipeline.net.sniff import SNIFFED, begins_plain
from webimagetext.zstd import open_zstd

__all__ = ["BadEncodingError", "BodyDecoder", "BodyTooLargeError"]

_MAX_MEMBERS = 64  # a gzip stream may be several members in a row; a real one has one
_INFLATED = ("gzip", "x-gzip", "deflate")
_WHOLE = ("br", "zstd")  # nobody asked for these, so they are rare, and decoded at the end


class BodyTooLargeError(Exception):
    """More bytes than the cap."""


class BadEncodingError(Exception):
    """A broken content encoding."""


class BodyDecoder:
    """Collects a body of the given Content-Encoding (identity, gzip, deflate, br, zstd) up to ``max_bytes`` decoded
    bytes.

    With ``cut``, what goes beyond is dropped and ``full`` set, instead of an error; with ``partial``, a body that is
    cut short or broken is what there is of it.
    """

    def __init__(self, encoding: str, max_bytes: int, *, cut: bool = False, partial: bool = False) -> None:
        self.full = False
        self.size = 0  # decoded bytes held
        self._left = max_bytes
        self._cut = cut
        self._partial = partial
        self._broken = ""
        self._pieces: list[bytes] = []
        self._members = 0
        names = [name.strip().lower() for name in encoding.split(",")]
        names = [name for name in names if name in _INFLATED + _WHOLE]
        if len(names) > 1:
            raise BadEncodingError(f"content encoding {encoding[:60]!r}")
        self._coding = names[0] if names else ""
        self._head: bytes | None = b"" if names else None  # until it is known whether the body is packed at all
        # wbits 47: zlib or gzip by their headers.
        self._inflater = zlib.decompressobj(47) if self._coding in _INFLATED else None

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes as received. Raises BodyTooLargeError or BadEncodingError."""
        if self._head is not None:
            self._head += chunk
            if len(self._head) < SNIFFED:
                return
            self._begin()
        elif self._inflater is None:
            self._keep(chunk)
        else:
            self._inflate(chunk)

    def finish(self) -> bytes:
        """The whole body. Raises BodyTooLargeError, or BadEncodingError when the compressed stream is cut short."""
        if self._head is not None:
            self._begin()
        if self._coding in _WHOLE:
            return self._unpacked(b"".join(self._pieces))
        if self._inflater is not None and not self._inflater.eof and self._pieces and not self.full:
            self._fail("compressed stream cut short")
        return b"".join(self._pieces)

    def _begin(self) -> None:
        """Decides by the first bytes whether the body is packed."""
        head, self._head = self._head or b"", None
        gzip = self._coding in ("gzip", "x-gzip")
        if begins_plain(head) or (gzip and head and head[0] != 0x1F and head[0] & 0x0F != 8):
            self._coding, self._inflater = "", None
        if self._inflater is None:
            self._keep(head)
            return
        if self._coding == "deflate" and head and head[0] & 0x0F != 8:
            self._inflater = zlib.decompressobj(-15)  # many servers send "deflate" without the zlib header
        self._inflate(head)

    def _inflate(self, chunk: bytes) -> None:
        while chunk and not self.full and not self._broken:
            assert self._inflater is not None
            if self._inflater.eof:
                self._members += 1
                if self._members >= _MAX_MEMBERS or chunk[0] != 0x1F:
                    return  # padding after the end, as browsers ignore it
                self._inflater = zlib.decompressobj(47)
            try:
                self._keep(self._inflater.decompress(chunk, self._left + 1))
            except zlib.error as error:
                self._fail(str(error))
                return
            chunk = self._inflater.unused_data

    def _unpacked(self, body: bytes) -> bytes:
        most = self._left + len(body)
        try:
            if self._coding == "br":
                found: bytes = BrotliReader(io.BytesIO(body)).read(most + 1)
            else:
                found = open_zstd(io.BytesIO(body)).read(most + 1)
        except (OSError, EOFError, zstandard.ZstdError) as error:
            raise BadEncodingError(f"{self._coding}: {error}") from None
        if len(found) > most and not self._cut:
            raise BodyTooLargeError
        return found[:most]

    def _fail(self, what: str) -> None:
        self._broken = what
        if not self._partial or not self._pieces:
            raise BadEncodingError(what)

    def _keep(self, data: bytes) -> None:
        if len(data) > self._left:
            if not self._cut:
                raise BodyTooLargeError
            self.full, data = True, data[: self._left]
        self._left -= len(data)
        self.size += len(data)
        if data:
            self._pieces.append(data)
