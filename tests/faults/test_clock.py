"""A wall clock that jumps back and ahead: what is measured goes by another, what is waited for by the answers
themselves."""

import email.utils
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.keeping.folder import RunFolder
from pipeline.net import client
from pipeline.net.transport import Exchange
from tests.faults.small_disk import ROOT
from tests.pipeline.small_job import Job, digests
from tests.trainer.test_train import flags, weights

JUMPING = Path(__file__).with_name("jumping")
DELAY = 0.12


def with_a_jumping_clock(*words: str) -> str:
    """Runs a program; returns what it said."""
    environment = {**os.environ, "PYTHONPATH": f"{JUMPING}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_clock_of_these_tests_jumps() -> None:
    code = "import time; said = [time.sleep(0.05) or time.time() for _ in range(30)]; print(max(said) - min(said))"
    environment = {**os.environ, "PYTHONPATH": str(JUMPING)}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert float(said.stdout) > 3600 * 24


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_keeps_its_pace_and_its_bytes(job: Job, first: RunFolder, tmp_path: Path, workers: str) -> None:
    before = len(job.site.moments)
    output = str(tmp_path / "run")
    words = ["run", str(job.config), "--output", output, "--workers", workers, "--http.delay", str(DELAY)]
    with_a_jumping_clock("pipeline", *words)
    moments = sorted(job.site.moments[before:])
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert len(gaps) > 20 and statistics.median(gaps) > 0.8 * DELAY
    assert digests(RunFolder(output)) == digests(first)
    assert "finished before, skipped" in with_a_jumping_clock("pipeline", *words)


@pytest.mark.slow
def test_a_list_is_the_same(small_dump: str, wordnet_folder: str, tmp_path: Path) -> None:
    (tmp_path / "dump.xml").write_text(small_dump)
    words = ["build", "--dump", str(tmp_path / "dump.xml"), "--wordnet", wordnet_folder, "--workers", "2"]
    words += ["--size", "50", "--min-word-count", "5", "--min-bigram-count", "5", "--output"]
    with_a_jumping_clock("query_builder", *words, str(tmp_path / "jumping.parquet"))
    subprocess.run([sys.executable, "-m", "query_builder", *words, str(tmp_path / "q.parquet")], cwd=ROOT, check=True)
    assert (tmp_path / "jumping.parquet").read_bytes() == (tmp_path / "q.parquet").read_bytes()


@pytest.mark.slow
def test_a_training_ends_by_its_steps(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    def train(name: str, *more: str) -> list[str]:
        return ["trainer.run", *flags(shapes, tiny_model, tmp_path / name, "--steps", "8", *more)]

    limits = ("--max-seconds", "1500", "--checkpoint-minutes", "25", "--stall-seconds", "1500")
    with_a_jumping_clock(*train("model", *limits))
    summary = json.loads((tmp_path / "model/summary.json").read_text())
    assert (summary["ended_by"], summary["steps"]) == ("finished", 8) and 0 < summary["seconds"] < 1500
    log = [json.loads(line)["event"] for line in (tmp_path / "model/log.jsonl").read_text().splitlines()]
    assert log.count("checkpoint") == 1 and "stall" not in log
    subprocess.run([sys.executable, "-m", *train("right", *limits)], cwd=ROOT, check=True, capture_output=True)
    ours, theirs = weights(tmp_path / "model"), weights(tmp_path / "right")
    assert all(ours[name].equal(theirs[name]) for name in theirs)


@pytest.mark.parametrize("jump", [0.0, -3600.0, 24 * 3600.0])
def test_a_date_to_wait_for_counts_from_the_servers_own_clock(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    now = time.time()

    def asked(**headers: str) -> float | None:
        return client._retry_after(
            Exchange(headers={name.replace("_", "-"): (value,) for name, value in headers.items()})
        )

    def date(seconds: float) -> str:
        return email.utils.formatdate(now + seconds, usegmt=True)

    monkeypatch.setattr(client.time, "time", lambda: now + jump)
    assert asked(retry_after=date(40), date=date(0)) == pytest.approx(40, abs=1)
    assert asked(retry_after=date(-9), date=date(0)) == 0
    assert asked(retry_after="7", date=date(0)) == 7
    assert asked(date=date(0)) is None and asked(retry_after="soon", date=date(0)) is None
    assert asked(retry_after=date(40), date="yesterday") == pytest.approx(max(0.0, 40 - jump), abs=1.5)
