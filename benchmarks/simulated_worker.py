"""One worker of the simulated fetch: its buckets of hosts through all rounds, by a clock of its own.

In: a :class:`Job`. Out: :class:`Share`, what the worker took and asked for. All is what a run has: buckets, visits,
client, pace, policies, journals, parts of the store, the notes on hosts from one round to the next. Two things stand in
for the world: the transport says only when an answer is there, and the clock goes on to the next moment at which
something is due as soon as nothing is left to do. It stands while the worker gets its buckets ready.
"""

import asyncio
import functools
import resource
import selectors
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import RunConfig
from pipeline.fetch import bucket as bucket_module
from pipeline.fetch.config import FetchConfig
from pipeline.hashing import hash64
from pipeline.keeping.folder import RunFolder
from pipeline.net import client, pace
from pipeline.net.config import HttpConfig
from pipeline.net.sites import process_memory
from pipeline.net.transport import Exchange, Request
from pipeline.net.visits import Visits
from pipeline.reasons import NOT_REACHED
from pipeline.stages import fetch
from pipeline.tables.schema import FETCH_PLAN
from webimagetext import files
from webimagetext.parquet import read_parquet

__all__ = ["HTTP", "Job", "Share", "bucket_of", "host_name", "host_sizes", "least_of", "work"]

FULL_SIZE = 10_000_000  # URLs for which the settings of a run stand; of fewer URLs, they are less in proportion
GIANT = "giant.example"
# URLs a host: a power law, as the tail of real lists has it (of 15,840 links to captioned images on 3,377 hosts).
EXPONENT, LARGEST_SHARE = 1.95, 0.01
SLOW, SLOW_SECONDS = 0.01, 10.0
MEDIAN_SECONDS, SPREAD = 0.2, 0.8
HTTP = HttpConfig(delay=1.0, allow_loopback=True, contact="https://example.org/bot")
ROUND_BEGINS = 3.0  # seconds that an engine takes to begin one
POLICY_PATHS = ("/robots.txt", "/.well-known/tdmrep.json", "/ai.txt")

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Job:
    """``urls`` over hosts, ``giant`` of them on one, the share ``dead`` of the hosts dead; ``worker`` of so many."""

    urls: int
    giant: int
    dead: float
    workers: int
    worker: int


@dataclass
class Share:
    """What one worker did. ``rounds``: the seconds of each; ``lost``: URLs that got no answer in the end; ``chain`` and
    ``answers``: the longest that one host takes, and the seconds of all answers, which no order of asking shortens."""

    urls: int = 0
    hosts: int = 0
    rounds: list[float] = field(default_factory=list)
    chain: float = 0.0
    answers: float = 0.0
    asked: int = 0
    early: int = 0
    twice: int = 0
    lost: int = 0
    memory_mb: int = 0
    cpu: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)


def host_sizes(urls: int, giant: int) -> Numbers:
    """How many URLs each host has but for the giant one."""
    most = max(2, int(urls * LARGEST_SHARE))
    weights = np.arange(1, most + 1) ** -EXPONENT
    cumulated = np.cumsum(weights / weights.sum())
    draw = np.random.default_rng(7)
    sizes = np.searchsorted(cumulated, draw.random(urls)).astype(np.int64) + 1
    return sizes[: int(np.searchsorted(np.cumsum(sizes), urls - giant)) + 1]


def host_name(number: int) -> str:
    """The name of a host."""
    return f"h{number}.example"


@functools.cache
def _answer_seconds() -> list[float]:
    """How long answers take, each as often as the others."""
    draws = np.random.default_rng(11).standard_normal(4096)
    return list(map(float, np.minimum(MEDIAN_SECONDS * np.exp(SPREAD * draws), SLOW_SECONDS)))


class _World:
    """The hosts, the clock, and what was asked of whom."""

    def __init__(self, dead: float) -> None:
        self.now = 0.0
        self.goes = threading.Event()  # the worker waits for answers
        self.dead = dead
        self.asked: set[int] = set()
        self.policies = 0
        self.last: dict[str, float] = {}
        self.early = self.twice = 0

    def is_dead(self, host: str) -> bool:
        """Whether nothing comes from a host."""
        return host != GIANT and hash64(f"dead {host}") < self.dead * 2**64

    @staticmethod
    def seconds(url: str, host: str) -> float:
        """How long an answer takes."""
        if host != GIANT and hash64(f"slow {host}") < SLOW * 2**64:
            return SLOW_SECONDS
        return _answer_seconds()[hash64(url) % 4096]

    def note(self, url: str, host: str, path: str) -> None:
        """A request goes out."""
        if host in self.last and self.now < self.last[host] + HTTP.delay - 1e-6:
            self.early += 1
        self.last[host] = self.now
        if path in POLICY_PATHS:
            self.policies += 1
            return
        name = hash64(url)
        self.twice += name in self.asked
        self.asked.add(name)


def least_of(host: str, urls: int, world: _World) -> tuple[float, float]:
    """Seconds that one host takes at least, and the seconds of its answers, in which a place is taken."""
    if world.is_dead(host):
        return HTTP.connect_timeout, 0.0
    policies = [world.seconds(f"http://{host}{path}", host) for path in POLICY_PATHS]
    answers = [world.seconds(f"http://{host}/{number}.jpg", host) for number in range(urls)]
    # Policy files one after the other, then pictures, as many at a time as a host is asked.
    begins = sum(max(HTTP.delay, seconds) for seconds in policies)
    turns = max((urls - 1) * HTTP.delay, sum(answers) / HTTP.concurrency_per_host - max(answers))
    return begins + turns, sum(policies) + sum(answers)


class _Selector(selectors.DefaultSelector):
    """Waits for real events alone: where only timers are left, the clock goes to the next one."""

    def __init__(self, world: _World) -> None:
        super().__init__()
        self._world = world

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        while not (ready := super().select(0 if self._world.goes.is_set() else 0.001)):
            if self._world.goes.is_set():
                self._world.now += timeout
                return []
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, world: _World) -> None:
        self._world = world
        super().__init__(_Selector(world))

    def time(self) -> float:
        return self._world.now


class _Clock(pace.Clock):
    def __init__(self, world: _World) -> None:
        self._world = world

    def now(self) -> float:
        return self._world.now


class _AtOnce(Executor):
    """In place of the threads that decode: the clock must not go on meanwhile."""

    def submit(self, act: Callable[..., Any], /, *given: Any, **named: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(act(*given, **named))
        return done


def _transport(world: _World) -> type:
    """A transport to the world's hosts."""

    class Simulated:
        def __init__(self, config: HttpConfig, slots: asyncio.Semaphore, _resolver: object = None) -> None:
            self._config, self._slots = config, slots

        async def close(self) -> None:
            """Nothing is open."""

        async def exchange(self, request: Request, sent: Callable[[], None]) -> Exchange:
            url, host = str(request.url), request.url.host or ""
            if world.is_dead(host):
                await asyncio.sleep(self._config.connect_timeout)
                return Exchange(reason="connect_timeout", seconds=self._config.connect_timeout)
            async with self._slots:
                world.note(url, host, request.url.path)
                sent()
                seconds = world.seconds(url, host)
                await asyncio.sleep(seconds)
            if request.url.path in POLICY_PATHS:
                return Exchange(404, reason="http_404", seconds=seconds)
            return Exchange(200, body=b"x", seconds=seconds)  # which is then judged to be no picture

    return Simulated


@contextmanager
def _simulated(world: _World) -> Iterator[None]:
    wait_for = Visits.wait_for

    def wait(self: Visits, event: threading.Event, waited: Callable[[float], None]) -> None:
        world.goes.set()
        try:
            wait_for(self, event, waited)
        finally:
            world.goes.clear()

    with (
        mock.patch.object(asyncio, "new_event_loop", functools.partial(_Loop, world)),
        mock.patch.object(pace, "CLOCK", _Clock(world)),
        mock.patch.object(client, "Transport", _transport(world)),
        mock.patch.object(bucket_module, "_decoders", lambda _: _AtOnce()),
        mock.patch.object(Visits, "wait_for", wait),
    ):
        yield


def bucket_of(host: str, urls: int) -> int:
    """The bucket of a host, where there are so many URLs in all."""
    of_each = max(20, fetch.URLS_A_BUCKET * urls // FULL_SIZE)
    return hash64(host) % max(1, -(-urls // of_each))


def _buckets(job: Job) -> dict[int, list[tuple[str, int]]]:
    """The buckets of hosts that are the worker's, as a run cuts them, with how many URLs each host has."""
    found: dict[int, list[tuple[str, int]]] = {}
    hosts = ((host_name(place), int(size)) for place, size in enumerate(host_sizes(job.urls, job.giant)))
    for host, size in (*hosts, *([(GIANT, job.giant)] if job.giant else [])):
        bucket = bucket_of(host, job.urls)
        if bucket % job.workers == job.worker:
            found.setdefault(bucket, []).append((host, size))
    return dict(sorted(found.items()))


def work(job: Job) -> Share:
    """Fetches all that is the worker's."""
    size = min(1.0, job.urls / FULL_SIZE)
    defaults = FetchConfig()
    config = RunConfig(http=HTTP, fetch=replace(defaults, round_seconds=defaults.round_seconds * size))
    world, share = _World(job.dead), Share()
    hosts = _buckets(job)
    for host, urls in (entry for bucket in hosts.values() for entry in bucket):
        chain, answers = least_of(host, urls, world)
        share.chain, share.answers = max(share.chain, chain), share.answers + answers
        share.urls, share.hosts = share.urls + urls, share.hosts + 1
    tables: dict[int, Callable[[], pa.Table]] = {
        number: functools.partial(_first_table, bucket) for number, bucket in hosts.items()
    }
    statuses: Counter[str] = Counter()
    began = time.process_time()
    with (
        tempfile.TemporaryDirectory() as folder,
        _simulated(world),
        mock.patch.object(fetch, "LARGE_HOST", max(10, int(fetch.LARGE_HOST * size))),
        mock.patch.object(fetch._Fetching, "open_urls", int(fetch._Fetching.open_urls * size)),
    ):
        run, still = RunFolder(folder), -1
        files.make_folder(run.images)
        while tables:
            process_memory.cache_clear()  # the next round may be another process's
            start, number = world.now, len(share.rounds)
            world.now += ROUND_BEGINS
            written = _round(run, config, number, tables)
            share.rounds.append(world.now - start)
            tables, now_open = {}, 0
            for bucket, names in written.items():
                for name in names:
                    rows = _rows(run, name).column("status").value_counts().to_pylist()
                    counts = {row["values"]: row["counts"] for row in rows}
                    now_open += counts.pop(NOT_REACHED, 0)
                    statuses.update(counts)
                tables[bucket] = functools.partial(_open_table, run, names)
            if not now_open:
                tables = {}
            elif now_open == still:
                break
            still = now_open
    share.cpu = time.process_time() - began
    share.lost = share.urls - statuses.total()
    share.asked, share.early, share.twice = len(world.asked), world.early, world.twice
    share.statuses = dict(statuses)
    share.memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return share


def _round(
    run: RunFolder, config: RunConfig, number: int, tables: dict[int, Callable[[], pa.Table]]
) -> dict[int, list[str]]:
    """One round over the buckets; returns the tables of the store that were written for each."""
    written: dict[int, list[str]] = {}
    seconds = config.fetch.round_seconds * 2**number
    with fetch._Fetching(run, config, number, "simulated", float("inf"), None, seconds) as asking:
        for bucket, table in tables.items():
            asking.take((bucket, table()))
        for entry in asking.rest():
            _note(written, entry)
    return written


def _note(written: dict[int, list[str]], entry: dict[str, Any]) -> None:
    name = entry["file"]
    if name.endswith(".parquet"):
        written.setdefault(int(name.partition("-")[0]), []).append(name)


def _first_table(hosts: list[tuple[str, int]]) -> pa.Table:
    return _plan([f"http://{host}/{number}.jpg" for host, urls in hosts for number in range(urls)])


def _open_table(run: RunFolder, names: list[str]) -> pa.Table:
    tables = [_rows(run, name) for name in names]
    return _plan(
        [url for rows in tables for url in rows.filter(pc.equal(rows["status"], NOT_REACHED))["url"].to_pylist()]
    )


def _rows(run: RunFolder, name: str) -> pa.Table:
    with files.open_input(files.join(run.images, name)) as stream:
        return read_parquet(stream, columns=["url", "status"])


def _plan(urls: list[str]) -> pa.Table:
    return pa.table([sorted(urls), pa.repeat(False, len(urls))], schema=FETCH_PLAN)
