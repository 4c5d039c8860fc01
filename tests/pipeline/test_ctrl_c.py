"""Ctrl-C in a run with worker processes: one line and exit status 130, while they start and while they work."""

import signal
import sys

import pytest

from pipeline.__main__ import main
from tests.interrupt import SAID, interrupted
from tests.pipeline.small_job import Job


@pytest.mark.timeout(120)
# While the process that workers come from starts; while they start; while they work.
@pytest.mark.parametrize(
    ("processes", "then"),
    [(1, 0), *(pytest.param(*when, marks=pytest.mark.slow) for when in ((2, 0), (3, 0.3), (3, 2.5)))],
)
def test_no_worker_says_anything_and_none_stays(job: Job, processes: int, then: float) -> None:
    output = job.folder / f"interrupted-{processes}-{then}"
    command = [sys.executable, "-m", "pipeline", "run", str(job.config), "--output", str(output), "--workers", "2"]
    status, said = interrupted(command, processes, then)
    assert status == 130 and said.endswith(SAID)
    assert all(line.startswith(("[", "  ")) for line in said.removesuffix(SAID).splitlines()), said  # the steps
    assert "File " not in said
    assert not (output / ".shuffle").exists()
    assert main(command[3:-2]) == 0  # the same command goes on


@pytest.mark.timeout(120)
def test_sigterm_ends_the_workers_too(job: Job) -> None:
    output = job.folder / "terminated"
    command = [sys.executable, "-m", "pipeline", "run", str(job.config), "--output", str(output), "--workers", "2"]
    status, said = interrupted(command, 3, 1.5, signal.SIGTERM)
    assert status == 143 and said.endswith(SAID.replace("interrupted", "terminated")) and "File " not in said
    assert sorted(path.name for path in output.glob(".*")) in ([], [".progress"])
