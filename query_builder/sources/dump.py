"""A Wikipedia dump shard by shard: where files are cut, and where in a shard each page begins and ends.

In: `pages-articles` XML files. Out: the shards they are cut into and, for a shard, its pages in the main namespace,
each read by :mod:`query_builder.sources.page`, in the buffer that has their texts. A page belongs to the shard that
its ``<page>`` begins in; the reader goes on beyond the shard's end to finish the last one. Damage is raised or, where
asked, left out and counted in a :class:`Ledger`, in which every page is: ``pages`` are all, and each of them is one of
PAGE_KINDS.
"""

import html
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from query_builder.sources.page import Ledger, Page, parse_page
from query_builder.sources.piece import BEYOND, CorruptInputError, Gap, Piece
from query_builder.sources.pieces import PLAIN, container, pieces_from
from webimagetext.errors import UserError
from webimagetext.files import size

__all__ = ["PAGE_KINDS", "Batch", "Shard", "plan_shards", "read_pages", "read_site_info"]

# Enough shards to keep any number of workers busy to the end; large ones, since each part costs the merge an open file.
FEWEST_SHARDS = 64
# A few sizes, so that a file is cut at the same places beside others of about the same size altogether.
SHARD_SIZES = tuple(megabytes << 20 for megabytes in (12, 16, 24, 32, 48))
PLAIN_FACTOR = 4  # a megabyte of bz2 is about four of XML
BATCH = 4 << 20
LONGEST_HEADER = 1 << 20
LONGEST_PAGE = BEYOND
TOO_LONG = f"a page of more than {LONGEST_PAGE:,} bytes: the XML is damaged, or this is a dump of all revisions"
_OPEN, _CLOSE, _END = b"<page>", b"</page>", b"</mediawiki>"
_NAMESPACE = re.compile(r'<namespace key="(-?\d+)"[^>]*>([^<]*)</namespace>')

OTHER_NAMESPACES, MALFORMED = "pages in other namespaces", "malformed pages"
PAGE_KINDS = ("articles", "redirects", OTHER_NAMESPACES, MALFORMED, "pages with invalid UTF-8")


@dataclass(frozen=True)
class Shard:
    """A range of a file's (compressed) bytes; ``number`` counts over all files."""

    number: int
    url: str
    start: int
    end: int
    file_size: int


@dataclass(frozen=True)
class SiteInfo:
    """What a dump's header says: the database (``enwiki``) and the names of its namespaces by number."""

    database: str
    namespaces: dict[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pages, the buffer with their texts, and the offset in the file that has been reached."""

    buffer: bytes
    pages: list[Page]
    offset: int


def plan_shards(urls: tuple[str, ...], shard_bytes: int | None = None) -> list[Shard]:
    """Cuts the files into shards, of equal numbers of bytes within a file; the same for any number of workers."""
    factors = [PLAIN_FACTOR if container(url) == PLAIN else 1 for url in urls]
    lengths = [size(url) for url in urls]
    compressed = sum(length / factor for length, factor in zip(lengths, factors, strict=True))
    default = max((step for step in SHARD_SIZES if step <= compressed / FEWEST_SHARDS), default=SHARD_SIZES[0])
    shards: list[Shard] = []
    for url, length, factor in zip(urls, lengths, factors, strict=True):
        count = max(1, round(length / (shard_bytes or default * factor)))
        cuts = [length * k // count for k in range(count + 1)]
        for start, end in itertools.pairwise(cuts):
            shards.append(Shard(len(shards), url, start, end, length))
    return shards


def read_site_info(url: str) -> SiteInfo:
    """The header of a dump. Raises UserError if the file is not a MediaWiki export, or damaged before it says so."""
    head = b""
    for piece in pieces_from(url, 0, 0):
        if isinstance(piece, Gap):
            if b"<mediawiki" not in head:
                raise CorruptInputError(url, piece.offset, piece.reason)
            break
        head += piece.data
        if b"</siteinfo>" in head or len(head) > LONGEST_HEADER:
            break
    if b"<mediawiki" not in head[:LONGEST_HEADER]:
        raise UserError(
            f"{url}: not a Wikipedia dump: there is no <mediawiki> at its start",
            "give the pages-articles XML file of a dump",
        )
    text = head.split(b"</siteinfo>")[0].decode("utf-8", "replace")
    database = re.search(r"<dbname>([^<]*)</dbname>", text)
    names: dict[int, tuple[str, ...]] = {int(key): (html.unescape(name),) for key, name in _NAMESPACE.findall(text)}
    return SiteInfo(database[1] if database else "", names)


def read_pages(
    shard: Shard, *, skip_corrupt: bool, ledger: Ledger, namespaces: frozenset[str] = frozenset()
) -> Iterator[Batch]:
    """The pages of a shard in batches of a few megabytes.

    ``namespaces`` are the names of all but the main one, in lower case: they tell a page of another namespace where the
    dump has no numbers, as old ones. ``ledger`` counts pages by kind and what was left out. Raises CorruptInputError
    unless ``skip_corrupt``.
    """
    reader = _Reader(shard, skip_corrupt, ledger, namespaces)
    pieces = pieces_from(shard.url, shard.start, shard.end)
    for piece in pieces:
        if piece.offset >= shard.end:
            yield reader.batch()
            yield from reader.last_page(itertools.chain([piece], pieces))
            return
        if isinstance(piece, Gap):
            reader.damage(piece.offset, piece.reason, "damaged stretches")
            yield reader.batch()
            reader.pending = b""  # the page that was cut is gone
        elif reader.take(piece) >= BATCH:
            yield reader.batch()
    if reader.waiting:
        yield reader.batch()
    if not reader.cut_off() and not reader.ended and ledger["xml_bytes"]:
        # No piece lay beyond the shard, so the file's last bytes were in it.
        reader.damage(
            shard.file_size, "the file ends without </mediawiki>: it is not complete", "files without their end"
        )


class _Reader:
    """What has come of a shard and is not yet cut into pages."""

    def __init__(self, shard: Shard, skip_corrupt: bool, ledger: Ledger, namespaces: frozenset[str]) -> None:
        self.shard, self.skip_corrupt, self.ledger, self.namespaces = shard, skip_corrupt, ledger, namespaces
        self.pending = b""  # what follows the last whole page: the beginning of another, or of a mark
        self.waiting: list[bytes] = []
        self.gathered = 0  # bytes of what is waiting
        self.offset = shard.start
        self.ended = False  # whether the end of the dump has come

    def damage(self, offset: int, reason: str, kind: str) -> None:
        """Raises CorruptInputError, or counts what is left out."""
        if not self.skip_corrupt:
            raise CorruptInputError(self.shard.url, offset, reason)
        self.ledger[kind] += 1

    def cut_off(self) -> bool:
        """Whether a page has begun, which is damage once the file is at its end."""
        begun = _OPEN in self.pending
        if begun:
            self.damage(self.shard.file_size, "the file ends within a page", "pages cut off")
        return begun

    def take(self, piece: Piece) -> int:
        """Adds a piece; returns the bytes that are waiting."""
        self.waiting.append(piece.data)
        self.gathered += len(piece.data)
        self.offset = piece.offset
        return self.gathered

    def batch(self) -> Batch:
        """The whole pages in what has come."""
        pages, buffer, self.pending, ended = self._split(self.pending, self.waiting)
        self.ended = ended or (self.ended and not pages)  # a batch may hold what follows the end, a line break say
        self.ledger["xml_bytes"] += self.gathered
        self.waiting, self.gathered = [], 0
        return self._counted(buffer, pages)

    def last_page(self, pieces: Iterator[Piece | Gap]) -> Iterator[Batch]:
        """The page that has begun in the shard, if any, from the ``pieces`` beyond it."""
        for piece in pieces:
            if isinstance(piece, Gap):
                return  # the page that runs into the damage is lost; the shard that the damage lies in tells of it
            last = self.pending + piece.data
            start = last.find(_OPEN)
            if start < 0 or start >= len(self.pending):
                return
            stop = last.find(_CLOSE, start)
            if stop >= 0:
                pages, buffer, _, _ = self._split(b"", [last[: stop + len(_CLOSE)]])
                yield self._counted(buffer, pages)
                return
            if len(last) - start > LONGEST_PAGE + len(_CLOSE):
                self.ledger["pages"] += 1
                self.damage(self.offset, TOO_LONG, MALFORMED)
                return
            self.pending = last
        self.cut_off()

    def _split(self, pending: bytes, waiting: list[bytes]) -> tuple[list[Page], bytes, bytes, bool]:
        return _split(pending, waiting, self.damage, self.offset, self.ledger, self.namespaces)

    def _counted(self, buffer: bytes, pages: list[Page]) -> Batch:
        redirects = sum(page.target is not None for page in pages)
        self.ledger["redirects"] += redirects
        self.ledger["articles"] += len(pages) - redirects
        return Batch(buffer, pages, self.offset)


def _split(
    pending: bytes,
    waiting: list[bytes],
    damage: Callable[[int, str, str], None],
    offset: int,
    ledger: Ledger,
    namespaces: frozenset[str],
) -> tuple[list[Page], bytes, bytes, bool]:
    """Finds the whole pages in the bytes so far: pages, the buffer they point into, the rest, whether the end is in
    it. ``ledger`` counts all, and those of other namespaces."""
    buffer = b"".join([pending, *waiting])
    pages: list[Page] = []
    start = buffer.find(_OPEN)
    while start >= 0:
        following = buffer.find(_OPEN, start + len(_OPEN))
        stop = buffer.find(_CLOSE, start, following if following >= 0 else len(buffer))
        if stop < 0 and following < 0:
            if len(buffer) - start <= LONGEST_PAGE + len(_CLOSE):
                return pages, buffer, buffer[start:], False
            ledger["pages"] += 1
            damage(offset, TOO_LONG, MALFORMED)
            break
        ledger["pages"] += 1
        if stop < 0:
            damage(offset, "a <page> begins within another: the XML is damaged", MALFORMED)
        elif stop - start > LONGEST_PAGE:
            damage(offset, TOO_LONG, MALFORMED)
        else:
            page = parse_page(buffer, start, stop, ledger, namespaces)
            if isinstance(page, str):
                damage(offset, page, MALFORMED)
            elif page is None:
                ledger[OTHER_NAMESPACES] += 1
            else:
                pages.append(page)
        start = following
    tail = buffer[buffer.rfind(_CLOSE) + 1 :] if pages else buffer
    return pages, buffer, buffer[-(len(_END) - 1) :], _END in tail
