"""Fixtures that every test may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.keeping.folder import RunFolder
from tests.leftovers import emptied_temporary_folder, temporary_folder
from tests.pipeline.clock import standing_clock
from tests.pipeline.small_job import Job, serve_job
from tests.skipped import SkippedTests

__all__ = ["emptied_temporary_folder", "first", "job", "shared_data", "standing_clock", "temporary_folder"]

# Test processes stand side by side, one a core: threads of one that wait for each other take the core from the other,
# and a step of a tiny model then takes four times the processor time. To be said before any test imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Adds what is told at the end."""
    config.pluginmanager.register(SkippedTests())


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Larger real data kept beside the checkout; a test that asks for it is skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the larger real data is not beside this checkout (in {folder.relative_to(folder.parents[2])})")
    return folder


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    """The small site, served, and a configuration of a run on it."""
    with serve_job(tmp_path_factory.mktemp("job")) as job:
        yield job


@pytest.fixture(scope="session")
def first(job: Job) -> Iterator[RunFolder]:
    """A run of the job on this machine and its disk, to be looked at; what changes it is done to a copy
    (:meth:`Job.copy`)."""
    run = job.run("first")
    before = _state(run)
    yield run
    assert _state(run) == before, "a test wrote into the run that all share"


def _state(run: RunFolder) -> dict[str, tuple[int, int]]:
    """Every file of a run, with its size and the moment at which it was written."""
    files = ((path, path.stat()) for path in Path(run.root).rglob("*") if path.is_file())
    return {str(path): (found.st_size, found.st_mtime_ns) for path, found in files}
