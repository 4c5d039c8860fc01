"""Pages of a crawl's later rounds, asked for while other hosts of the round are still at work: a fast host does not
wait for a slow one.

In: what a host's pages of the round link to on that host itself. Out: visits, kept in a journal of the bucket's for the
round that is to ask for them, which then need not. So rounds bring what they would have brought: a page that nothing
but the host's own links leads to is one of the next round whatever other hosts say. Where a budget might leave such a
page out, it is not asked for ahead.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.fetch.spool import Spool
from pipeline.hashing import hash_strings
from pipeline.hosts import host_of
from pipeline.read.config import ExtractConfig
from pipeline.read.journal import known_visit, note_visit
from pipeline.read.visitor import Visited

__all__ = ["Ahead"]

Asked = tuple[npt.NDArray[np.uint64], Counter[str]]


class Ahead:
    """What is asked for ahead of its round in one bucket. ``journal``: opens the bucket's, which ``is_there`` already
    or not; ``asked``: reads the hashes of all addresses of the rounds so far and how many there are of each host;
    ``most``: pages that may be asked for ahead."""

    def __init__(
        self,
        journal: Callable[[], Spool],
        asked: Callable[[], Asked],
        extract: ExtractConfig,
        most: int,
        *,
        is_there: bool,
    ) -> None:
        self._open, self._read, self._extract, self._left = journal, asked, extract, most
        self._journal = journal() if is_there else None
        self._asked: Asked | None = None
        self._taken: set[str] = set()
        self._of_host: Counter[str] = Counter()

    def visit_of(self, url: str, depth: int) -> Visited | None:
        """The visit to a page that was asked for ahead, as it were at ``depth``; None where it is to be asked for."""
        visit = known_visit(self._journal, url) if self._journal is not None else None
        if visit is None or depth == visit.depth:
            return visit
        # Another host leads there by a shorter way. Of the last level and the first one more or less is read.
        if depth > visit.depth or visit.depth == self._extract.depth or depth == 0:
            return None
        nearer = visit.depth - depth
        visit.links = [(link, far - nearer) for link, far in visit.links]
        visit.depth = depth
        return visit

    def note(self, visit: Visited) -> None:
        """Writes down a visit."""
        if self._journal is None:
            self._journal = self._open()
        note_visit(self._journal, visit)

    def prepare(self) -> None:
        """Reads what was asked for in the rounds so far."""
        if self._asked is None:
            self._asked = self._read()

    def next_pages(self, host: str, visits: Iterable[Visited]) -> list[tuple[str, int]]:
        """The pages, by depth and address, of the round after that of all of a host's ``visits``; none where there
        may be too many. To be called after :meth:`prepare`."""
        assert self._asked is not None
        hashes, of_hosts = self._asked
        depths: dict[str, int] = {}
        for visit in visits:
            for url, depth in visit.links:
                if host_of(url) == host and url not in self._taken:
                    depths[url] = min(depth, depths.get(url, depth))
        found = sorted((depth, url) for url, depth in depths.items())
        is_new = ~np.isin(hash_strings(pa.array([url for _, url in found], pa.string())), hashes)
        pages = [(url, depth) for (depth, url), new in zip(found, is_new, strict=True) if new]
        room = self._extract.max_pages_per_host - of_hosts[host] - self._of_host[host]
        if len(pages) > min(self._left, room // 2):
            return []
        self._left -= len(pages)
        self._of_host[host] += len(pages)
        self._taken.update(url for url, _ in pages)
        return pages

    def close(self) -> None:
        """Closes the journal, which stays for the next round."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
