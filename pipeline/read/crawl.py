"""One round of a crawl for one bucket of hosts: asks for each page, politely, and reads it.

In: the pages to ask for (FRONTIER). Out: :class:`RoundResult`: pairs, links for the next round, a row a page, rejects.
All tables are in the order of the pages' URLs, so the same answers give the same bytes in whatever order they came.
"""

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from pipeline.fetch.spool import Spool
from pipeline.hosts import host_of
from pipeline.net.client import Memory, PoliteClient
from pipeline.net.config import HttpConfig
from pipeline.net.slots import Slots
from pipeline.net.visits import Visit, Visits, in_lanes, visits
from pipeline.read.ahead import Ahead
from pipeline.read.config import ExtractConfig
from pipeline.read.frontier import frontier_table
from pipeline.read.journal import known_visit, note_visit
from pipeline.read.tables import Rows
from pipeline.read.urls import canonical, spelling
from pipeline.read.visitor import Visited, Visitor
from pipeline.tables.schema import PAGES
from webimagetext.foreign import valid_values

__all__ = ["CrawlBucket", "RoundResult", "crawl_bucket"]

BATCH_ROWS = 10_000


class Advance(Protocol):
    """What a round tells of its progress (see webimagetext.progress)."""

    def advance(self, amount: float = 1, note: str | None = None) -> None: ...


@dataclass
class RoundResult:
    """What a round brought."""

    candidates: list[pa.RecordBatch]  # CANDIDATES
    links: pa.Table  # FRONTIER: in scope, each URL once, among them pages that were already asked for
    pages: pa.Table  # PAGES: a row for each page of the frontier
    rejects: list[pa.RecordBatch]  # REJECTS, of subject page or image


def crawl_bucket(
    frontier: pa.Table,
    http: HttpConfig,
    extract: ExtractConfig,
    progress: Advance | None = None,
    *,
    memory: Memory | None = None,
    waited: Callable[[float], None] = lambda seconds: None,
) -> RoundResult:
    """Asks for every page of ``frontier`` and reads it.

    No host of the frontier may be in another bucket of the same round. ``memory`` is what is known of the sites; by
    default what this process has learnt with the same configuration. ``waited`` is told the seconds spent waiting for
    the hosts' turns. Raises UserError as :class:`PoliteClient` does.
    """
    with visits(http, memory=memory) as shared:
        bucket = CrawlBucket(shared, frontier, http, extract, progress)
        try:
            return bucket.result(waited)
        finally:
            bucket.stop()


class CrawlBucket:
    """The visits to the hosts of one bucket in one round, begun when it is made; pages that ``journal`` knows are not
    asked for, and the others are noted there as they come. ``news`` is set when the bucket is over.
    A host that is done goes on with its pages of the next rounds, where ``ahead`` is given and there is time."""

    def __init__(
        self,
        shared: Visits,
        frontier: pa.Table,
        http: HttpConfig,
        extract: ExtractConfig,
        progress: Advance | None = None,
        journal: Spool | None = None,
        news: threading.Event | None = None,
        ahead: Ahead | None = None,
    ) -> None:
        self._ahead, self._is_stopped = ahead, False
        self._news = news or threading.Event()
        self._shared, self._progress, self._http, self._journal = shared, progress, http, journal
        self._visitor = Visitor(http, extract)
        self._rows = sorted(frontier.to_pylist(), key=lambda row: row["url"])
        self._visited: dict[str, Visited] = {}
        self._error: BaseException | None = None
        hosts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self._rows:
            known = known_visit(journal, row["url"]) if journal is not None else None
            if known is None and ahead is not None:
                known = ahead.visit_of(row["url"], row["depth"])
            if known is None:
                hosts[row["host"]].append(row)
            else:
                self._came(known)
        self._over = threading.Event()
        self._visits = [self._visit(rows) for rows in hosts.values()]
        if ahead is not None:
            self._visits += [self._further_visit(host) for host in sorted(self.hosts - hosts.keys())]
        self._left = len(self._visits)
        if not self._visits:
            self._over.set()
        shared.begin(list(self._visits))

    @property
    def size(self) -> int:
        """How many pages are held."""
        return len(self._rows)

    @property
    def is_over(self) -> bool:
        """Whether nobody has to be waited for any more."""
        return self._over.is_set()

    @property
    def hosts(self) -> set[str]:
        """The hosts of the pages."""
        return {row["host"] for row in self._rows}

    def result(self, waited: Callable[[float], None] = lambda seconds: None) -> RoundResult:
        """What the bucket's pages brought, as soon as all are there; raises what ended a visit."""
        self._shared.wait_for(self._over, waited)
        if self._error is not None:
            raise self._error
        return _tables([self._visited[row["url"]] for row in self._rows])

    def stop(self) -> None:
        """Ends what is under way and closes the journal; to be called at the end, whatever that was."""
        self._is_stopped = True
        self._shared.stop(list(self._visits))
        if self._journal is not None:
            self._journal.close()
        if self._ahead is not None:
            self._ahead.close()

    def forget(self) -> None:
        """Removes the journal: what it holds is safe elsewhere."""
        if self._journal is not None:
            self._journal.delete()

    def _came(self, visit: Visited) -> None:
        self._visited[visit.url] = visit
        if self._progress is not None:
            self._progress.advance()

    def _visit(self, rows: list[dict[str, Any]]) -> Visit:
        """The visit to one host, whose pages are asked for by depth."""
        waiting = deque(sorted(rows, key=lambda row: (row["depth"], row["url"])))

        async def work(client: PoliteClient, _slots: Slots, _goes_on: Callable[[], bool]) -> None:
            lanes = self._http.of_host(rows[0]["host"]).concurrency_per_host
            await in_lanes(lambda: lane(client), min(lanes, len(rows)))

        async def lane(client: PoliteClient) -> None:
            while waiting:
                row = waiting.popleft()
                visit = await self._visitor.visit(client, row["url"], row["host"], row["depth"])
                if self._journal is not None:
                    note_visit(self._journal, visit)
                self._came(visit)

        def ended(error: BaseException | None) -> None:
            if error is None and self._ahead is not None and not self._is_stopped:
                self._visits.append(further := self._further_visit(rows[0]["host"]))
                self._left += 1
                self._shared.begin([further])
            self._ended(error)

        return Visit(len(rows), work, ended)

    def _ended(self, error: BaseException | None) -> None:
        self._left -= 1
        self._error = self._error or error
        if error is not None or not self._left:
            self._over.set()
            self._news.set()

    def _further_visit(self, host: str) -> Visit:
        """The visit to a host whose pages of this round are there, for those of the next ones."""

        async def work(client: PoliteClient, _slots: Slots, goes_on: Callable[[], bool]) -> None:
            assert self._ahead is not None
            visits = [visit for visit in self._visited.values() if visit.host == host]
            while visits and goes_on() and not self._is_stopped:
                await asyncio.to_thread(self._ahead.prepare)
                waiting = deque(self._ahead.next_pages(host, visits))
                visits = await self._round_ahead(client, host, waiting, goes_on)
                if waiting:
                    return

        return Visit(0, work, self._ended, seconds=0.0, is_spare=True)

    async def _round_ahead(
        self, client: PoliteClient, host: str, waiting: deque[tuple[str, int]], goes_on: Callable[[], bool]
    ) -> list[Visited]:
        """Asks for pages of a later round; of those whose turn does not come some are left in ``waiting``."""
        assert self._ahead is not None
        ahead, visits = self._ahead, []
        self._visitor.begin(host)

        async def lane() -> None:
            while waiting and goes_on():
                url, depth = waiting.popleft()
                visit = ahead.visit_of(url, depth)
                if visit is None:
                    visit = await self._visitor.visit(client, url, host, depth)
                    ahead.note(visit)
                visits.append(visit)

        await in_lanes(lane, min(self._http.of_host(host).concurrency_per_host, len(waiting)))
        return visits


def _tables(visits: list[Visited]) -> RoundResult:
    """The visits, which are in the order of their URLs, as tables."""
    rows = Rows("pages")
    candidates: list[pa.RecordBatch] = []
    rejects: list[pa.RecordBatch] = []
    depths: dict[str, int] = {}
    pages = []
    finals: set[str] = set()
    for visit in visits:
        final = spelling(visit.answer.final_url)
        reason = _reason(visit, final in finals)
        finals.add(final)
        if not reason:
            rows.add_page(visit.page, _own_address(visit, final), visit.consent)
        elif reason == "sitemap" and visit.consent.allowed:
            for pair, page in visit.listed:
                rows.add_pair(pair, page, "", visit.consent.decision, visit.consent.evidence)
        elif reason not in ("sitemap", "other_host"):
            rows.reject(visit.url, "page", reason, visit.url, visit.answer.detail or visit.consent.detail)
        for url, depth in visit.links:
            depths[url] = min(depth, depths.get(url, depth))
        pages.append(_page_row(visit, final, reason))
        if len(rows) >= BATCH_ROWS:
            _flush(rows, candidates, rejects)
    _flush(rows, candidates, rejects)
    return RoundResult(candidates, frontier_table(depths.items()), pa.Table.from_pylist(pages, schema=PAGES), rejects)


def _reason(visit: Visited, known: bool) -> str:
    """Why a page gives no pairs, "" where it does; ``known``: another address of this round led to the same page."""
    if visit.answer.reason:
        return visit.answer.reason
    if known:
        return "same_page"
    return "" if visit.consent.allowed else f"refused_by_{visit.consent.decision}"


def _own_address(visit: Visited, final: str) -> str:
    """The address that a page gives as its own where that is of the same host, else the one that led to it."""
    own = canonical(visit.page.canonical) if visit.page.canonical else None
    return own if own is not None and host_of(own) == host_of(final) else final


def _page_row(visit: Visited, final: str, reason: str) -> dict[str, Any]:
    """A visit's row of PAGES."""
    answer, page, consent = visit.answer, visit.page, visit.consent
    row = {
        "url": visit.url,
        "final_url": final,
        "host": visit.host,
        "depth": visit.depth,
        "status": reason or "success",
        "error_message": answer.detail or None,
        "http_status": answer.status or None,
        "bytes": visit.size,
        "title": page.title or None,
        "language": page.language or None,
        "images": len(page.pairs) + len(page.skipped),
        "pairs": 0 if reason else len(page.pairs),
        "links": len(visit.links),
        "consent": consent.decision or answer.consent or None,
        "consent_evidence": consent.evidence or answer.consent_evidence or None,
    }
    return {name: valid_values(value) for name, value in row.items()}


def _flush(rows: Rows, candidates: list[pa.RecordBatch], rejects: list[pa.RecordBatch]) -> None:
    extracted = rows.take()
    if extracted.candidates.num_rows:
        candidates.append(extracted.candidates)
    if extracted.rejects.num_rows:
        rejects.append(extracted.rejects)
