"""The request log of whole runs on two sites: no host asked faster than its delay, nothing asked that is disallowed,
whatever the number of processes, the engine, and the moments at which the run is killed.

What one host's requests are apart is tested exactly, by a clock of its own, in net/test_pace. Here a busy machine may
note one request late and the next in time, so what counts is how long any six requests of a host in a row took: load
only makes that longer, and two processes that ask one host at once would take half of it.
"""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import rows_in
from tests.engines.spark_cluster import needs_spark
from tests.pipeline import small_site

DELAY, CRAWL_DELAY = 0.1, 0.3
IN_A_ROW = 6
SPARK = ("--", "--runner=SparkRunner", "--spark_master_url=local[2,4]", "--sdk_worker_parallelism=1")


@dataclass
class Sites:
    """Two sites that show the same pictures, with the delays that hold for them, and a configuration of a run on
    both."""

    delays: dict[str, tuple[small_site.Site, float]]
    config: Path

    def asked(self) -> int:
        return sum(len(site.asked) for site, _ in self.delays.values())


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Sites]:
    for name in ("one", "two"):
        small_site.build_site(tmp_path / name)
    robots = tmp_path / "two" / "robots.txt"
    robots.write_text(f"User-agent: *\nCrawl-delay: {CRAWL_DELAY}\nDisallow: /images/00\nDisallow: /private/\n")
    names = ["circle", "square", "triangle"]
    table = {"query": names, "surface": names, "id": pa.array(range(3), pa.uint32()), "sources": [["synset"]] * 3}
    pq.write_table(pa.table(table), tmp_path / "queries.parquet")
    with small_site.serve(tmp_path / "one") as one, small_site.serve(tmp_path / "two", "127.0.0.2") as two:
        config = tmp_path / "run.toml"
        config.write_text(
            f'queries = "{tmp_path}/queries.parquet"\n[extract]\nseeds = ["{one.url}", "{two.url}"]\n'
            f"[http]\nallow_loopback = true\ndelay = {DELAY}\nconcurrency_per_host = 4\n[package]\nholdout = 0.0\n"
        )
        yield Sites({"one": (one, DELAY), "two": (two, CRAWL_DELAY)}, config)


def _run(sites: Sites, output: Path, words: tuple[str, ...], kill_at: int = 0) -> int:
    """One command in a process group of its own, killed once so many requests have come; its status."""
    command = [sys.executable, "-m", "pipeline", "run", str(sites.config), "--output", str(output), *words]
    running = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    while kill_at and running.poll() is None and sites.asked() < kill_at:
        time.sleep(0.01)
    if kill_at and running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
    return running.wait(timeout=600)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("words", "kills"),
    [
        pytest.param(("--workers", "1"), (12, 50), id="one process, killed twice"),
        pytest.param(("--workers", "2"), (), id="two processes"),
        pytest.param(("--workers", "2"), (8, 14, 40, 60), id="two processes, killed four times"),
        pytest.param(("--workers", "8"), (30,), id="eight processes, killed once"),
        pytest.param(SPARK, (), id="spark", marks=[pytest.mark.spark, needs_spark]),
    ],
)
def test_two_sites_are_asked_at_their_pace_and_nothing_that_they_disallow(
    sites: Sites, tmp_path: Path, words: tuple[str, ...], kills: tuple[int, ...]
) -> None:
    output = tmp_path / "run"
    for kill_at in kills:
        assert _run(sites, output, words, kill_at) == -signal.SIGKILL
    assert _run(sites, output, words) == 0
    for site, delay in sites.delays.values():
        moments = sorted(site.moments)
        least = min(last - first for first, last in zip(moments, moments[IN_A_ROW - 1 :], strict=False))
        assert least >= 0.75 * delay * (IN_A_ROW - 1), (site.url, least)
        assert not [path for path in site.asked if path.startswith("/private/")]
        # A killed run asks again for no more than what was under way.
        pictures = sorted(path for path in site.asked if path.startswith("/images/"))
        twice = sum(1 for first, second in itertools.pairwise(pictures) if first == second)
        assert twice <= 4 * len(kills)
    (one, _), (two, _) = sites.delays.values()
    assert [path for path in one.asked if path.startswith("/images/00")]
    assert not [path for path in two.asked if path.startswith("/images/00")]
    # The sites show the same pictures, of which each is kept once; the first one lets all be fetched.
    assert rows_in(RunFolder(str(output)).joined) == rows_in(RunFolder(str(output)).matched) // 2 - 1
