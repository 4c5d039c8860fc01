"""Decoding a compressed body as it arrives, with a cap on what comes out, so that no bomb is ever held in memory."""

import zlib

__all__ = ["BadEncodingError", "BodyDecoder", "BodyTooLargeError"]

_MAX_MEMBERS = 64  # a gzip stream may be several members in a row; a real one has one


class BodyTooLargeError(Exception):
    """More bytes than the cap."""


class BadEncodingError(Exception):
    """An unknown or broken content encoding."""


class BodyDecoder:
    """Collects a body of the given Content-Encoding (identity, gzip, deflate) up to ``max_bytes`` decoded bytes.

    With ``cut``, what goes beyond is dropped and ``full`` set, instead of an error.
    """

    def __init__(self, encoding: str, max_bytes: int, *, cut: bool = False) -> None:
        self.full = False
        self.size = 0  # decoded bytes held
        self._left = max_bytes
        self._cut = cut
        self._pieces: list[bytes] = []
        self._members = 0
        names = [name.strip().lower() for name in encoding.split(",") if name.strip()]
        names = [name for name in names if name != "identity"]
        if len(names) > 1 or (names and names[0] not in ("gzip", "x-gzip", "deflate")):
            raise BadEncodingError(f"content encoding {encoding[:60]!r}")
        self._deflate = names == ["deflate"]
        # wbits 47: zlib or gzip by their headers.
        self._inflater = zlib.decompressobj(47) if names else None

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes as received. Raises BodyTooLargeError or BadEncodingError."""
        if self._inflater is None:
            self._keep(chunk)
            return
        if self._deflate and self._members == 0 and not self._pieces and chunk and chunk[0] & 0x0F != 8:
            self._inflater = zlib.decompressobj(-15)  # many servers send "deflate" without the zlib header
        self._deflate = False
        while chunk and not self.full:
            if self._inflater.eof:
                self._members += 1
                if self._members >= _MAX_MEMBERS or chunk[0] != 0x1F:
                    return  # padding after the end, as browsers ignore it
                self._inflater = zlib.decompressobj(47)
            try:
                self._keep(self._inflater.decompress(chunk, self._left + 1))
            except zlib.error as error:
                raise BadEncodingError(str(error)) from None
            chunk = self._inflater.unused_data

    def finish(self) -> bytes:
        """The whole body. Raises BadEncodingError when the compressed stream is cut short."""
        if self._inflater is not None and not self._inflater.eof and self._pieces and not self.full:
            raise BadEncodingError("compressed stream cut short")
        return b"".join(self._pieces)

    def _keep(self, data: bytes) -> None:
        if len(data) > self._left:
            if not self._cut:
                raise BodyTooLargeError
            self.full, data = True, data[: self._left]
        self._left -= len(data)
        self.size += len(data)
        if data:
            self._pieces.append(data)
