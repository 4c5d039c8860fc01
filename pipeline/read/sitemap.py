"""Sitemaps (sitemaps.org protocol 0.9, with the image extension): the pages, further sitemaps and pictures they list.

In: the bytes of a sitemap, as XML or as lines of text, plain or gzip whatever its name says. Out: :class:`Sitemap`,
URLs as written. Read with regular expressions, not as XML: real sitemaps are often broken, and no entity can be
expanded this way.
"""

import html
import itertools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["MAX_BYTES", "Sitemap", "is_sitemap", "is_sitemap_url", "read_sitemap"]

MAX_BYTES = 50_000_000  # of one sitemap, by the protocol
MAX_URLS = 50_000
MAX_IMAGES = 1_000  # of one page, by the extension
HEAD = 4_000  # bytes in which a sitemap's first element stands
_GZIP = b"\x1f\x8b"
# A value ends at the first mark that cannot be in it, so that nothing is looked through twice.
_VALUE = rb">\s*(?:<!\[CDATA\[((?:[^\]<]|<(?!!)|\](?!\]>)){0,4096})\]\]>|([^<>]{1,4096}))"
_LOCATION = re.compile(rb"<(?!image:|video:|news:)(?:\w{1,20}:)?loc" + _VALUE)
_INDEX = re.compile(rb"<(?:\w{1,20}:)?sitemapindex\b")
_SITEMAP = re.compile(rb"<(?:\w{1,20}:)?(?:sitemapindex|urlset)\b")
_PAGE = re.compile(rb"<(?:\w{1,20}:)?url\s{0,9}>")
_IMAGE = b"<image:image>"
_IMAGE_PART = re.compile(rb"<image:(loc|caption|title)" + _VALUE)
_NAME = re.compile(r"sitemap[^/]*$|\.(?:xml|txt)(?:\.gz)?$", re.IGNORECASE)
_LINE = re.compile(rb"https?://\S{1,4090}", re.IGNORECASE)


@dataclass
class Sitemap:
    """What a sitemap lists; ``images`` as (page, URL, texts as (kind, text))."""

    pages: list[str] = field(default_factory=list)
    sitemaps: list[str] = field(default_factory=list)
    images: list[tuple[str, str, list[tuple[str, str]]]] = field(default_factory=list)


def is_sitemap_url(url: str) -> bool:
    """Whether an address looks like a sitemap's."""
    return _NAME.search(url.partition("?")[0]) is not None


def is_sitemap(content: bytes) -> bool:
    """Whether content is a sitemap in XML, whatever its name."""
    return _SITEMAP.search(_unpacked(content, HEAD)[:HEAD]) is not None


def read_sitemap(content: bytes) -> Sitemap:
    """What a sitemap lists; nothing when it is none."""
    content = _unpacked(content, MAX_BYTES)
    if not content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return Sitemap(_of_lines(content))
    found = Sitemap()
    if _IMAGE in content:
        blocks = _PAGE.split(content, MAX_URLS)[1:]
        found.images = [image for block in blocks if _IMAGE in block for image in _images(block)]
    urls = [_text(location) for location in itertools.islice(_LOCATION.finditer(content), MAX_URLS)]
    if _INDEX.search(content[:HEAD]) or (urls and all(is_sitemap_url(url) for url in urls)):
        found.sitemaps = urls
    else:
        found.pages = urls
    return found


def _unpacked(content: bytes, most: int) -> bytes:
    """The content, unpacked if it is gzip and as far as it is whole."""
    if content[:2] != _GZIP:
        return content
    try:
        return zlib.decompressobj(31).decompress(content, most)
    except zlib.error:
        return b""


def _text(found: re.Match[bytes], first: int = 1) -> str:
    """The value that a pattern with _VALUE found: in CDATA as it is, else with its entities undone."""
    literal, escaped = found.group(first), found.group(first + 1)
    if literal is not None:
        return str(literal.decode("utf-8", "replace")).strip()
    return html.unescape(escaped.decode("utf-8", "replace")).strip()


def _images(block: bytes) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """The pictures of a listed page that have an address and a text."""
    where = _LOCATION.search(block)
    page = _text(where) if where else ""
    for image in block.split(_IMAGE, MAX_IMAGES)[1:]:
        parts: dict[bytes, str] = {}
        for found in _IMAGE_PART.finditer(image.partition(b"</image:image>")[0]):
            parts.setdefault(found.group(1), _text(found, 2))
        texts = [(f"sitemap:{name.decode()}", parts[name]) for name in (b"caption", b"title") if name in parts]
        if texts and b"loc" in parts:
            yield page, parts[b"loc"], texts


def _of_lines(content: bytes) -> list[str]:
    """The addresses of a sitemap that is a list of them, one a line; none where most lines are something else."""
    lines = [line.strip() for line in content.lstrip(b"\xef\xbb\xbf").splitlines() if line.strip()][:MAX_URLS]
    urls = [line.decode("utf-8", "replace") for line in lines if _LINE.fullmatch(line)]
    return urls if 2 * len(urls) > len(lines) else []
