"""The scale test: the query builder on dumps of growing size, up to 2 GB of XML, with two workers and with one.

In: ``python -m benchmarks.query_builder_scale [MEGABYTES…]``. Out, for each size and as JSON on the last line: CPU and
wall time, peak memory of all processes together, and the space that the work folder took; for the last, how much faster
two workers are, and in ``machine_ratio`` how much more two processes that share nothing get done than one, between
those runs and after: the machine's.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.query_builder_dump import write_dump
from benchmarks.resources import Cost, measure

__all__ = ["main"]

SIZES = (250, 500, 1000, 2000)
ROOT = Path(__file__).parents[1]
TIMEOUT = 3600.0
# Decompresses the first 50 MB of a dump, 175 MB of XML: all but the start is work of the processor.
ALONE = "import bz2, sys; stream = bz2.open(sys.argv[1]); [stream.read(2**20) for _ in range(175)]"


class _FolderWatch(threading.Thread):
    """Notes the largest size a folder reached."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.most, self.over = folder, 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(1.0):
            total = 0
            # Files and folders come and go meanwhile, which os.walk puts up with.
            for folder, _, names in os.walk(self.folder):
                for name in names:
                    with contextlib.suppress(FileNotFoundError):
                        total += os.path.getsize(os.path.join(folder, name))
            self.most = max(self.most, total)


def _build(dump: Path, folder: Path, workers: int) -> tuple[Cost, int]:
    """A build's cost, and the most bytes that its work folder held."""
    watch = _FolderWatch(folder / "work")
    watch.start()
    command = [sys.executable, "-m", "query_builder", "build", "--dump", str(dump), "--workers", str(workers)]
    command += ["--output", str(folder / f"queries-{workers}.parquet"), "--work", str(folder / "work")]
    cost = measure(command, timeout=TIMEOUT, folder=ROOT)
    watch.over.set()
    return cost, watch.most


def _machine_ratio(dump: Path) -> float:
    """How many times the work of one process two processes do in the same time."""
    command = [sys.executable, "-c", ALONE, str(dump)]
    began = time.monotonic()
    subprocess.run(command, check=True, timeout=TIMEOUT)
    alone = time.monotonic() - began
    began = time.monotonic()
    with subprocess.Popen(command) as first, subprocess.Popen(command) as second:
        if first.wait(TIMEOUT) or second.wait(TIMEOUT):
            raise subprocess.CalledProcessError(first.returncode or second.returncode, command)
    return round(2 * alone / (time.monotonic() - began), 2)


def main(sizes: list[int]) -> None:
    """Runs the builder on a dump of each size in megabytes, and on the last also with one worker."""
    results = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            dump = folder / "dump.xml.bz2"
            xml = write_dump(dump, size * 10**6)
            cost, work = _build(dump, folder, 2)
            figures: dict[str, Any] = {
                "xml_mb": round(xml / 1e6),
                "bz2_mb": round(dump.stat().st_size / 1e6),
                "cpu_s": round(cost.cpu, 1),
                "wall_s": round(cost.wall, 1),
                "mb_per_cpu_s": round(xml / 1e6 / cost.cpu, 2),
                "memory_mb": round(cost.memory / 1e6),
                "work_mb": round(work / 1e6),
            }
            if size == sizes[-1]:
                between = _machine_ratio(dump)
                one, _ = _build(dump, folder, 1)
                figures |= {
                    "one_worker_wall_s": round(one.wall, 1),
                    "one_worker_mb_per_cpu_s": round(xml / 1e6 / one.cpu, 2),
                    "one_worker_memory_mb": round(one.memory / 1e6),
                    "two_workers_ratio": round(one.wall / cost.wall, 2),
                    "machine_ratio": [between, _machine_ratio(dump)],
                }
            results.append(figures)
            print(figures, flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or list(SIZES))
