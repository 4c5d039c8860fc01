"""What bytes are by how they begin, whatever a server says of them (WHATWG MIME Sniffing).

In: the first bytes of a body. Out: whether a picture, or text that is not packed, begins so.
"""

__all__ = ["SNIFFED", "begins_plain", "is_picture"]

SNIFFED = 32  # bytes that are enough to tell
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"\xff\x0a", b"\0\0\0\x0cJXL \r\n")
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes
_TEXT = bytes(range(0x20, 0x7F)) + b"\t\n\r\f"


def is_picture(head: bytes) -> bool:
    """Whether a picture in a format of the web begins so: JPEG, PNG, GIF, WebP, AVIF, BMP, HEIC or JPEG XL."""
    if head.startswith(_STARTS):
        return True
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return True
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix"):
        return True
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def begins_plain(head: bytes) -> bool:
    """Whether bytes that are said to be packed are not: a picture begins so, or markup or other text."""
    text = head[:SNIFFED].removeprefix(b"\xef\xbb\xbf")
    return is_picture(head) or (len(text) > 3 and not text.strip(_TEXT))
