"""What a run folder says of what can't be known before asking: pictures that came, their size, hosts' Crawl-delay.

In: a run folder. Out: the rates with these shares in the place of the assumed ones; and the settings of asking with the
delays that robots.txt files asked for, as far as a fetch or a crawl that is under way keeps them.
"""

from collections import Counter
from dataclasses import replace

import pyarrow.compute as pc

from pipeline.audit.funnel import parquet_batches
from pipeline.hosts import host_of
from pipeline.keeping.folder import RunFolder
from pipeline.net.config import HostConfig, HttpConfig
from pipeline.net.known import recall
from pipeline.net.sites import Memory
from pipeline.planning.rates import Rates
from pipeline.reasons import NOT_REACHED
from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["with_delays", "with_shares"]

LEAST_ANSWERS = 100  # from which on a store says better than what is assumed


def with_shares(rates: Rates, run: RunFolder) -> Rates:
    """``rates`` with the share of addresses that gave a picture, and the size of those stored, where the image store
    has enough answers to say."""
    statuses: Counter[str] = Counter()
    size = 0
    for batch in parquet_batches(run.images, ["status", "length"]):
        statuses.update(batch.column("status").to_pylist())
        size += pc.sum(batch.column("length")).as_py() or 0
    del statuses[NOT_REACHED]
    if statuses.total() < LEAST_ANSWERS or not statuses["success"]:
        return rates
    alive = statuses["success"] / statuses.total()
    return replace(rates, assumed=replace(rates.assumed, alive=alive, stored_bytes=size / statuses["success"]))


def with_delays(http: HttpConfig, run: RunFolder) -> tuple[HttpConfig, int]:
    """``http`` with the Crawl-delay of each host whose robots.txt is known to ask for a longer one; and how many hosts'
    robots.txt are known."""
    memory = Memory()
    for kind in ("crawl", "fetch"):
        for url in files.listing("*", run.path(f".hosts-{kind}")):
            recall(url, memory)
    known, slower = set[str](), dict[str, float]()
    for origin, policy in memory.policies.items():
        host = host_of(origin)
        known.add(host)
        delay = policy.robots.delay(http.user_agent) if policy.robots is not None else None
        if delay is not None and delay > max(http.of_host(host).delay, slower.get(host, 0.0)):
            slower[host] = delay
    return replace(http, hosts=(*_paced(http, slower), *http.hosts)), len(known)


def _paced(http: HttpConfig, slower: dict[str, float]) -> list[HostConfig]:
    found = []
    for host, delay in sorted(slower.items()):
        try:
            found.append(HostConfig(host, delay, http.of_host(host).concurrency_per_host))
        except UserError:  # such as a numeric address, which no table [[http.hosts]] can name
            continue
    return found
