"""The body of an archived HTTP response as a browser would have seen it: without chunks, without compression.

In: the stored bytes and the headers. Out: the decoded body. Archives differ in what they undo before they store, and
leave the headers as they were, so each coding is undone only if the bytes have it.
"""

from pipeline.net.body import BadEncodingError, BodyDecoder

__all__ = ["decode_payload"]

_MAX_CHUNK_LINE = 64


def decode_payload(
    body: bytes, transfer_encoding: str, content_encoding: str, max_bytes: int, *, partial: bool = False
) -> bytes:
    """The decoded body; with ``partial``, as far as it is whole. Raises BadEncodingError or BodyTooLargeError (see
    pipeline.net.body)."""
    if "chunked" in transfer_encoding.lower():
        body = _without_chunks(body)
    decoder = BodyDecoder(content_encoding, max_bytes, partial=partial)
    decoder.feed(body)
    return decoder.finish()


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
