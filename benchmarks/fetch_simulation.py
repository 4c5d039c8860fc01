"""How close fetching comes to the least time for lists of many hosts, by a clock of its own: hours pass in seconds.

In: URLs over hosts, as many a host as a power law gives that real lists have in their tail, one of them with 5 % of
all; a share of the hosts dead, 1 % slow. ``SIMULATED_URLS``, ``SIMULATED_WORKERS`` and ``SIMULATED_DEAD`` of the
environment replace the numbers below. Of more than one worker only some are simulated, each in a process of its own and
in full: that of the host with 5 %, that of the largest other one, and two more.
Out: for each share of dead hosts and number of workers the least time over the simulated one; the memory of the largest
worker; and whether every URL was asked once, none too early. A round ends when the last of the workers is done. The
least is the longer of two, for the workers that are simulated: the host with the longest chain of turns, and the
answers' times of the worker with most over the requests under way at once.
"""

import itertools
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks.simulated_worker import HTTP, Job, Share, bucket_of, host_name, host_sizes, work
from benchmarks.table import Row, figure

__all__ = ["rows", "run"]

URLS = int(os.environ.get("SIMULATED_URLS", "50000"))
WORKERS = [int(word) for word in os.environ.get("SIMULATED_WORKERS", "1,16,1000").split(",")]
DEAD = [float(word) for word in os.environ.get("SIMULATED_DEAD", "0.06,0.4").split(",")]
GIANT_SHARE = 0.05
MORE = 2  # workers that are simulated beside those of the largest hosts


def run() -> dict[str, Any]:
    """Simulates each share of dead hosts with each number of workers; about six minutes."""
    cases = [_case(dead, workers) for dead, workers in itertools.product(DEAD, WORKERS)]
    worst = min(cases, key=lambda case: case["ratio"])
    return {
        "ours": worst["seconds"],
        "peer": worst["least"],
        "ratio": worst["ratio"],
        "unit": "simulated seconds; the peer is the least that politeness and requests under way allow; the worst case",
        "equal": all(case["early"] == case["twice"] == case["lost"] == 0 for case in cases),
        "cases": cases,
        "urls": URLS,
        "hosts": len(host_sizes(URLS, _giant())) + 1,
        "memory_mb": max(case["memory_mb"] for case in cases),
    }


def _giant() -> int:
    return round(URLS * GIANT_SHARE)


def _simulated(workers: int) -> list[int]:
    """The workers that are simulated."""
    largest = host_name(int(host_sizes(URLS, _giant()).argmax()))
    first = [bucket_of(host, URLS) % workers for host in ("giant.example", largest)]
    return sorted({*first, *range(min(MORE, workers))})


def _case(dead: float, workers: int) -> dict[str, Any]:
    simulated = _simulated(workers)
    jobs = [Job(URLS, _giant(), dead, workers, worker) for worker in simulated]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        shares: list[Share] = list(pool.map(work, jobs))
    rounds = itertools.zip_longest(*(share.rounds for share in shares), fillvalue=0.0)
    seconds = sum(map(max, rounds))
    least = max(*(share.chain for share in shares), *(share.answers / HTTP.concurrency for share in shares))
    return {
        "dead": dead,
        "workers": workers,
        "simulated": simulated,
        "urls": sum(share.urls for share in shares),
        "hosts": sum(share.hosts for share in shares),
        "seconds": round(seconds, 1),
        "least": round(least, 1),
        "ratio": round(least / seconds, 3),
        "rounds": max(len(share.rounds) for share in shares),
        "early": sum(share.early for share in shares),
        "twice": sum(share.twice for share in shares),
        "lost": sum(share.lost for share in shares),
        "memory_mb": max(share.memory_mb for share in shares),
        "cpu": round(sum(share.cpu for share in shares), 1),
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    dead = " to ".join(f"{share:.0%}" for share in sorted({case["dead"] for case in result["cases"]}))
    workers = ", ".join(f"{number:,}" for number in sorted({case["workers"] for case in result["cases"]}))
    most = max(len(case["simulated"]) for case in result["cases"])
    return [
        Row(
            f"{result['urls']:,} URLs of {result['hosts']:,} hosts at a second's delay, one with {GIANT_SHARE:.0%} of "
            f"them, {dead} of the hosts dead, simulated with {workers} workers, of which {most} in full, in the worst "
            f"case: {figure(result['ours'])} s",
            f"the least that delays and requests under way allow: {figure(result['peer'])} s",
            f"{figure(result['ours'] / result['peer'])} times the least",
        )
    ]
