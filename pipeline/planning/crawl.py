"""What can be said of a crawl before it is gone on with: bounds by its settings, and what earlier rounds know.

In: the configuration, and a run folder where there is one. Out: :class:`Crawl`. Nothing is asked: how many pages there
are, and what is on them, is not known before; the settings say how many are asked for at most, and how long at least
that takes.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

from pipeline.config import RunConfig
from pipeline.hosts import host_of
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import is_complete, iter_batches, rows_in
from pipeline.net.config import HttpConfig
from pipeline.planning.hours import chain_seconds
from pipeline.planning.rates import Rates
from pipeline.read.crawls import crawl_folder, current_crawl, round_folder
from pipeline.read.frontier import seed_frontier
from webimagetext import files

__all__ = ["Crawl", "crawl_of"]


@dataclass(frozen=True)
class Crawl:
    """``most_pages``: that the settings allow. ``asked``: by the rounds of the crawl in ``folder``, ``rounds`` of them;
    ``read`` of these were pages. It ``goes_on`` where it has the same settings, else it only shows what pages are like.
    ``frontier``: pages of the next round, as far as it is planned. ``hosts``: how many pages of each known host are
    going to be asked for at most. ``least`` and ``most`` are the seconds of politeness: if the pages that are left are
    spread over these hosts, or are those of one host. ``closed``: no other hosts than those of the seeds are asked."""

    most_pages: int
    closed: bool
    folder: str | None = None
    goes_on: bool = True
    asked: int = 0
    read: int = 0
    pairs: int = 0
    rounds: int = 0
    frontier: int = 0
    is_whole: bool = False
    hosts: dict[str, int] = field(default_factory=dict)
    least: float = 0.0
    most: float = 0.0

    @property
    def left(self) -> int:
        """Pages that may yet be asked for."""
        return 0 if self.is_whole else self.most_pages - (self.asked if self.goes_on else 0)

    @property
    def tables(self) -> list[str]:
        """The folders of the candidates that it has."""
        return [round_folder(self.folder, number, "candidates") for number in range(self.rounds)] if self.folder else []


def crawl_of(run: RunFolder | None, config: RunConfig, rates: Rates) -> Crawl:
    """What is known of the crawl that the settings ask for. Raises UserError as the crawl does for its seeds."""
    extract = config.extract
    hosts = set(map(host_of, seed_frontier(extract).column("url").to_pylist()))
    crawl, asked = Crawl(extract.max_pages, extract.scope in ("host", "prefix")), Counter[str]()
    if run is not None:
        own = crawl_folder(run, config)
        folder = own if files.exists(own) else current_crawl(run)
        if folder is not None:
            crawl, asked = _read(replace(crawl, folder=folder, goes_on=folder == own))
    before = asked if crawl.goes_on else Counter[str]()
    may = {
        host: min(crawl.left, max(0, extract.max_pages_per_host - before[host])) for host in sorted({*hosts, *asked})
    }
    least, most = _seconds(may, crawl.left, config.http, rates)
    return replace(crawl, hosts=may, least=least, most=most)


def _read(crawl: Crawl) -> tuple[Crawl, Counter[str]]:
    """The crawl with what its finished rounds say; and the pages of each host that were asked for."""
    assert crawl.folder is not None
    hosts: Counter[str] = Counter()
    read = pairs = rounds = 0
    while is_complete(pages := round_folder(crawl.folder, rounds, "pages")):
        for batch in iter_batches(pages, ["host", "status"]):
            hosts.update(batch.column("host").to_pylist())
            read += batch.column("status").to_pylist().count("success")
        pairs += rows_in(round_folder(crawl.folder, rounds, "candidates"))
        rounds += 1
    following = round_folder(crawl.folder, rounds, "frontier")
    planned = is_complete(following)
    frontier = rows_in(following) if planned else 0
    asked = hosts.total()
    whole = crawl.goes_on and rounds > 0 and ((planned and not frontier) or asked >= crawl.most_pages)
    found = replace(crawl, asked=asked, read=read, pairs=pairs, rounds=rounds, frontier=frontier, is_whole=whole)
    return found, hosts


def _seconds(may: dict[str, int], left: int, http: HttpConfig, rates: Rates) -> tuple[float, float]:
    """The politeness of the host that takes longest: where each has its share of the pages, and where one has all that
    it may have."""
    if not left or not may:
        return 0.0, 0.0
    share = left / len(may)
    least = max(chain_seconds(host, min(share, most), http, rates) for host, most in may.items())
    return least, max(chain_seconds(host, most, http, rates) for host, most in may.items())
