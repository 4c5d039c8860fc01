"""Formats of cameras and of the future that not every browser shows, HEIC and JPEG XL: read with packages that need not
be installed, where ``image.formats`` names them.

In: a picture's bytes. Out: which of these formats they are of, and the size that a JPEG XL states, which its package
tells only when it has decoded the whole.
"""

import functools

from webimagetext.extras import needed_by

__all__ = ["FURTHER", "further_format", "register", "stated_size"]

FURTHER = ("HEIF", "JXL")  # by Pillow's names
_JXL_CODESTREAM = b"\xff\x0a"
_JXL_CONTAINER = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"})
_ANY_BRAND = frozenset({b"mif1", b"msf1"})  # of AVIF as well
# Width to height, by the number in the header (ISO/IEC 18181-1, SizeHeader); 0: the width is stated.
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_SIZE_BITS = (9, 13, 18, 30)


@functools.cache
def register(formats: tuple[str, ...]) -> None:
    """Lets Pillow read those of these formats that ``formats`` names. Raises UserError where a package is missing."""
    if "HEIF" in formats:
        with needed_by("image.formats: HEIF"):
            import pillow_heif
        pillow_heif.register_heif_opener(thumbnails=False)
    if "JXL" in formats:
        with needed_by("image.formats: JXL"):
            from pillow_jxl import JpegXLImagePlugin
        JpegXLImagePlugin.DECODE_THREADS = 0  # the fetcher has its own threads


def further_format(data: bytes) -> str:
    """Which of FURTHER begins so; "" for none."""
    if data.startswith((_JXL_CODESTREAM, _JXL_CONTAINER)):
        return "JXL"
    if data[4:8] == b"ftyp":
        others = {data[at : at + 4] for at in range(16, min(len(data), int.from_bytes(data[:4], "big"), 128), 4)}
        if data[8:12] in _HEIC_BRANDS or (data[8:12] in _ANY_BRAND and others & _HEIC_BRANDS):
            return "HEIF"
    return ""


def stated_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) as the header of a JPEG XL states them; None where there is no header."""
    stream = _codestream(data)
    if not stream.startswith(_JXL_CODESTREAM) or len(stream) < len(_JXL_CODESTREAM) + 1:
        return None
    bits = int.from_bytes(stream[2:16], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (take(5) + 1) if small else take(_SIZE_BITS[take(2)]) + 1

    height, ratio = side(), take(3)
    if not ratio:
        return side(), height
    across, down = _RATIOS[ratio]
    return height * across // down, height


def _codestream(data: bytes) -> bytes:
    """The beginning of the pixels' own data, which a container has in a box of its own."""
    at = 0
    while data.startswith(_JXL_CONTAINER) and at + 8 <= len(data):
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            start = at + head + (4 if kind == b"jxlp" else 0)
            return data[start : start + 64]
        if size < head:
            return b""
        at += size
    return data[:64]
