"""Few open files and little address space: each program works with them, or says in one line what is too small; and
what this machine lacks is never put down as a host's fault, or a picture's."""

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.fetch.bucket import fetch_bucket
from pipeline.image import process as processing
from pipeline.image.config import ImageConfig
from pipeline.image.process import Rejected, process
from pipeline.keeping.folder import RunFolder
from pipeline.net import client, transport
from pipeline.net.config import HttpConfig
from tests.faults.small_disk import ROOT
from tests.pipeline.small_job import Job, digests
from tests.pipeline.small_site import serve
from tests.small_run import paint
from tests.trainer.test_train import flags
from webimagetext import handles
from webimagetext.errors import UserError

LIMITED = """
import resource, sys
kind, most, name, *words = sys.argv[1:]
resource.setrlimit(getattr(resource, kind), (int(most), int(most)))
from webimagetext.command import leave, run_command
if name == "pipeline":
    from pipeline.__main__ import main
    sys.exit(main(words))
if name == "query_builder":
    from query_builder.cli import main
    sys.exit(main(words))
from trainer.run import main
leave(run_command(lambda: main(words)))
"""


def limited(kind: str, most: int, *words: str) -> "subprocess.CompletedProcess[str]":
    """A program that may have no more than ``most`` of a kind of resource."""
    code = [sys.executable, "-c", LIMITED, kind, str(most), *words]
    environment = {**os.environ, "WEBIMAGETEXT_QUIET": "1"}
    return subprocess.run(code, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)


def is_one_line(done: "subprocess.CompletedProcess[str]", *words: str) -> bool:
    """Whether a program ended with status 2, one error, its remedy, and one of these words."""
    said = done.stderr
    lines = said[said.rfind("error: ") :].splitlines()
    return (
        done.returncode == 2
        and said.count("error: ") == 1
        and len(lines) == 2
        and "Traceback" not in said
        and any(word in said for word in words)
    )


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_with_64_open_files(job: Job, first: RunFolder, tmp_path: Path, workers: str) -> None:
    output = str(tmp_path / "run")
    words = ["pipeline", "run", str(job.config), "--output", output, "--workers", workers]
    done = limited("RLIMIT_NOFILE", 64, *words)
    assert done.returncode == 0, done.stderr
    assert digests(RunFolder(output)) == digests(first)


@pytest.mark.slow
def test_a_list_with_64_open_files(small_dump: str, wordnet_folder: str, tmp_path: Path) -> None:
    (tmp_path / "dump.xml").write_text(small_dump)
    words = ["build", "--dump", str(tmp_path / "dump.xml"), "--wordnet", wordnet_folder, "--workers", "8"]
    words += ["--size", "50", "--min-word-count", "5", "--min-bigram-count", "5", "--shard-megabytes", "0.002"]
    done = limited("RLIMIT_NOFILE", 64, "query_builder", *words, "--output", str(tmp_path / "few.parquet"))
    assert done.returncode == 0, done.stderr
    whole = [sys.executable, "-m", "query_builder", *words, "--output", str(tmp_path / "q.parquet")]
    subprocess.run(whole, cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "few.parquet").read_bytes() == (tmp_path / "q.parquet").read_bytes()


@pytest.mark.parametrize("most", [12, *(pytest.param(most, marks=pytest.mark.slow) for most in (20, 30))])
def test_hardly_any_open_files_are_told_in_a_line(job: Job, small_dump: str, tmp_path: Path, most: int) -> None:
    (tmp_path / "dump.xml").write_text(small_dump)
    words = ["query_builder", "build", "--dump", str(tmp_path / "dump.xml"), "--workers", "4"]
    commands = [[*words, "--shard-megabytes", "0.002", "--output", str(tmp_path / "q.parquet")]]
    commands.append(["pipeline", "run", str(job.config), "--output", str(tmp_path / "run"), "--workers", "1"])
    for command in commands:
        done = limited("RLIMIT_NOFILE", most, *command)
        assert done.returncode == 0 or is_one_line(done, "open files"), (done.returncode, done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("gigabytes", [2.0, 3.0])
def test_little_address_space(
    job: Job, small_dump: str, shapes: Path, tiny_model: Path, tmp_path: Path, gigabytes: float
) -> None:
    (tmp_path / "dump.xml").write_text(small_dump)
    commands = [
        ["query_builder", "build", "--dump", str(tmp_path / "dump.xml"), "--output", str(tmp_path / "q.parquet")],
        ["pipeline", "run", str(job.config), "--output", str(tmp_path / "run"), "--workers", "1"],
        ["pipeline", "run", str(job.config), "--output", str(tmp_path / "two"), "--workers", "2"],
        ["trainer", *flags(shapes, tiny_model, tmp_path / "model", "--steps", "2")],
    ]
    for command in commands:
        done = limited("RLIMIT_AS", int(gigabytes * 2**30), *command)
        assert done.returncode == 0 or is_one_line(done, "memory", "thread"), (command, done.returncode, done.stderr)


FETCH = """
import json, resource, sys
from pipeline.fetch.bucket import fetch_bucket
from pipeline.image.config import ImageConfig
from pipeline.net.config import HttpConfig
most, folder, urls = int(sys.argv[1]), sys.argv[2], json.load(sys.stdin)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
http = HttpConfig(allow_loopback=True, delay=0.0, retries=0, concurrency=128)
rows = fetch_bucket(urls, folder, "part", http, ImageConfig(min_image_size=16)).to_pylist()
print(json.dumps([[row["url"], row["status"], row["error_message"]] for row in rows]))
"""
HOSTS = 150


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Three pictures on each of many hosts, of which each keeps its connections open."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(paint(number))
    with serve(folder, "0.0.0.0") as site:
        port = site.url.rstrip("/").rpartition(":")[2]
        yield [f"http://127.9.{host}.1:{port}/{number}.jpg" for host in range(HOSTS) for number in range(3)]


@pytest.mark.parametrize("most", [pytest.param(64, marks=pytest.mark.slow), 200])
def test_many_hosts_and_few_open_files(pictures: list[str], tmp_path: Path, most: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FETCH, str(most), str(tmp_path)],
        cwd=ROOT,
        input=json.dumps(pictures),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert Counter(status for _, status, _ in rows) == {"success": len(pictures)}, [row for row in rows if row[2]][:3]


def test_what_this_machine_lacks_is_no_hosts_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    http, closed = HttpConfig(allow_loopback=True, retries=0, delay=0.0, deadline=29), ["http://127.0.0.1:9/a.jpg"]
    with monkeypatch.context() as few:
        few.setattr(transport, "left", lambda: handles.SPARE - 1)
        few.setattr(client, "_FREE_SOCKETS_SECONDS", 0.001)
        with pytest.raises(UserError, match="too many open files: this process may have"):
            fetch_bucket(closed, str(tmp_path), "few", http, ImageConfig())
    rows = fetch_bucket(closed, str(tmp_path), "few", http, ImageConfig()).to_pylist()
    assert [row["status"] for row in rows] == ["connection_refused"]


def test_a_name_is_not_looked_up_without_files(tmp_path: Path) -> None:
    """The system's look-up says that there is no such name when it cannot open a file."""
    opened: list[int] = []
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    http = HttpConfig(allow_loopback=True, retries=0, delay=0.0, contact="me@example.org")
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))

        async def look_up() -> None:
            ours = transport.Transport(http, asyncio.Semaphore(4))
            try:
                with contextlib.suppress(OSError):
                    while True:
                        opened.append(os.open("/dev/null", os.O_RDONLY))
                url = transport.URL("http://nowhere.invalid/a.jpg")
                await ours.exchange(transport.Request(url, "*/*", 1000, 5.0), lambda: None)
            finally:
                await ours.close()

        with pytest.raises(transport.OutOfSocketsError):
            asyncio.run(look_up())
    finally:
        for handle in opened:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_this_machine_lacks_is_no_pictures_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(error: Exception) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(processing.Image, "open", fail)

    failing(OSError(24, "Too many open files"))
    with pytest.raises(UserError, match="too many open files"):
        process(paint(1), ImageConfig())
    failing(MemoryError())
    assert process(paint(1), ImageConfig()) == Rejected("decode_error", "MemoryError:")
    with monkeypatch.context() as little, pytest.raises(MemoryError):
        little.setattr(processing, "_is_there", lambda size: size < 4 * ImageConfig().max_pixels)
        process(paint(1), ImageConfig())


def test_the_limit_is_raised_as_far_as_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    infinite = resource.RLIM_INFINITY
    for limits, raised in (
        ((1024, 4096), (4096, 4096)),
        ((1024, infinite), (handles.MOST, infinite)),
        ((1024, 1 << 20), (handles.MOST, 1 << 20)),
        ((1 << 20, 1 << 20), None),
        ((64, 64), None),
        ((infinite, infinite), None),
    ):
        done: list[Sequence[int]] = []
        monkeypatch.setattr(handles.resource, "getrlimit", lambda kind, limits=limits: limits)
        monkeypatch.setattr(handles.resource, "setrlimit", lambda kind, wanted, done=done: done.append(wanted))
        handles.raise_limit()
        assert done == ([raised] if raised else [])
