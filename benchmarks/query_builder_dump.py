"""Builds a Wikipedia dump of any size from real articles, for the query builder's benchmarks.

In: the real excerpt that comes with gensim (205 pages), and the size wanted. Out: a multistream bz2 dump as Wikipedia
publishes them, or plain XML. An article is made of sections of several real articles, with all their markup, so titles
and neighbourhoods differ. Text that only repeated would hide half of the cost of counting, which lies in words and
pairs that are new; so of the plain words of a section a share is drawn anew, from a vocabulary with a long tail: the
excerpt's own words by their frequency, then blends of them. The share is such that as many words and pairs are new as
in 51 MB of real articles (8.3 million words: 200,000 forms and 1,980,000 pairs of them). Beyond ``UNIQUE`` the
compressed streams repeat in another order, since compressing is what takes long.
"""

import bz2
import itertools
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

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
_WORD = re.compile(rb"(?<=[ (])[a-z]{4,}(?=[ ,.;)])")
REDRAWN = 0.65  # of the plain words
VOCABULARY = 600_000
DRAWS = 1 << 18
STEEPNESS, OFFSET = 1.25, 20.0  # of the law of Zipf and Mandelbrot that the words are drawn by


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
    draw, words = random.Random(20), _words(b" ".join(sections))
    streams: list[tuple[bytes, int]] = []
    unique = 0
    while unique < min(size, UNIQUE):
        pages = b"".join(
            _page(
                len(streams) * PAGES_A_STREAM + k,
                _WORD.sub(lambda found: next(words) or found[0], b"\n".join(draw.choices(sections, k=SECTIONS_A_PAGE))),
            )
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


def _words(text: bytes) -> Iterator[bytes]:
    """Words without end, the empty one for a place that keeps its own."""
    own = [word for word, _ in Counter(_WORD.findall(text)).most_common()]
    draw = random.Random(21)
    blends = {
        first[: draw.randrange(2, 6)] + last[draw.randrange(0, 3) :]
        for first, last in zip(draw.choices(own, k=2 * VOCABULARY), draw.choices(own, k=2 * VOCABULARY), strict=True)
    }
    vocabulary = [*own, *sorted(blends - set(own), key=lambda word: (len(word), word))][:VOCABULARY]
    weights = 1 / (np.arange(len(vocabulary)) + OFFSET) ** STEEPNESS
    sums = np.cumsum(weights) / weights.sum()
    generator = np.random.default_rng(22)
    while True:
        ranks = np.minimum(np.searchsorted(sums, generator.random(DRAWS)), len(vocabulary) - 1)
        kept = generator.random(DRAWS) >= REDRAWN
        yield from itertools.starmap(
            lambda rank, keep: b"" if keep else vocabulary[rank], zip(ranks.tolist(), kept.tolist(), strict=True)
        )


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
