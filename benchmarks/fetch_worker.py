"""Ours in the fetch benchmarks: ``python -m benchmarks.fetch_worker JOB.json…``, a process a job, as a local run has
them.

In: jobs (urls, folder, part, certificate, decoder). Out: a part of an image store for each. Every protection is on; the
hosts are loopback addresses, so that must be allowed, and asked without a delay, as the peer does.
"""

import json
import multiprocessing
import sys
from pathlib import Path
from typing import Any

from pipeline.fetch.bucket import fetch_bucket
from pipeline.image.config import ImageConfig
from pipeline.net.config import HttpConfig

__all__ = ["CONCURRENCY", "work"]

CONCURRENCY: dict[str, Any] = {"concurrency": 32, "concurrency_per_host": 4}  # the peer is given as many threads


def work(path: str) -> None:
    """Does one job."""
    job = json.loads(Path(path).read_text())
    http = HttpConfig(**CONCURRENCY, delay=0, ca_file=job["certificate"], allow_loopback=True)
    fetch_bucket(
        job["urls"], job["folder"], job["part"], http, ImageConfig(resize_mode="border", decoder=job["decoder"])
    )


if __name__ == "__main__":
    workers = [multiprocessing.Process(target=work, args=(path,)) for path in sys.argv[1:]]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.exit(max(worker.exitcode or 0 for worker in workers))
