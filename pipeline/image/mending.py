"""Pictures that every browser shows although their file is not whole: what no pixel hangs on never costs the picture.

In: the bytes of a picture that could not be decoded. Out: other bytes of the same pixels: a PNG without its texts and
broken extras, with its end; a JPEG without what programs wrote into it, or with its end marker; a WebP that states the
size that it has. Whether the pixels are
all there is for the decoder to say.
"""

import struct
import zlib
from collections.abc import Iterator

__all__ = ["bare_jpeg", "completed_jpegs", "mended"]

_PNG = b"\x89PNG\r\n\x1a\n"
# Chunks on which the picture hangs, and those that say what its colours mean, which way is up and what moves.
_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_TELLING = frozenset({b"tRNS", b"gAMA", b"sRGB", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"fdAT"})
_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
_RIFF_HEAD = 8  # bytes before those that a WebP counts
MAX_CHUNKS = 100_000
# Markers of a JPEG: its first scan; what applications write, and comments; and the size of Adobe's segment.
_SCAN = 0xDA
_APPLICATIONS = frozenset({*range(0xE0, 0xF0), 0xFE})
_ADOBE_BYTES = 16


def mended(data: bytes) -> Iterator[bytes]:
    """Other files of the same pixels to try, the one that says most of them first; none for other formats."""
    if data.startswith(_PNG):
        for telling in (_TELLING, frozenset({b"tRNS"}), frozenset()):
            yield _png_of(data, telling)
    elif data.startswith(b"\xff\xd8\xff"):
        yield bare_jpeg(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        yield data[:4] + (len(data) - _RIFF_HEAD).to_bytes(4, "little") + data[8:]


def _png_of(data: bytes, telling: frozenset[bytes]) -> bytes:
    """The PNG with the chunks that it needs, and those of ``telling`` that are whole. One that is needed and damaged
    stays as it is."""
    kept = [_PNG]
    for kind, chunk in _chunks(data):
        whole = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        if kind in _CRITICAL or (kind in telling and whole):
            kept.append(chunk)
        if kind == b"IEND":
            return b"".join(kept)
    return b"".join([*kept, _END])


def bare_jpeg(data: bytes) -> bytes:
    """The JPEG without what programs wrote into it, but for Adobe's word on its colours."""
    kept, at = [data[:2]], 2
    for _ in range(MAX_CHUNKS):
        head = data[at : at + 4]
        if len(head) < 4 or head[0] != 0xFF or head[1] == _SCAN:
            break
        end = at + 2 + int.from_bytes(head[2:], "big")
        segment = data[at:end]
        adobe = head[1] == 0xEE and segment[4:9] == b"Adobe" and len(segment) >= _ADOBE_BYTES
        if head[1] not in _APPLICATIONS or adobe:
            kept.append(segment)
        at = end
    return b"".join([*kept, data[at:]])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, the whole chunk) of a PNG as far as its chunks are whole; of the last one what there is."""
    at = len(_PNG)
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        if end > len(data):
            if kind == b"IDAT":  # cut off: its pixels as far as they go
                content = data[at + 8 :]
                head = struct.pack(">I4s", len(content), kind)
                yield kind, head + content + zlib.crc32(kind + content).to_bytes(4, "big")
            return
        yield kind, data[at:end]
        at = end


def completed_jpegs(data: bytes) -> tuple[bytes, bytes] | None:
    """The JPEG with two different fillings before an end marker; None for what is no JPEG, or has its end.

    Where all pixels are there, nobody reads the filling, and both decode to the same picture.
    """
    if not data.startswith(b"\xff\xd8\xff") or data.rstrip(b"\0").endswith(b"\xff\xd9"):
        return None
    scan = data.rstrip(b"\0").removesuffix(b"\xff")
    first, second = (scan + filling * 64 + b"\xff\xd9" for filling in (b"\x55", b"\xaa"))
    return first, second
