"""The links of a page, and which of them are worth a request as pages: not those to files that hold none, nor those
into a site's endless spaces.

In: the trees of a page; a canonical URL. Out: absolute URLs; yes or no. Seeds are asked whatever this says.
"""

import re
from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

from pipeline.read.urls import Resolver

__all__ = ["links_of", "may_be_page"]

MAX_LINKS = 5_000  # of one page
MAX_SEGMENTS = 24  # of a path
MAX_REPEATED = 3  # times that one segment may stand in a path, or one parameter in a query
MAX_PARAMETERS = 12
MAX_LENGTH = 1024  # characters of an address

# Endings of files that hold no page. A wiki's page about a file ends so too, and has a colon before ("File:Deer.jpg").
_FILES = (
    "7z apk appimage asc avi avif bib bin bmp bz2 c class cpp css csv dat db deb diff djvu dmg doc docx dot eot eps "
    "epub exe flac flv gif gpg gz h heic ico ics img ipynb iso jar jpeg jpg js json jsonl jxl key lz4 lzma m3u8 m4a "
    "m4v map md5 mid mjs mkv mobi mov mp3 mp4 mpeg mpg msi npy odp ods odt oga ogg ogv opus otf parquet patch pdf pkg "
    "png po pot ppt pptx ps py pyc rar rpm rss rtf s3db sha1 sha256 sig sql sqlite svg svgz swf tar tex tgz tif tiff "
    "toml torrent tsv ttf txt vcf wasm wav webm webmanifest webp whl wma wmv woff woff2 xls xlsx xpi xz yaml yml "
    "z zip zst"
)
_FILE = re.compile(rf"/[^/:]*\.(?:{'|'.join(_FILES.split())})", re.IGNORECASE)


def may_be_page(url: str) -> bool:
    """Whether an address may lead to a page that a crawl comes to an end with."""
    parts = urlsplit(url)
    at = parts.path.rfind("/")
    if _FILE.fullmatch(parts.path, at if at >= 0 else 0):
        return False
    if len(url) > MAX_LENGTH:
        return False
    segments = [segment for segment in parts.path.split("/") if segment]
    names = [part.partition("=")[0] for part in parts.query.split("&") if part]
    if len(segments) > MAX_SEGMENTS or len(names) > MAX_PARAMETERS:
        return False
    return all(max(Counter(each).values(), default=0) <= MAX_REPEATED for each in (segments, names))


def links_of(trees: Iterable[LexborHTMLParser], resolve: Resolver) -> list[str]:
    """Targets of links that do not ask not to be followed, in page order, each once."""
    raw: dict[str, None] = {}
    for tree in trees:
        for node in tree.css("a[href], area[href], frame[src]"):
            attributes = node.attributes
            if "nofollow" not in (attributes.get("rel") or "").lower():
                raw[(attributes.get("href") or attributes.get("src") or "").partition("#")[0]] = None
        if len(raw) > MAX_LINKS:
            break
    found = (resolve(reference) for reference in list(raw)[:MAX_LINKS] if reference)
    return list(dict.fromkeys(target for target in found if target))
