"""How close the scheduler of hosts comes to the least time for lists of many hosts, by a clock of its own.

In: URLs over hosts, as many a host as the hosts of a real list have (Conceptual Captions' validation set where that is
at hand, else a Zipf distribution), one of them with 5 % of all; a share of the hosts dead, 1 % slow. The real visits,
client, pace and policies, over a transport that answers nothing but when: so no byte is sent, and hours pass in
seconds. The hosts are divided among workers by their hash, as a run divides them.
Out: for each share of dead hosts and number of workers the least time over the simulated one; memory; and whether
every URL was asked once, none too early. The least is the longer of two, for the worker that has most to do: its host
with the longest chain of turns, and its answers' times over the requests under way at once.
"""

import asyncio
import csv
import gzip
import os
import random
import resource
import selectors
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from benchmarks.link_rot import REPORT
from benchmarks.table import Row, figure
from pipeline.hashing import hash64
from pipeline.net import client, pace
from pipeline.net.client import PoliteClient
from pipeline.net.config import HttpConfig
from pipeline.net.sites import Memory
from pipeline.net.slots import Slots
from pipeline.net.transport import Exchange, Request
from pipeline.net.visits import Visit, Visits, in_lanes

__all__ = ["rows", "run"]

URLS = int(os.environ.get("SIMULATED_URLS", "50000"))
WORKERS, DEAD = (1, 16, 1000), (0.06, 0.4)
HOST_SHARE, SLOW = 0.05, 0.01
MEDIAN_SECONDS, SPREAD, SLOW_SECONDS = 0.2, 0.8, 10.0
HTTP = HttpConfig(delay=1.0, allow_loopback=True, contact="https://example.org/bot")
POLICY_PATHS = ("/robots.txt", "/.well-known/tdmrep.json", "/ai.txt")


class _Selector(selectors.DefaultSelector):
    """Waits for nothing but real events: where only timers are left, the clock goes to the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


class _Clock(pace.Clock):
    def now(self) -> float:
        return asyncio.get_running_loop().time()


def _seconds(url: str) -> float:
    """How long an answer takes."""
    draw = random.Random(url)
    return min(MEDIAN_SECONDS * draw.lognormvariate(0, SPREAD), SLOW_SECONDS)


class _Web:
    """What answers: hosts of which some are dead and some slow. ``log``: when each host was asked, by the clock."""

    def __init__(self, dead: float) -> None:
        self.dead = dead
        self.asked: Counter[str] = Counter()
        self.last: dict[str, float] = {}
        self.early = 0

    def is_dead(self, host: str) -> bool:
        return random.Random(f"dead {host}").random() < self.dead

    def is_slow(self, host: str) -> bool:
        return random.Random(f"slow {host}").random() < SLOW

    def seconds(self, url: str, host: str) -> float:
        return SLOW_SECONDS if self.is_slow(host) else _seconds(url)

    def transport(self) -> type:
        """A transport to this web."""
        web = self

        class Simulated:
            def __init__(self, config: HttpConfig, slots: asyncio.Semaphore, _resolver: object = None) -> None:
                self._config, self._slots = config, slots

            async def close(self) -> None:
                """Nothing is open."""

            async def exchange(self, request: Request, sent: Callable[[], None]) -> Exchange:
                url, host = str(request.url), request.url.host or ""
                if web.is_dead(host):
                    await asyncio.sleep(self._config.connect_timeout)
                    return Exchange(reason="connect_timeout", seconds=self._config.connect_timeout)
                async with self._slots:
                    now = asyncio.get_running_loop().time()
                    web.early += host in web.last and now < web.last[host] + self._config.delay - 1e-6
                    web.last[host] = now
                    web.asked[url] += 1
                    sent()
                    seconds = web.seconds(url, host)
                    await asyncio.sleep(seconds)
                if request.url.path in POLICY_PATHS:
                    return Exchange(404, reason="http_404", seconds=seconds)
                return Exchange(200, body=b"x", seconds=seconds)

        return Simulated


@contextmanager
def _simulated(web: _Web) -> Iterator[None]:
    with (
        mock.patch.object(asyncio, "new_event_loop", _Loop),
        mock.patch.object(pace, "CLOCK", _Clock()),
        mock.patch.object(client, "Transport", web.transport()),
    ):
        yield


def _worker(hosts: dict[str, int], web: _Web) -> tuple[float, int]:
    """One worker's hosts asked for so many URLs each; returns the clock at its end and the URLs that got an answer."""
    over, left, answered, clock = threading.Event(), len(hosts), 0, 0.0

    def visit(host: str, urls: int) -> Visit:
        waiting = deque(range(urls))

        async def work(polite: PoliteClient, _slots: Slots) -> None:
            await in_lanes(lambda: lane(polite), min(HTTP.concurrency_per_host, urls))

        async def lane(polite: PoliteClient) -> None:
            nonlocal answered
            while waiting:
                await polite.get(f"http://{host}/{waiting.popleft()}.jpg")
                answered += 1

        def ended(error: BaseException | None) -> None:
            nonlocal left, clock
            left -= 1
            clock = asyncio.get_running_loop().time()
            if error is not None or not left:
                over.set()

        return Visit(urls, work, ended)

    visits = Visits(HTTP, memory=Memory())
    visits.begin([visit(host, urls) for host, urls in hosts.items()])
    over.wait()
    visits.close()
    return clock, answered


def _least(hosts: dict[str, int], web: _Web) -> float:
    """Seconds below which no order of asking comes: politeness, or the requests that may be under way."""
    chains, total = [0.0], 0.0
    for host, urls in hosts.items():
        if web.is_dead(host):
            chains.append(HTTP.connect_timeout)
            continue
        policies = [web.seconds(f"http://{host}{path}", host) for path in POLICY_PATHS]
        answers = [web.seconds(f"http://{host}/{number}.jpg", host) for number in range(urls)]
        # Policy files one after the other, then pictures, as many at a time as a host is asked.
        begins = sum(max(HTTP.delay, seconds) for seconds in policies)
        turns = max((urls - 1) * HTTP.delay, sum(answers) / HTTP.concurrency_per_host - max(answers))
        chains.append(begins + turns)
        total += sum(policies) + sum(answers)
    return max(max(chains), total / HTTP.concurrency)


def _hosts() -> dict[str, int]:
    """How many URLs each host has."""
    if REPORT.exists():
        csv.field_size_limit(1 << 24)
        with gzip.open(REPORT, "rt", encoding="utf-8") as stream:
            sizes = list(Counter(urlsplit(row[0]).netloc for row in csv.reader(stream, delimiter="\t")).values())
    else:
        sizes = [max(1, int(2000 / rank)) for rank in range(1, 3000)]
    draw, total = random.Random(7), 0
    found: dict[str, int] = {}
    while total < URLS * (1 - HOST_SHARE):
        size = min(draw.choice(sizes), URLS // 1000)  # else one host decides all
        found[f"h{len(found)}.example"] = size
        total += size
    return found


def run() -> dict[str, Any]:
    """Simulates each share of dead hosts with each number of workers."""
    small = _hosts()
    results = []
    for giant in (0, round(URLS * HOST_SHARE)):
        hosts = small | ({"giant.example": giant} if giant else {})
        for dead in DEAD:
            for workers in WORKERS:
                results.append(_case(hosts, dead, workers) | {"one_host_with": giant})
    worst = min(results, key=lambda case: case["ratio"])
    return {
        "ours": worst["seconds"],
        "peer": worst["least"],
        "ratio": worst["ratio"],
        "unit": "simulated seconds; the peer is the least that politeness and requests under way allow; the worst case",
        "equal": all(case["early"] == case["twice"] == case["lost"] == 0 for case in results),
        "cases": results,
        "urls": sum(small.values()),
        "hosts": len(small),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _case(hosts: dict[str, int], dead: float, workers: int) -> dict[str, Any]:
    shares: dict[int, dict[str, int]] = {}
    for host, urls in hosts.items():
        shares.setdefault(hash64(host) % workers, {})[host] = urls
    web = _Web(dead)
    with _simulated(web):
        ends = [_worker(share, web) for share in shares.values()]
    seconds, least = max(end for end, _ in ends), max(_least(share, web) for share in shares.values())
    return {
        "dead": dead,
        "workers": workers,
        "seconds": round(seconds, 1),
        "least": round(least, 1),
        "ratio": round(least / seconds, 3),
        "early": web.early,
        "twice": sum(count > 1 for count in web.asked.values()),
        "lost": sum(hosts.values()) - sum(answered for _, answered in ends),
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    dead = " to ".join(f"{share:.0%}" for share in DEAD)
    return [
        Row(
            f"{result['urls']:,} URLs of {result['hosts']:,} hosts at a second's delay, {dead} of them dead, simulated "
            f"with {', '.join(map(str, WORKERS))} workers: {figure(result['ours'])} s in the worst case",
            f"the least that delays and requests under way allow: {figure(result['peer'])} s",
            f"{figure(result['ours'] / result['peer'])} times the least",
        )
    ]
