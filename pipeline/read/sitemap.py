"""Sitemaps (sitemaps.org protocol 0.9): the pages and further sitemaps they list.

In: the bytes of a sitemap, plain or gzip. Out: URLs as written. Read with regular expressions, not as XML: real
sitemaps are often broken, and no entity can be expanded this way.
"""

import html
import re
import zlib

__all__ = ["is_sitemap_url", "read_sitemap"]

MAX_BYTES = 50_000_000  # of one sitemap, by the protocol
MAX_URLS = 50_000
_LOCATION = re.compile(rb"<(?:\w{1,20}:)?loc>\s*([^<>]{1,4096})<")
_INDEX = re.compile(rb"<(?:\w{1,20}:)?sitemapindex\b")
_NAME = re.compile(r"sitemap[^/]*$|\.xml(\.gz)?$", re.IGNORECASE)


def is_sitemap_url(url: str) -> bool:
    """Whether an address looks like a sitemap's."""
    return _NAME.search(url.partition("?")[0]) is not None


def read_sitemap(content: bytes) -> tuple[list[str], list[str]]:
    """(pages, further sitemaps) of a sitemap; both empty when it is none."""
    if content[:2] == b"\x1f\x8b":
        try:
            content = zlib.decompressobj(31).decompress(content, MAX_BYTES)
        except zlib.error:
            return [], []
    found = [match.group(1) for match, _ in zip(_LOCATION.finditer(content), range(MAX_URLS), strict=False)]
    urls = [html.unescape(location.decode("utf-8", "replace")).strip() for location in found]
    if _INDEX.search(content[:2000]):
        return [], urls
    if urls and all(is_sitemap_url(url) for url in urls):
        return [], urls
    return urls, []
