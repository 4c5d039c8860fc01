"""Hours at full speed against a web that fails as the real one does: ``python -m tests.faults.soak --minutes 30``.

In: minutes, and how many hosts and addresses a batch has. Out: a line a batch, and at the end, as JSON, for memory,
open files, sockets, tasks and threads: the highest in each batch, the slope over the second half, and whether that is
flat; status 1 where one is not. Each batch asks hosts that were never asked before, once for pictures
(``fetch_bucket``) and once for pages (``crawl_bucket``), in this one process, as a worker of a long run does.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.fetch.bucket import fetch_bucket
from pipeline.hosts import host_of
from pipeline.image.config import ImageConfig
from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.crawl import crawl_bucket
from pipeline.tables.schema import FRONTIER
from tests.faults.soak_server import DEAD_PORT

__all__ = ["MEASURES", "Report", "growth", "is_flat", "soak"]

ROOT = Path(__file__).resolve().parents[2]
SAMPLE_SECONDS = 0.25
# What is watched, and how much it may rise in the second half: a share of its middle, and a number beside.
MEASURES = {"memory": (0.05, 8e6), "files": (0.1, 8), "sockets": (0.1, 8), "tasks": (0.1, 8), "threads": (0.0, 2)}
HTTP = HttpConfig(
    allow_loopback=True, delay=0.0, retries=1, backoff=0.1, concurrency=128, connect_timeout=4, deadline=5,
    host_failures=3, concurrent_hosts=256,
)  # fmt: skip
DEAD, PLAIN = 20, 10  # of a thousand hosts: nothing listens there; asked by https, where no TLS answers


@dataclass
class Report:
    """What a soak saw: by measure, the highest in each batch; and what the addresses came to."""

    peaks: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})
    statuses: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def told(self) -> dict[str, Any]:
        """The figures, to be kept."""
        total = sum(self.statuses.values())
        measures = {
            name: {
                "first": peaks[0], "middle": float(np.median(peaks)), "last": peaks[-1],
                "rise_in_second_half": round(growth(peaks), 3), "flat": is_flat(name, peaks),
            }
            for name, peaks in self.peaks.items()
        }  # fmt: skip
        rate = round(total / max(1e-9, self.seconds), 1)
        common = dict(self.statuses.most_common())
        batches = len(self.peaks["memory"])
        return {"seconds": round(self.seconds), "batches": batches, "answers": total, "a_second": rate} | {
            "measures": measures,
            "statuses": common,
        }


def growth(peaks: Sequence[float]) -> float:
    """By how much a measure rises over the second half of its values, by the middle of the slopes between all pairs
    (Theil and Sen), which a few odd values do not move."""
    half = np.asarray(peaks[len(peaks) // 2 :], np.float64)
    if len(half) < 2:
        return 0.0
    first, second = np.triu_indices(len(half), 1)
    return float(np.median((half[second] - half[first]) / (second - first))) * (len(half) - 1)


def is_flat(name: str, peaks: Sequence[float]) -> bool:
    """Whether a measure rises by no more in the second half than MEASURES allows it."""
    share, beside = MEASURES[name]
    return growth(peaks) <= share * float(np.median(peaks)) + beside


class _Watch:
    """Looks at this process again and again, in a thread of its own; the loops that are begun meanwhile are noted for
    their tasks."""

    def __init__(self) -> None:
        self.peaks = dict.fromkeys(MEASURES, 0.0)
        self._over = threading.Event()
        self._loops: list[asyncio.AbstractEventLoop] = []
        self._make = asyncio.new_event_loop
        asyncio.new_event_loop = asyncio.events.new_event_loop = self._noted
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _noted(self) -> asyncio.AbstractEventLoop:
        self._loops = [*(loop for loop in self._loops if not loop.is_closed()), self._make()]
        return self._loops[-1]

    def _look(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            for name, value in self._now().items():
                self.peaks[name] = max(self.peaks[name], value)

    def _now(self) -> dict[str, float]:
        names = []
        for handle in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                names.append(os.readlink(f"/proc/self/fd/{handle}"))
        tasks = 0
        with contextlib.suppress(RuntimeError):  # they change while they are counted
            tasks = sum(len(asyncio.all_tasks(loop)) for loop in self._loops if not loop.is_closed())
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return {
            "memory": float(pages * os.sysconf("SC_PAGE_SIZE")),
            "files": len(names),
            "sockets": sum(name.startswith("socket:") for name in names),
            "tasks": tasks,
            "threads": threading.active_count(),
        }

    def taken(self) -> dict[str, float]:
        """The highest values since the last call."""
        found, self.peaks = self.peaks, dict.fromkeys(MEASURES, 0.0)
        return found

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        asyncio.new_event_loop = asyncio.events.new_event_loop = self._make


@contextlib.contextmanager
def _server() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.soak_server"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _hosts(batch: int, count: int, port: int) -> list[str]:
    """The beginnings of the addresses of hosts that no other batch has."""
    found = []
    for number in range(batch * count, (batch + 1) * count):
        address = f"127.{number >> 16 & 127 | 16}.{number >> 8 & 255}.{number & 255}"
        dead, plain = number % 1000 < DEAD, DEAD <= number % 1000 < DEAD + PLAIN
        found.append(f"{'https' if plain else 'http'}://{address}:{DEAD_PORT if dead else port}")
    return found


def _batch(batch: int, hosts: int, each: int, port: int, folder: str) -> Counter[str]:
    """Fetches pictures of new hosts and crawls pages of as many again; returns what came of them."""
    begins = _hosts(2 * batch, hosts, port)
    urls = [f"{begin}/{batch}-{number}.jpg" for number in range(each) for begin in begins]
    rows = fetch_bucket(urls, folder, f"part-{batch}", HTTP, ImageConfig())
    found = Counter(rows.column("status").to_pylist())
    pages = [
        f"{begin}/page/{number}" for number in range(max(1, each // 4)) for begin in _hosts(2 * batch + 1, hosts, port)
    ]
    frontier = [{"url": url, "host": host_of(url), "depth": 0} for url in pages]
    result = crawl_bucket(pa.Table.from_pylist(frontier, schema=FRONTIER), HTTP, ExtractConfig(seeds=(begins[0],)))
    found.update(result.pages.column("status").to_pylist())
    return found


def soak(seconds: float, hosts: int = 200, each: int = 8, say: Any = print) -> Report:
    """Batch after batch until the time is over."""
    report, began = Report(), time.monotonic()
    with _server() as port:
        watch = _Watch()
        try:
            for batch in range(1 << 15):
                with tempfile.TemporaryDirectory(prefix="webimagetext-soak-") as folder:
                    report.statuses += _batch(batch, hosts, each, port, folder)
                peaks = watch.taken()
                for name, value in peaks.items():
                    report.peaks[name].append(value)
                report.seconds = time.monotonic() - began
                numbers = ", ".join(f"{value:.0f} {name}" for name, value in peaks.items() if name != "memory")
                say(f"{report.seconds:7.1f} s  batch {batch}: {peaks['memory'] / 1e6:.1f} MB, {numbers}")
                if report.seconds >= seconds:
                    break
        finally:
            watch.close()
    return report


def main() -> int:
    """Soaks for as long as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long")
    parser.add_argument("--hosts", type=int, default=200, help="new hosts a batch")
    parser.add_argument("--each", type=int, default=8, help="pictures of each host")
    words = parser.parse_args()
    told = soak(60 * words.minutes, words.hosts, words.each).told()
    print(json.dumps(told, indent=1))
    return 0 if all(measure["flat"] for measure in told["measures"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
