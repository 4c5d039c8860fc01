"""Buckets fetched from a real server: rows, tars, order, deadlines, retries, and nothing asked twice."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest

from pipeline.fetch.bucket import fetch_bucket
from pipeline.fetch.config import FetchConfig
from pipeline.fetch.retry import best_rows, retry_failed
from pipeline.image.config import ImageConfig
from pipeline.image.process import Processed, process
from pipeline.net.config import HttpConfig
from pipeline.tables.schema import IMAGES
from tests.pipeline.clock import StandingClock
from webimagetext.errors import UserError

IMAGE = ImageConfig()


class Count:
    """Counts what progress is told."""

    done = 0.0

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        self.done += amount


def test_every_url_has_a_row_and_every_picture_its_place(server: Any, http: HttpConfig, tmp_path: Path) -> None:
    trouble = {
        "/page/": "wrong_type",
        "/broken/": "decode_error",
        "/text-as-image/": "not_an_image",
        "/noai/": "refused_by_x_robots_tag",
        "/nothing/": "http_404",
    }
    urls = [*server.urls(30), *(server.base + path for path in trouble), "file:///etc/passwd", server.urls(1)[0]]
    progress = Count()
    rows = fetch_bucket(urls, str(tmp_path), "a", http, IMAGE, progress)
    assert rows.schema.equals(IMAGES)
    assert rows.column("url").to_pylist() == urls[:-1] and progress.done == len(urls) - 1
    by_url = {row["url"]: row for row in rows.to_pylist()}
    for path, reason in trouble.items():
        row = by_url[server.base + path]
        assert (row["status"], row["file"], row["sha256"]) == (reason, None, None)
    assert by_url["file:///etc/passwd"]["status"] not in ("success", "decode_error")
    assert by_url[server.base + "/noai/"]["consent"] == "x_robots_tag"
    archive = (tmp_path / "a.tar").read_bytes()
    for number, url in enumerate(server.urls(30)):
        row = by_url[url]
        expected = process(server.picture(number), IMAGE)
        assert isinstance(expected, Processed)
        assert archive[row["offset"] : row["offset"] + row["length"]] == expected.data
        assert (row["status"], row["http_status"], row["consent"]) == ("success", 200, "allowed")
        assert (row["width"], row["original_width"], row["sha256"]) == (341, 400, expected.sha256)
        assert (row["phash"], row["animated"]) == (expected.phash, False)
        assert row["consent_evidence"]
    with tarfile.open(tmp_path / "a.tar") as opened:
        assert len(opened.getnames()) == 30
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "a.tar"]


def test_a_finished_part_asks_nothing(server: Any, http: HttpConfig, tmp_path: Path) -> None:
    urls = server.urls(5)
    first = fetch_bucket(urls, str(tmp_path), "a", http, IMAGE)
    asked = server.asked.total()
    progress = Count()
    assert fetch_bucket(urls, str(tmp_path), "a", http, IMAGE, progress).equals(first)
    assert server.asked.total() == asked and progress.done == 5
    with pytest.raises(UserError, match="other image URLs"):
        fetch_bucket(urls[:3], str(tmp_path), "a", http, IMAGE)


def test_the_order_of_arrival_does_not_show(server: Any, http: HttpConfig, tmp_path: Path) -> None:
    server.jitter = 0.05
    urls = server.urls(40)
    for name in ("first", "second"):
        fetch_bucket(urls, str(tmp_path / name), "a", http, dataclasses.replace(IMAGE, threads=2))
    for file in ("a.tar", "a.parquet"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_an_object_store(server: Any, http: HttpConfig, tmp_path: Path) -> None:
    rows = fetch_bucket(server.urls(3), "memory://test-bucket/images", "a", http, IMAGE)
    assert rows.equals(fetch_bucket(server.urls(3), str(tmp_path), "a", http, IMAGE))
    assert fsspec.filesystem("memory").cat("/test-bucket/images/a.tar") == (tmp_path / "a.tar").read_bytes()


def test_nothing_to_fetch(http: HttpConfig, tmp_path: Path) -> None:
    assert fetch_bucket([], str(tmp_path), "a", http, IMAGE).num_rows == 0
    assert (tmp_path / "a.parquet").exists()


def test_a_round_ends_in_its_time(server: Any, http: HttpConfig, tmp_path: Path) -> None:
    """What a host has no time for waits for the next round; what was under way is waited for, and asked but once."""
    elsewhere = server.base.replace("127.0.0.1", "127.0.0.2")
    urls = [*(f"{elsewhere}/slow/{number}" for number in range(40)), *server.urls(4)]
    rows = fetch_bucket(urls[::-1], str(tmp_path), "a", http, IMAGE, fetch=FetchConfig(round_seconds=1.5))
    statuses = dict(zip(rows.column("url").to_pylist(), rows.column("status").to_pylist(), strict=True))
    assert [statuses[url] for url in server.urls(4)] == ["success"] * 4
    left = [url for url in urls[::-1] if statuses[url] == "not_reached"]
    assert len(left) == 40 - http.concurrency_per_host and all("slow" in url for url in left)
    assert retry_failed(rows) == left


def test_the_addresses_of_a_host_come_in_mixed_order(server: Any, http: HttpConfig, tmp_path: Path) -> None:
    """So that those of a bad folder do not come in a row, for which the host would be given up."""
    wary = dataclasses.replace(http, host_failures=5, retries=0, backoff=0.0, concurrency_per_host=1)
    bad = [f"{server.base}/busy/{number}" for number in range(6)]
    urls = [*bad, *server.urls(100)]
    rows = fetch_bucket(urls, str(tmp_path), "a", wary, IMAGE)
    statuses = rows.column("status").to_pylist()
    assert statuses[6:] == ["success"] * 100 and set(statuses[:6]) == {"http_429"}


def test_a_host_keeps_its_delay(server: Any, http: HttpConfig, tmp_path: Path, standing_clock: StandingClock) -> None:
    fetch_bucket(server.urls(4), str(tmp_path), "a", dataclasses.replace(http, delay=20.0), IMAGE)
    assert standing_clock.now() == 20.0 * (sum(server.asked.values()) - 1) >= 60.0


def test_only_failures_that_may_pass_are_asked_again(server: Any, http: HttpConfig, tmp_path: Path) -> None:
    later, gone = f"{server.base}/recovering/7.jpg", f"{server.base}/recovering/gone.jpg"
    urls = [*server.urls(3), later, gone, f"{server.base}/noai/"]
    first = fetch_bucket(urls, str(tmp_path), "round-0", http, IMAGE)
    assert retry_failed(first) == [later]
    server.failing = False
    second = fetch_bucket(retry_failed(first), str(tmp_path), "round-1", http, IMAGE)
    assert second.column("status").to_pylist() == ["success"] and server.asked["/noai/"] == 1
    best = best_rows(pa.Table.from_batches([first, second]))
    assert best.column("url").to_pylist() == sorted(urls)
    files = dict(zip(best.column("url").to_pylist(), best.column("file").to_pylist(), strict=True))
    assert (files[later], files[urls[0]], files[gone]) == ("round-1.tar", "round-0.tar", None)
    # A success is never given up for a later failure.
    assert best_rows(pa.Table.from_batches([second, first])).column("file").to_pylist().count("round-1.tar") == 1


def test_a_public_site_needs_a_contact(http: HttpConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="contact"):
        fetch_bucket(["http://192.0.2.1/a.jpg"] * 3, str(tmp_path), "a", http, IMAGE)


WORKER = """
import sys
from pipeline.fetch.bucket import fetch_bucket
from pipeline.image.config import ImageConfig
from pipeline.net.config import HttpConfig
http = HttpConfig(delay=0, concurrency_per_host=4, allow_loopback=True)
fetch_bucket(sys.argv[2:], sys.argv[1], "a", http, ImageConfig())
"""


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_and_resumed(server: Any, http: HttpConfig, tmp_path: Path, kills: int) -> None:
    """Killed at several moments, a part ends up as if it had run through, and no stored picture is asked for again."""
    urls = server.urls(300)
    server.jitter = 0.02
    draw = random.Random(kills)
    for kill in range(1, kills + 1):
        worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path / "killed"), *urls])
        goal = server.asked.total() + draw.randint(5, 250 // kills)
        while server.asked.total() < goal and worker.poll() is None:
            time.sleep(0.005)
        assert worker.poll() is None, f"the worker ended before kill {kill}"
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        assert not (tmp_path / "killed/a.parquet").exists()
    rows = fetch_bucket(urls, str(tmp_path / "killed"), "a", http, IMAGE)
    pictures = [count for path, count in server.asked.items() if path.startswith("/image/")]
    # What was under way at a kill is asked again: at most four requests, and what waited for the decoder.
    assert len(pictures) == 300 and sum(pictures) <= 300 + kills * 16
    through = fetch_bucket(urls, str(tmp_path / "through"), "a", http, IMAGE)
    assert rows.equals(through)
    assert (tmp_path / "killed/a.tar").read_bytes() == (tmp_path / "through/a.tar").read_bytes()


def test_a_journal_that_a_kill_left_beside_a_finished_part_goes(server: Any, http: HttpConfig, tmp_path: Path) -> None:
    urls = server.urls(3)
    rows = fetch_bucket(urls, str(tmp_path), "a", http, IMAGE)
    for part in ("a", "b"):
        (tmp_path / f"{part}.spool").write_bytes(b"")
    assert fetch_bucket(urls, str(tmp_path), "a", http, IMAGE).equals(rows)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.parquet", "a.tar", "b.spool"]


def test_two_workers_with_the_same_bucket_ask_once(server: Any, http: HttpConfig, tmp_path: Path) -> None:
    urls = server.urls(40)
    server.jitter = 0.02
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path), *urls])
    while server.asked.total() < 5 and worker.poll() is None:
        time.sleep(0.005)
    rows = fetch_bucket(urls, str(tmp_path), "a", http, IMAGE)
    assert worker.wait() == 0 and rows.column("status").unique().to_pylist() == ["success"]
    assert {count for path, count in server.asked.items() if path.startswith("/image/")} == {1}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.parquet", "a.tar"]


def test_one_configuration_does_not_speak_for_what_another_never_asked(
    server: Any, http: HttpConfig, tmp_path: Path
) -> None:
    """Evidence names the policy files that were asked for under the settings of the row, and no others."""
    without = tuple(signal for signal in http.binding_signals if signal not in ("tdm_file", "ai_txt"))
    loose = dataclasses.replace(http, binding_signals=without)
    evidence = []
    for name, config in (("a", loose), ("b", http), ("c", loose)):
        rows = fetch_bucket(server.urls(1), str(tmp_path), name, config, IMAGE)
        evidence.append(rows.column("consent_evidence")[0].as_py())
    assert [("tdmrep.json" in text, "ai.txt" in text) for text in evidence] == [
        (False, False),
        (True, True),
        (False, False),
    ]
