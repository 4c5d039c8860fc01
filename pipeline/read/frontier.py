"""Which pages a crawl asks for next: breadth first, in rounds, within its scope and budgets.

In: links found in a round (FRONTIER) and the pages already known. Out: the next round's frontier, in an order that
depends on nothing but its contents. The host of a row is the unit in which a round is divided among workers.
"""

from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

import pyarrow as pa

from pipeline.hosts import host_of
from pipeline.net.robots import matches, percent_normal
from pipeline.read.config import ExtractConfig
from pipeline.read.urls import canonical
from pipeline.tables.schema import FRONTIER
from webimagetext.errors import UserError

__all__ = ["ScopeRules", "admit", "frontier_table", "seed_frontier"]


def seed_frontier(config: ExtractConfig) -> pa.Table:
    """The first round: every seed at depth 0. Raises UserError for no seeds or one that is no web address."""
    if not config.seeds:
        raise UserError("extract: there are no seeds", "name at least one page or domain in extract.seeds")
    rows = {}
    for seed in config.seeds:
        url = canonical(seed)
        if url is None:
            raise UserError(f"extract: the seed {seed!r} is neither a http(s) URL nor a domain name")
        rows[url] = 0
    return frontier_table(rows.items())


def frontier_table(rows: Iterable[tuple[str, int]]) -> pa.Table:
    """A FRONTIER table of (canonical URL, depth), sorted by depth, then URL."""
    ordered = sorted(rows, key=lambda row: (row[1], row[0]))
    urls = [url for url, _ in ordered]
    columns = [urls, [host_of(url) for url in urls], [depth for _, depth in ordered]]
    return pa.table(dict(zip(FRONTIER.names, columns, strict=True)), schema=FRONTIER)


class ScopeRules:
    """Whether a page lies within a crawl, by the seeds and the patterns of the configuration."""

    def __init__(self, config: ExtractConfig) -> None:
        self._scope = config.scope
        self._include = [percent_normal(pattern) for pattern in config.include]
        self._exclude = [percent_normal(pattern) for pattern in config.exclude]
        seeds = [url for url in map(canonical, config.seeds) if url is not None]
        # A site sends its visitors to another spelling of itself: with www or without, by http or https.
        self._hosts = {_site(host_of(url)) for url in seeds}
        self._domains = tuple(map(_site, map(host_of, seeds)))
        self._prefixes = tuple(_site(url.partition("?")[0].rpartition("/")[0] + "/") for url in seeds)

    def __call__(self, url: str) -> bool:
        """Whether the canonical ``url`` is within."""
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        if any(matches(pattern, path) for pattern in self._exclude):
            return False
        if self._include and not any(matches(pattern, path) for pattern in self._include):
            return False
        if self._scope == "any":
            return True
        if self._scope == "prefix":
            return _site(url).startswith(self._prefixes)
        host = host_of(url)
        if self._scope == "host":
            return _site(host) in self._hosts
        return any(host == domain or host.endswith(f".{domain}") for domain in self._domains)


def _site(address: str) -> str:
    """A host, or a URL, without scheme and www."""
    return address.partition("://")[2].removeprefix("www.") if "://" in address else address.removeprefix("www.")


def admit(
    links: pa.Table,
    seen: Collection[str],
    config: ExtractConfig,
    *,
    asked: int = 0,
    asked_by_host: dict[str, int] | None = None,
) -> pa.Table:
    """The links to ask for in the next round.

    ``links`` may hold a URL many times: the smallest depth counts. Left out are URLs in ``seen``, out of scope, deeper
    than the configured depth, and what exceeds the budgets, of which ``asked`` pages (``asked_by_host`` by host) are
    spent. The order, and so what a budget keeps, is by depth, then by URL.
    """
    within = ScopeRules(config)
    depths: dict[str, int] = {}
    for url, depth in zip(links.column("url").to_pylist(), links.column("depth").to_pylist(), strict=True):
        if depth <= config.depth and depth < depths.get(url, 1 << 30):
            depths[url] = depth
    spent = dict(asked_by_host or {})
    rows: list[tuple[str, int]] = []
    for url, depth in sorted(depths.items(), key=lambda item: (item[1], item[0])):
        if asked + len(rows) >= config.max_pages:
            break
        host = host_of(url)
        if url not in seen and spent.get(host, 0) < config.max_pages_per_host and within(url):
            spent[host] = spent.get(host, 0) + 1
            rows.append((url, depth))
    return frontier_table(rows)
