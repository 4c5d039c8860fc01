"""Builds a Wikipedia dump of any size from real articles, for the query builder's benchmarks.

In: the real excerpt that comes with gensim (205 pages), and the size wanted. Out: a multistream bz2 dump as Wikipedia
publishes them. An article is made of sections of several real articles, so titles and neighbourhoods differ while every
sentence and all its markup are real. Beyond ``UNIQUE`` the compressed streams repeat in another order, since
compressing is what takes long.
"""

import bz2
import random
import re
from pathlib import Path

from benchmarks.peers import peers_python
from webimagetext.errors import UserError

__all__ = ["excerpt", "write_dump"]

EXCERPT = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
UNIQUE = 160_000_000  # bytes of XML
PAGES_A_STREAM = 40
SECTIONS_A_PAGE = 6
SHORTEST_ARTICLE = 3000
_TEXT = re.compile(rb'<text xml:space="preserve">(.*?)</text>', re.DOTALL)
_SECTION = re.compile(rb"(?m)^(?===[^=])")


def excerpt() -> Path:
    """The real excerpt, from the gensim in the peers' environment. Raises UserError if it is not there."""
    found = sorted(peers_python().parents[1].glob(f"lib/python*/site-packages/gensim/test/test_data/{EXCERPT}"))
    if not found:
        raise UserError(
            "gensim's Wikipedia excerpt is not in the peers' environment", "build it again with: make peers"
        )
    return found[0]


def write_dump(target: Path, size: int) -> int:
    """Writes a dump of about ``size`` bytes of XML; returns the exact number. The same size gives the same bytes."""
    real = bz2.decompress(excerpt().read_bytes())
    head = real[: real.index(b"<page>")]
    articles = [text for text in _TEXT.findall(real) if len(text) > SHORTEST_ARTICLE]
    sections = [section for text in articles for section in _SECTION.split(text)]
    draw = random.Random(20)
    streams: list[tuple[bytes, int]] = []
    unique = 0
    while unique < min(size, UNIQUE):
        pages = b"".join(
            _page(len(streams) * PAGES_A_STREAM + k, b"\n".join(draw.choices(sections, k=SECTIONS_A_PAGE)))
            for k in range(PAGES_A_STREAM)
        )
        streams.append((bz2.compress(pages), len(pages)))
        unique += len(pages)
    written = 0
    with target.open("wb") as file:
        file.write(bz2.compress(head))
        order: list[tuple[bytes, int]] = []
        while written < size:
            if not order:
                order = draw.sample(streams, len(streams))
            stream, length = order.pop()
            file.write(stream)
            written += length
        file.write(bz2.compress(b"</mediawiki>\n"))
    return written + len(head) + len(b"</mediawiki>\n")


def _page(number: int, text: bytes) -> bytes:
    return b"""  <page>
    <title>Article %d (recombined)</title>
    <ns>0</ns>
    <id>%d</id>
    <revision>
      <text xml:space="preserve">%s</text>
    </revision>
  </page>
""" % (number, number, text)
