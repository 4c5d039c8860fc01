"""The body of an archived HTTP response as a browser would have seen it: without chunks, without compression.

In: the stored bytes and the headers. Out: the decoded body. Archives differ in what they undo before they store, and
leave the headers as they were, so each coding is undone only if the bytes have it.
"""

import io

from fastwarc.stream_io import BrotliReader

from pipeline.net.body import BadEncodingError, BodyDecoder, BodyTooLargeError

__all__ = ["decode_payload"]

_MAX_CHUNK_LINE = 64


def decode_payload(body: bytes, transfer_encoding: str, content_encoding: str, max_bytes: int) -> bytes:
    """The decoded body. Raises BadEncodingError or BodyTooLargeError (see pipeline.net.body)."""
    if "chunked" in transfer_encoding.lower():
        body = _without_chunks(body)
    coding = content_encoding.strip().lower()
    if coding in ("gzip", "x-gzip") and body[:2] != b"\x1f\x8b":
        coding = ""
    if coding == "br":
        body = _without_brotli(body, max_bytes)
    elif coding and coding not in ("identity", "none", "utf-8"):
        decoder = BodyDecoder(coding, max_bytes)
        decoder.feed(body)
        body = decoder.finish()
    if len(body) > max_bytes:
        raise BodyTooLargeError
    return body


def _without_chunks(body: bytes) -> bytes:
    """The chunks joined; the body as it is when it does not begin with a chunk's size."""
    pieces: list[bytes] = []
    at = 0
    while at < len(body):
        end = body.find(b"\n", at, at + _MAX_CHUNK_LINE)
        digits = body[at:end].partition(b";")[0].strip() if end >= 0 else b""
        if not digits.isalnum() or (size := _hexadecimal(digits)) is None:
            if not pieces:
                return body
            raise BadEncodingError("broken chunks")
        if size == 0:
            break
        pieces.append(body[end + 1 : end + 1 + size])
        at = end + 1 + size
        at += 2 if body[at : at + 2] == b"\r\n" else 1 if body[at : at + 1] == b"\n" else 0
    return b"".join(pieces)


def _hexadecimal(digits: bytes) -> int | None:
    try:
        return int(digits, 16)
    except ValueError:
        return None


def _without_brotli(body: bytes, max_bytes: int) -> bytes:
    try:
        decoded: bytes = BrotliReader(io.BytesIO(body)).read(max_bytes + 1)
    except OSError as error:
        raise BadEncodingError(f"brotli: {error}") from None
    return decoded
