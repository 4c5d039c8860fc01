"""How long the stages take on so many workers of an engine, and what that costs.

In: amounts of work, the addresses of each host, and :class:`Rates`. Out: :class:`Times`, one for each engine and number
of workers. Asking takes as long as the longest of four: the host with most addresses at its delay, which no worker
shortens; the answers under way; the pictures to decode; the line.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.net.config import HttpConfig
from pipeline.planning.figure import Figure
from pipeline.planning.rates import Rates

__all__ = ["Engine", "Times", "Work", "capped", "chain_seconds", "policy_files", "times"]

Engine = Literal["local", "spark", "dataflow"]
HOUR = 3600.0
# Graphs of the stages that follow each other.
GRAPHS = {"extract": 2, "curate": 4, "package": 6}


@dataclass(frozen=True)
class Work:
    """What is to be done: pairs read from lists or archives in so many ``units``; ``pages`` asked for; candidates;
    pictures that are ``alive``; pairs packed. ``chain``: seconds of the host whose delay takes longest, for pictures,
    ``page_chain`` for pages."""

    rows: float
    units: int
    rows_a_second: float
    pages: float
    candidates: float
    alive: float
    packed: float
    chain: float
    page_chain: float
    received: float  # bytes of pictures and pages
    stored: float  # bytes


@dataclass(frozen=True)
class Times:
    """Hours of each stage, what bounds that of asking (one host, answers, processor, line), and dollars."""

    engine: str
    workers: int
    extract: float
    curate: float
    fetch: float
    fetch_bound: str
    package: float
    hours: float
    dollars: float


def policy_files(http: HttpConfig) -> int:
    """The files of each host that are asked for before anything else."""
    return 1 + http.binds("tdm_file") + http.binds("ai_txt")


def chain_seconds(host: str, addresses: float, http: HttpConfig, rates: Rates) -> float:
    """How long a host with so many addresses takes at its own pace, its policy files included."""
    own = http.of_host(host)
    turns = max(0.0, addresses + policy_files(http) - 1)
    return max(turns * own.delay, addresses * rates.speeds.answer_seconds / own.concurrency_per_host)


def capped(hosts: Mapping[str, Figure], seconds: float, http: HttpConfig) -> float:
    """How many addresses of the hosts don't get their turn in so many seconds."""
    left = 0.0
    for host, addresses in hosts.items():
        delay = http.of_host(host).delay
        if delay:
            left += max(0.0, addresses.value - max(0.0, seconds / delay - policy_files(http) + 1))
    return left


def times(work: Work, http: HttpConfig, rates: Rates, engine: Engine, workers: int) -> Times:
    """The hours and dollars of a run."""
    speeds, prices = rates.speeds, rates.prices
    cores = workers * speeds.cores
    start = {
        "local": speeds.graph_seconds_local,
        "spark": speeds.graph_seconds_spark,
        "dataflow": speeds.graph_seconds_dataflow,
    }[engine]
    read = work.rows / work.rows_a_second / max(1, min(cores, work.units))
    pages = max(work.page_chain, _asking(work.pages, work.pages / speeds.crawled_pages, 0, http, rates, workers)[1])
    extract = read + pages + GRAPHS["extract"] * start
    curate = work.candidates / speeds.curated_pairs / cores + GRAPHS["curate"] * start
    bound, seconds = _asking(work.alive, work.alive / speeds.images, work.received, http, rates, workers)
    if work.chain >= seconds:
        bound, seconds = "one host", work.chain
    fetch = seconds + start
    package = work.packed / speeds.packed_pairs / cores + GRAPHS["package"] * start
    hours = (extract + curate + fetch + package) / HOUR
    core_hour = prices.dataflow_core_hour if engine == "dataflow" else prices.core_hour
    dollars = hours * cores * core_hour
    dollars += (work.received * prices.gigabyte_received + work.stored * prices.gigabyte_month) / 1e9
    return Times(engine, workers, extract / HOUR, curate / HOUR, fetch / HOUR, bound, package / HOUR, hours, dollars)


def _asking(
    answers: float, core_seconds: float, received: float, http: HttpConfig, rates: Rates, workers: int
) -> tuple[str, float]:
    """What bounds asking beside politeness, and the seconds it takes."""
    bounds = {
        "answers": answers * rates.speeds.answer_seconds / http.concurrency / workers,
        "processor": core_seconds / rates.speeds.cores / workers,
        "line": received / rates.speeds.line_bytes / workers,
    }
    longest = max(bounds, key=lambda name: bounds[name])
    return longest, bounds[longest]
