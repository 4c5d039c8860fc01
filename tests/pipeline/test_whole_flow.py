"""The whole flow on a real web site, and that its result depends on nothing but the site and the settings."""

import contextlib
import gc
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import webdataset

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import read_table, rows_in
from pipeline.tables.schema import REJECTS
from tests.pipeline import small_site
from tests.pipeline.small_job import Job, digests


def test_every_pair_is_in_the_shards_or_in_the_ledger(first: RunFolder) -> None:
    steps = {step["name"]: step for step in json.loads(Path(first.funnel).read_text())["steps"]}
    assert all(step["unaccounted"] == 0 for step in steps.values()), steps
    assert steps["crawl"]["rejects"] == {"refused_by_robots_txt": 1}
    # 24 pictures and one that is not there, on pages of four, each once.
    assert steps["extract"]["rows_out"] == len(small_site.CAPTIONS) + 1 + 1
    assert steps["match"]["rejects"]["boilerplate"] == 1
    assert 0 < steps["package"]["rows_out"] <= steps["join"]["rows_in"] < len(small_site.CAPTIONS)
    kept = steps["balance"]["rows_out"]
    assert kept <= steps["join"]["rows_in"] <= kept + steps["balance"]["set_aside"]  # topped up from the reserve
    reasons = read_table(first.rejects("package"), REJECTS).column("reason").to_pylist()
    assert set(reasons) <= {"http_404"}


def test_shards_hold_the_site_s_own_pictures_with_their_captions(first: RunFolder) -> None:
    tars = sorted(map(str, Path(first.shards).glob("*.tar"))) + sorted(map(str, Path(first.holdout).glob("*.tar")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # webdataset leaves closing its files to the collector
        samples = list(webdataset.WebDataset(tars, shardshuffle=False).decode("pil"))
        gc.collect()
    assert len(samples) >= 10
    for sample in samples:
        assert sample["txt"] in small_site.CAPTIONS
        _, color, shape, _, _, _ground, _ = sample["txt"].split()
        red, green, blue = sample["jpg"].getpixel((80, 70))
        expected = small_site.COLORS[color]
        assert max(abs(red - expected[0]), abs(green - expected[1]), abs(blue - expected[2])) < 40, sample["txt"]
        assert {color, shape} <= set(sample["json"]["queries"])
        assert sample["json"]["key"] == sample["__key__"]


def test_a_closed_page_is_never_asked_for(job: Job, first: RunFolder) -> None:
    # By an earlier run on this site in this process, if there was one: what a site allows is remembered.
    assert "/robots.txt" in job.site.asked and "/" in job.asked["first"]
    assert not [path for path in job.site.asked if path.startswith("/private")]


def test_the_same_command_again_skips_all_and_asks_nothing(
    job: Job, first: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    again = job.copy(first, "skipped")
    asked = len(job.site.asked)
    job.run("skipped")
    assert digests(again) == digests(first)
    assert len(job.site.asked) == asked
    assert capsys.readouterr().err.count("finished before, skipped") == 8


def test_another_t_asks_for_nothing_that_the_store_has(job: Job, first: RunFolder) -> None:
    job.copy(first, "recurated")
    asked = len(job.site.asked)
    again = job.run("recurated", "--balance.t", "1")
    assert [path for path in job.site.asked[asked:] if path.startswith("/images")] == []
    assert 0 < rows_in(again.selected) < rows_in(first.selected)


def test_only_failures_that_may_pass_are_asked_again(job: Job) -> None:
    job.site.failing.add("/images/003.png")
    failed = job.run("retried", "--balance.mode", "none")
    reasons = read_table(failed.rejects("package"), REJECTS).column("reason").to_pylist()
    assert sorted(reasons) == ["http_404", "http_503"]
    job.site.failing.clear()
    asked = len(job.site.asked)
    job.run("retried", "--balance.mode", "none", "--fetch.retry-failed")
    assert [path for path in job.site.asked[asked:] if path.startswith("/images")] == ["/images/003.png"]
    assert read_table(failed.rejects("package"), REJECTS).column("reason").to_pylist() == ["http_404"]
    assert rows_in(failed.joined) == len(small_site.CAPTIONS)


@pytest.mark.parametrize(
    ("options", "beam"),
    [
        (("--workers", "1"), ()),
        pytest.param(("--workers", "2"), (), marks=pytest.mark.slow),
        (("--workers", "1"), ("--direct_runner_bundle_repeat=1",)),
    ],
    ids=["again", "two-workers", "every-bundle-twice"],
)
def test_the_same_bytes(
    job: Job, first: RunFolder, options: tuple[str, ...], beam: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    other = job.run(f"same-{request.node.callspec.id}", *options, beam=beam)
    assert digests(other) == digests(first)


def remade(job: Job, first: RunFolder, name: str, *options: str, beam: tuple[str, ...] = ()) -> RunFolder:
    """A copy of the run in which curation and the shards, five graphs, are made anew: workers start anew for each
    graph."""
    run = job.copy(first, name)
    for folder in (run.frequent_captions, run.matched, run.selected, run.reserve, run.shards, run.holdout):
        shutil.rmtree(folder)
    return job.run(name, *options, beam=beam)


def test_the_same_bytes_of_curation_and_shards_from_two_workers(job: Job, first: RunFolder) -> None:
    assert digests(remade(job, first, "two", "--workers", "2")) == digests(first)


@contextlib.contextmanager
def worker_pool() -> Iterator[int]:
    """Beam's own pool of workers, as an operator would start it on another machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    # The pool starts its workers as plain "python", so this environment's own must come first.
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    pool = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.2)
        yield port
    finally:
        pool.terminate()
        pool.wait(30)


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True])
def test_the_same_bytes_from_the_portable_runner_with_external_workers(job: Job, first: RunFolder, whole: bool) -> None:
    with worker_pool() as port:
        environment = ("--environment_type=EXTERNAL", f"--environment_config=localhost:{port}")
        beam = ("--runner=PortableRunner", "--job_endpoint=embed", *environment)
        other = job.run("portable-whole", beam=beam) if whole else remade(job, first, "portable", beam=beam)
    assert digests(other) == digests(first)


def test_interrupted_curation_goes_on_where_it_stopped(job: Job, first: RunFolder) -> None:
    copy = Path(job.copy(first, "interrupted").root)
    for folder in ("shards", "joined", "images", "selected"):
        (copy / folder / "_SUCCESS").unlink()
    (copy / "shards" / "00000.tar").unlink()
    (copy / "images" / "_MANIFEST").unlink()  # as a kill before the last write leaves it
    asked = len(job.site.asked)
    again = job.run("interrupted")
    assert digests(again) == digests(first)
    assert [path for path in job.site.asked[asked:] if path.startswith("/images")] == []


def test_mistakes_are_named_without_a_traceback(job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "typo.toml").write_text("[balance]\ntt = 5\n")
    assert main(["run", str(tmp_path / "typo.toml"), "--output", str(tmp_path / "run")]) == 2
    assert "unknown key 'tt'" in capsys.readouterr().err
    assert main(["run", str(tmp_path / "none.toml"), "--output", str(tmp_path / "run")]) == 2
    assert "no such configuration file" in capsys.readouterr().err
    assert main(["curate", str(job.config), "--output", str(tmp_path / "run")]) == 2
    assert "there is no run here" in capsys.readouterr().err
    assert main(["run", str(job.config), "--output", str(tmp_path / "run"), "--queries", str(tmp_path / "no")]) == 2
    assert "no such query list" in capsys.readouterr().err
