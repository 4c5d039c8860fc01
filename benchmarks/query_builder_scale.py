"""The scale test: the query builder on dumps of growing size, up to 2 GB of XML, with two workers.

In: ``python -m benchmarks.query_builder_scale [MEGABYTES…]``. Out, for each size and as JSON on the last line: CPU and wall time,
peak memory of all processes together, and the space that the work folder took.
"""

import json
import sys
import tempfile
import threading
from pathlib import Path

from benchmarks.query_builder_dump import write_dump
from benchmarks.resources import measure

__all__ = ["main"]

SIZES = (250, 500, 1000, 2000)
ROOT = Path(__file__).parents[1]
TIMEOUT = 3600.0


class _FolderWatch(threading.Thread):
    """Notes the largest size a folder reached."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.most, self.over = folder, 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(1.0):
            total = 0
            for path in self.folder.rglob("*"):
                try:
                    total += path.stat().st_size if path.is_file() else 0
                except FileNotFoundError:
                    continue
            self.most = max(self.most, total)


def main(sizes: list[int]) -> None:
    """Runs the builder on a dump of each size in megabytes."""
    results = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            dump = folder / "dump.xml.bz2"
            xml = write_dump(dump, size * 10**6)
            watch = _FolderWatch(folder / "work")
            watch.start()
            command = [sys.executable, "-m", "query_builder", "build", "--dump", str(dump), "--workers", "2"]
            command += [
                "--output",
                str(folder / "queries.parquet"),
                "--work",
                str(folder / "work"),
                "--shard-megabytes",
                "12",
            ]
            cost = measure(command, timeout=TIMEOUT, folder=ROOT)
            watch.over.set()
            results.append(
                {
                    "xml_mb": round(xml / 1e6),
                    "bz2_mb": round(dump.stat().st_size / 1e6),
                    "cpu_s": round(cost.cpu, 1),
                    "wall_s": round(cost.wall, 1),
                    "mb_per_cpu_s": round(xml / 1e6 / cost.cpu, 2),
                    "memory_mb": round(cost.memory / 1e6),
                    "work_mb": round(watch.most / 1e6),
                }
            )
            print(results[-1], flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or list(SIZES))
