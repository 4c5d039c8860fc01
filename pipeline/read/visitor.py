"""One visit of a crawl: a page or a sitemap is asked for, read, and its links are judged.

In: an address of the frontier. Out: :class:`Visited`: the answer, what the page holds, the links that lie within the
crawl. What an address leads to is told by what comes, not by its name: a page, a sitemap of any name, or neither.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.net.client import Answer, PoliteClient
from pipeline.net.config import HttpConfig
from pipeline.net.consent import Consent, directives
from pipeline.read.choose import choose, plain
from pipeline.read.config import ExtractConfig
from pipeline.read.frontier import ScopeRules
from pipeline.read.links import may_be_page
from pipeline.read.pages import Page, Pair, extract_page
from pipeline.read.rendered import without_markup
from pipeline.read.sitemap import MAX_BYTES, is_sitemap, is_sitemap_url, read_sitemap
from pipeline.read.tables import page_consent
from pipeline.read.urls import canonical, picture_url

__all__ = ["Visited", "Visitor"]

ACCEPT = "text/html, application/xhtml+xml;q=0.9, */*;q=0.1"
PAGE_TYPES = ("text/html", "application/xhtml+xml")
SITEMAP_TYPES = ("text/xml", "application/xml", "application/gzip", "application/x-gzip")  # under any name
LIST_TYPES = ("text/plain", "application/octet-stream")  # under a sitemap's name
SNIFFED = 4_000  # bytes in which a page begins
HOST_PARSE_SECONDS = 30.0  # of processor time for one host's pages in a bucket: beyond it they are built to stall us


@dataclass
class Visited:
    """A page of the frontier and what came of it."""

    url: str
    host: str
    depth: int
    answer: Answer
    page: Page = field(default_factory=Page)
    consent: Consent = field(default_factory=lambda: Consent("", ""))
    links: list[tuple[str, int]] = field(default_factory=list)
    listed: list[tuple[Pair, str]] = field(default_factory=list)  # of a sitemap: pairs with their pages
    size: int = 0


class Visitor:
    """Asks for pages and reads them as they come, so that only the bodies under way are in memory."""

    def __init__(self, http: HttpConfig, extract: ExtractConfig) -> None:
        self._http = http
        self._extract = extract
        self._within = ScopeRules(extract)
        self._seconds: dict[str, float] = {}

    def begin(self, host: str) -> None:
        """The pages of another round of a host are read."""
        self._seconds.pop(host, None)

    async def visit(self, client: PoliteClient, url: str, host: str, depth: int) -> Visited:
        """Asks for a page and reads it."""
        sitemap = is_sitemap_url(url)
        answer = await client.get(
            url,
            accept=ACCEPT,
            max_bytes=MAX_BYTES if sitemap else self._extract.max_page_bytes,
            types=PAGE_TYPES + SITEMAP_TYPES + (LIST_TYPES if sitemap else ()),
            follow="host",
        )
        visit = Visited(url, host, depth, answer, size=len(answer.body))
        spent = self._seconds.get(host, 0.0)
        if not answer.reason and spent > HOST_PARSE_SECONDS:
            answer.reason, answer.detail = "host_too_costly", f"its pages took over {HOST_PARSE_SECONDS:.0f} s to read"
        began = time.thread_time()
        if answer.reason == "other_host":
            visit.links = self._kept([answer.final_url], depth)
        elif not answer.reason:
            self._read(visit, sitemap)
        if depth == 0 and self._extract.sitemaps and not sitemap:
            visit.links += self._kept(await client.sitemaps(url), 0)
        answer.body = b""
        self._seconds[host] = spent + time.thread_time() - began
        return visit

    def _read(self, visit: Visited, named_sitemap: bool) -> None:
        answer = visit.answer
        media = answer.header("content-type").strip().lower()
        page = media.startswith(PAGE_TYPES)
        lists = (named_sitemap or not page) and is_sitemap(answer.body)
        if lists or (named_sitemap and media and not page):
            self._read_sitemap(visit)
            return
        if media and not page and b"<html" not in answer.body[:SNIFFED].lower():
            answer.reason, answer.detail = "wrong_type", media[:100]
            return
        goes_on = visit.depth < self._extract.depth
        visit.page = extract_page(
            answer.body, answer.final_url, media, image_width=self._extract.image_width, links=goes_on
        )
        visit.consent = page_consent(visit.page, {}, self._http, [answer.consent_evidence])
        told = [content for name, content in visit.page.metas if name == "robots"]
        told += answer.headers.get("x-robots-tag", ())
        if not {"nofollow", "none"} & {word for value in told for word in directives(value, self._http.user_agent)}:
            visit.links = self._kept(filter(may_be_page, visit.page.links), visit.depth + 1)
            if visit.page.refresh:
                visit.links += self._kept([visit.page.refresh], visit.depth)

    def _read_sitemap(self, visit: Visited) -> None:
        answer = visit.answer
        found = read_sitemap(answer.body)
        visit.links = self._kept(filter(may_be_page, found.pages), visit.depth + 1)
        visit.links += self._kept(found.sitemaps, visit.depth)
        visit.consent = page_consent(visit.page, {}, self._http, [answer.consent_evidence, "sitemap: names the image"])
        for page, address, texts in found.images:
            kept, caption = choose((kind, plain(without_markup(text))) for kind, text in texts)
            url = picture_url(address)
            if url and caption:
                visit.listed.append((Pair(url, caption, kept), canonical(page) or answer.final_url))
        answer.reason = "sitemap"

    def _kept(self, urls: Iterable[str], depth: int) -> list[tuple[str, int]]:
        if depth > self._extract.depth:
            return []
        known = (canonical(url) for url in urls)
        return [(url, depth) for url in dict.fromkeys(known) if url is not None and self._within(url)]
