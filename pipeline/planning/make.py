"""``python -m pipeline plan``: what a run is going to bring, take and cost, before anything is asked of the network.

In: a configuration, the rates, and a run folder where there is one. Out: :class:`RunPlan`, which tell.py puts into
words. Lists and archives are looked at in places; a crawl is told by its settings and by the rounds that are done.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import is_complete
from pipeline.match.build import build_automaton
from pipeline.match.own_list import with_query_list
from pipeline.net.config import HttpConfig
from pipeline.planning.crawl import Crawl, crawl_of
from pipeline.planning.figure import Figure
from pipeline.planning.hours import Engine, Times, Work, capped, chain_seconds, policy_files, times
from pipeline.planning.known import with_delays, with_shares
from pipeline.planning.pairs import Expected, expect
from pipeline.planning.rates import Rates
from pipeline.planning.sample import Sample, sample_inputs, sample_tables

__all__ = ["RunPlan", "make_plan"]

LIMITS = (1.0, 24.0, 240.0)  # hours of fetch.max_hours that are looked at
HOSTS = 10  # named, of those that take longest


@dataclass(frozen=True)
class RunPlan:
    """All that can be said; ``pairs`` is None where nothing is known of the texts. ``left_open`` are the pictures that
    have no turn within so many hours, ``slowest`` the hosts that take longest: addresses and hours."""

    pairs: Expected | None
    requests: Figure
    policy_requests: int
    topped_up: float
    fetched: Figure
    joined: Figure
    received: float
    stored: float
    tables: float
    hours: list[Times]
    rates: Rates
    slowest: dict[str, tuple[Figure, float]] = field(default_factory=dict)
    unseen_hours: float = 0.0
    left_open: dict[float, float] = field(default_factory=dict)
    crawl: Crawl | None = None
    notes: list[str] = field(default_factory=list)


def make_plan(
    config: RunConfig, run: RunFolder | None, rates: Rates, rows: int, engines: Sequence[Engine], workers: Sequence[int]
) -> RunPlan:
    """The plan of a run. Raises UserError for inputs and settings that a run would refuse too."""
    notes: list[str] = []
    crawl = crawl_of(run, config, rates) if config.extract.source == "pages" else None
    if run is not None:
        rates = with_shares(rates, run)
        http, known = with_delays(config.http, run)
        config = replace(config, http=http)
        notes += [f"the robots.txt of {known:,} hosts is known from the run folder"] if known else []
    sample = _sample(config, run, rows, crawl, notes)
    expected = None
    if sample is not None:
        with tempfile.TemporaryDirectory(prefix="plan-") as folder:
            listed = with_query_list(RunFolder(folder), config)
            automaton = build_automaton(listed.queries, folder, listed.matching)
            expected = expect(sample, listed, automaton)
        notes += _notes(config, sample)
    return _plan(config, rates, sample, expected, crawl, engines, workers, notes)


def _sample(
    config: RunConfig, run: RunFolder | None, rows: int, crawl: Crawl | None, notes: list[str]
) -> Sample | None:
    if crawl is not None and crawl.read:
        if crawl.left:
            notes.append(f"pages that are yet to come are taken for like the {crawl.asked:,} that were asked for")
        grown = (crawl.left + (crawl.asked if crawl.goes_on else 0)) / crawl.asked
        return sample_tables(crawl.tables, rows, config, grown)
    if crawl is None and run is not None and is_complete(run.candidates):
        notes.append(f"candidates: from {run.candidates}")
        return sample_tables([run.candidates], rows, config)
    return sample_inputs(config, rows) if crawl is None else None


def _notes(config: RunConfig, sample: Sample) -> list[str]:
    """What the figures leave out."""
    notes = []
    if not sample.is_whole:
        notes.append("pairs, pictures and captions that repeat are seen as far as the sample holds them twice")
    if sample.only_beginnings:
        notes.append("of packed files only the beginnings were looked at")
    if config.steps.candidates or config.steps.matched:
        notes.append("steps.candidates and steps.matched are not run")
    if config.earlier_runs:
        notes.append("what earlier_runs have is not taken off")
    return notes


@dataclass(frozen=True)
class _Pictures:
    """Pictures and pairs from asking on, by what is expected of the pairs and by the shares that are assumed."""

    pairs: Expected | None
    config: RunConfig
    rates: Rates
    from_archives: bool  # some of the pictures lie in the archives themselves

    @property
    def asked(self) -> Figure:
        """Addresses that are asked for."""
        return self.pairs.asked if self.pairs is not None else Figure(0, 0, 0)

    @property
    def topped_up(self) -> float:
        """Addresses of the reserve that are asked for in the place of what is lost, at most."""
        assumed = self.rates.assumed
        if self.pairs is None or not self.config.balance.top_up_rounds or not assumed.alive:
            return 0.0
        lost = self.asked.value * (1 - assumed.alive * assumed.kept)
        return min(self.pairs.reserve.value, lost / assumed.alive)

    @property
    def had(self) -> float:
        """Pairs whose picture lies in an archive."""
        return self.pairs.balanced.value - self.asked.value if self.pairs is not None and self.from_archives else 0.0

    @property
    def fetched(self) -> Figure:
        """Pairs that have a picture, before topping up."""
        wanted = self.asked if self.pairs is None or self.from_archives else self.pairs.balanced
        return wanted.times(self.rates.assumed.alive).plus(self.had)

    @property
    def joined(self) -> Figure:
        """Pairs in the shards."""
        assumed = self.rates.assumed
        return self.fetched.plus(self.topped_up * assumed.alive).times(assumed.kept)


def _plan(
    config: RunConfig,
    rates: Rates,
    sample: Sample | None,
    pairs: Expected | None,
    crawl: Crawl | None,
    engines: Sequence[Engine],
    workers: Sequence[int],
    notes: list[str],
) -> RunPlan:
    assumed, http = rates.assumed, config.http
    pictures = _Pictures(pairs, config, rates, sample is not None and sample.pictures > 0)
    hosts = pairs.hosts if pairs is not None else {}
    chains = {host: chain_seconds(host, figure.value, http, rates) for host, figure in hosts.items()}
    pages = crawl.left if crawl is not None else 0
    candidates = pairs.candidates.value if pairs is not None else pages * assumed.pairs_a_page
    alive = (pictures.asked.value + pictures.topped_up) * assumed.alive
    size = assumed.stored_bytes * (config.image.image_size / 256) ** 2
    work = Work(
        rows=candidates if crawl is None else 0.0,
        units=sample.units if sample is not None else 1,
        rows_a_second=_reading_speed(config, rates),
        pages=pages,
        candidates=candidates,
        alive=alive,
        packed=pictures.joined.value,
        chain=max(chains.values(), default=0.0),
        page_chain=crawl.least if crawl is not None else 0.0,
        received=alive * assumed.image_bytes + pages * assumed.page_bytes,
        stored=(alive + pictures.had) * size,
    )
    of_pages = policy_files(http) * len(crawl.hosts) if crawl is not None and pages else 0
    of_pictures = policy_files(http) * pairs.seen if pairs is not None and pictures.asked.value else 0
    return RunPlan(
        pairs=pairs,
        requests=pictures.asked.plus(pages),
        policy_requests=of_pages + of_pictures,
        topped_up=pictures.topped_up,
        fetched=pictures.fetched,
        joined=pictures.joined,
        received=work.received,
        stored=work.stored,
        tables=candidates * assumed.candidate_bytes,
        hours=[times(work, http, rates, engine, number) for engine in engines for number in workers],
        rates=rates,
        slowest={
            host: (hosts[host], chains[host] / 3600) for host in sorted(chains, key=lambda host: -chains[host])[:HOSTS]
        },
        unseen_hours=_unseen_hours(pairs, http, rates),
        left_open={hours: capped(hosts, hours * 3600, http) for hours in LIMITS},
        crawl=crawl,
        notes=notes,
    )


def _unseen_hours(pairs: Expected | None, http: HttpConfig, rates: Rates) -> float:
    """What a host that the sample shows too seldom takes at most."""
    if pairs is None or not pairs.unseen:
        return 0.0
    most = min(pairs.unseen, pairs.candidates.high) * pairs.asked.value / max(1.0, pairs.candidates.value)
    return chain_seconds("", most, http, rates) / 3600


def _reading_speed(config: RunConfig, rates: Rates) -> float:
    return rates.speeds.list_rows if config.extract.source == "url_list" else rates.speeds.archive_pairs
