"""How close a fetch of rotten links comes to the shortest time that politeness allows: a replay of a real download
report.

In: the report of the 15,840 images of Conceptual Captions' validation set: their hosts, statuses, media types and
sizes; a URL that timed out there never answers here, and a host all of whose URLs did is silent altogether. The report
has no other delays, so each answer takes a log-normal time with a median of 0.2 s, drawn by the URL. Out: the ideal
time over the real one, which is that of the command ``pipeline fetch``, its start and its workers' included. The ideal
is the longer of two: the host with the longest chain (its requests at its delay, only so many at once), and all
answers' times over the requests that all workers may have under way at once.
"""

import csv
import gzip
import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from benchmarks.fetching import ROOT, environment, write_selected
from benchmarks.match import DATA
from benchmarks.table import Row, figure
from pipeline.hashing import hash64
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import iter_batches, read_manifest, write_manifest
from pipeline.net.config import HttpConfig
from webimagetext.errors import UserError

__all__ = ["rows", "run"]

REPORT = DATA / "captions" / "cc3m_validation_download_report.tsv.gz"
MEDIAN_SECONDS, SPREAD, MOST_SECONDS = 0.2, 0.8, 10.0
TIMED_OUT = 408
POLICY_FILES = 3  # robots.txt, tdmrep.json, ai.txt
SETTINGS: dict[str, Any] = {
    "delay": 0.1,
    "concurrency": 256,
    "concurrency_per_host": 4,
    "deadline": 30,
    "host_failures": 1000,
    "retries": 0,
    "allow_loopback": True,
}
HTTP = HttpConfig(**SETTINGS)
WORKERS = os.cpu_count() or 1  # as the command takes


def _seconds(url: str) -> float:
    draw = np.random.default_rng(hash64(url)).normal()
    return float(min(MEDIAN_SECONDS * np.exp(SPREAD * draw), MOST_SECONDS))


def _read_plan() -> dict[str, dict[str, Any]]:
    """The answers of every host, by a loopback address that stands for it."""
    if not REPORT.exists():
        raise UserError(f"{REPORT}: no such file", "this replay needs the download report of Conceptual Captions")
    csv.field_size_limit(1 << 24)
    hosts: dict[str, dict[str, Any]] = defaultdict(dict)
    with gzip.open(REPORT, "rt", encoding="utf-8") as stream:
        for number, (url, _, status, media_type, size, *_) in enumerate(csv.reader(stream, delimiter="\t")):
            hosts[urlsplit(url).netloc][str(number)] = {
                "status": int(status),
                "type": media_type,
                "bytes": int(float(size or 0)),
                "seconds": _seconds(url),
            }
    return {
        f"127.{1 + number // 250}.{number % 250}.1": {
            "urls": urls,
            "seconds": _seconds(name),
            "silent": all(answer["status"] == TIMED_OUT for answer in urls.values()),
        }
        for number, (name, urls) in enumerate(sorted(hosts.items()))
    }


def _ideal(plan: dict[str, dict[str, Any]]) -> float:
    chains, total = [], 0.0
    for host in plan.values():
        seconds = [
            HTTP.deadline if answer["status"] == TIMED_OUT else answer["seconds"] for answer in host["urls"].values()
        ]
        policies = HTTP.deadline if host["silent"] else max(HTTP.delay, host["seconds"]) * POLICY_FILES
        chains.append(policies if host["silent"] else policies + _chain(seconds))
        total += policies if host["silent"] else sum(seconds) + policies
    return max(*chains, total / (HTTP.concurrency * WORKERS))


def _chain(seconds: Sequence[float]) -> float:
    """When a host's last answer is there, if its URLs are asked in order, at its delay, only so many at a time."""
    begins, ends, last = -HTTP.delay, [0.0] * HTTP.concurrency_per_host, 0.0
    for duration in seconds:
        begins = max(begins + HTTP.delay, heapq.heappop(ends))
        heapq.heappush(ends, begins + duration)
        last = max(last, begins + duration)
    return last


def _expected(answer: dict[str, Any], *, silent: bool) -> set[str]:
    if silent or answer["status"] == TIMED_OUT:
        return {"deadline_exceeded", "connect_timeout", "host_given_up"}
    if answer["status"] != 200:
        # A 204 with a body, as the replay sends it, is no answer that HTTP knows.
        return {"bad_response"} if answer["status"] == 204 else {f"http_{answer['status']}"}
    if answer["type"].startswith("image/"):
        return {"success"}
    return {"wrong_type", "not_an_image", "empty_body"}


def _fetch(run: RunFolder, urls: list[str]) -> None:
    """Has the command fetch pairs with these images. Raises CalledProcessError where it ends with another status than
    0."""
    write_selected(run, urls)
    for folder in (run.candidates, run.matched):  # of what is lost the command says what there was before
        write_manifest(folder, [])
    config = Path(f"{run.root}.toml")
    lines = (f"{name} = {json.dumps(value)}" for name, value in SETTINGS.items())
    config.write_text("\n".join(["[http]", *lines, ""]), encoding="utf-8")
    command = [sys.executable, "-m", "pipeline", "fetch", str(config), "--output", run.root]
    subprocess.run(command, check=True, cwd=ROOT, env=environment())


def _answers(run: RunFolder) -> list[dict[str, Any]]:
    """What became of each address, by the image store."""
    parts = [name for name in read_manifest(run.images).column("file").to_pylist() if name.endswith(".parquet")]
    return [row for batch in iter_batches(run.images, ["url", "status"], parts) for row in batch.to_pylist()]


def run() -> dict[str, Any]:
    """Replays the report; about four minutes."""
    plan = _read_plan()
    ideal = _ideal(plan)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plan.json").write_text(json.dumps(plan))
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.link_rot_server", str(folder / "plan.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None and server.stdin is not None
            port = int(server.stdout.readline())
            wanted = {
                f"http://{host}:{port}/{number}": _expected(answer, silent=entry["silent"])
                for host, entry in plan.items()
                for number, answer in entry["urls"].items()
            }
            run, began = RunFolder(str(folder / "run")), time.monotonic()
            _fetch(run, list(wanted))
            wall = time.monotonic() - began
            server.stdin.close()
            fullest = int(server.stdout.readline())
        finally:
            server.kill()
            server.wait()
        answers = _answers(run)
    surprises = Counter(row["status"] for row in answers if row["status"] not in wanted[row["url"]])
    return {
        "ours": round(wall, 1),
        "peer": round(ideal, 1),
        "ratio": round(ideal / wall, 3),
        "unit": "seconds; the peer is the shortest time that the hosts' delays allow",
        "equal": not surprises,
        "surprises": dict(surprises),
        "statuses": dict(Counter(row["status"] for row in answers).most_common()),
        "hosts": len(plan),
        "urls": len(answers),
        "requests_in_a_hosts_fullest_second": fullest,
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    dead = 1 - result["statuses"].get("success", 0) / result["urls"]
    return [
        Row(
            f"{result['urls']:,} real links of {result['hosts']:,} hosts, {dead:.0%} dead, at a delay of {HTTP.delay} "
            f"s, {HTTP.concurrency} requests at once a worker, no repeats, the whole `pipeline fetch`: "
            f"{figure(result['ours'])} s",
            f"the least that the hosts' delays allow: {figure(result['peer'])} s",
            f"{figure(result['ours'] / result['peer'])} times the least",
        )
    ]
