"""What an engine is told of the time that a fetch or a crawl waits for its hosts, over a real server."""

import dataclasses
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from pipeline.net.config import HttpConfig
from pipeline.read.config import ExtractConfig
from pipeline.read.crawl import crawl_bucket
from pipeline.read.frontier import frontier_table
from pipeline.stages.asking import AskBuckets
from pipeline.stages.fetch import _Fetching
from pipeline.tables.schema import FETCH_PLAN

HTTP = HttpConfig(delay=0.0, allow_loopback=True)


class _Nothing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        """Nothing to print."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of a server that has nothing, and says so at once."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Nothing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def _fetch(site: str, folder: Path, delay: float) -> int:
    """Seconds that the counter of a Beam run says were waited, for three images of one host."""
    config = RunConfig(http=dataclasses.replace(HTTP, delay=delay))
    urls = [f"{site}/{delay}/{number}.jpg" for number in range(3)]
    plan = pa.table([urls, [False] * 3], schema=FETCH_PLAN)
    root = beam.Pipeline(runner=FnApiRunner())
    (
        root
        | beam.Create([(0, plan)])
        | beam.ParDo(AskBuckets(partial(_Fetching, RunFolder(str(folder)), config, 0, "fetch", float("inf"), None)))
    )
    result = root.run()
    result.wait_until_finish()
    counters = result.metrics().query(MetricsFilter().with_name("cumulativeThrottlingSeconds"))["counters"]
    return sum(counter.committed for counter in counters)


def test_a_fetch_that_waits_for_its_host_says_so(site: str, tmp_path: Path) -> None:
    assert _fetch(site, tmp_path / "quick", 0.0) == 0
    # robots.txt, two more files that may refuse, three images: five waits of 0.8 s for one host
    assert 2 <= _fetch(site, tmp_path / "slow", 0.8) <= 5


def test_a_crawl_says_so_too(site: str) -> None:
    frontier = frontier_table([(f"{site}/page-{number}.html", 0) for number in range(3)])
    waits: list[float] = []
    crawl_bucket(frontier, dataclasses.replace(HTTP, delay=0.8), ExtractConfig(), waited=waits.append)
    assert sum(waits) > 1
