"""A temporary folder of the tests' own, in which nothing may be left: not by them, not by what they start."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.engines.engine import JOB_SERVER_FOLDER
from webimagetext import local

__all__ = ["emptied_temporary_folder", "temporary_folder"]

JOB_SERVERS = "webimagetext-job-*"


@pytest.fixture(scope="session")
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What TMPDIR names while the tests run; pytest's own folders lie elsewhere, as ``tmp_path`` does."""
    tmp_path_factory.getbasetemp()  # decides where that is, from the TMPDIR of before
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    folder = tempfile.mkdtemp(prefix="webimagetext-tests-")
    atexit.register(
        shutil.rmtree, folder, ignore_errors=True
    )  # after Beam has stopped its job servers, which need theirs
    os.environ["TMPDIR"], tempfile.tempdir = folder, None
    yield Path(folder)
    tempfile.tempdir = before[1]
    if before[0] is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before[0]
    if not any(Path(folder).glob(JOB_SERVERS)):
        shutil.rmtree(folder)


@pytest.fixture(scope="module", autouse=True)
def emptied_temporary_folder(temporary_folder: Path) -> Iterator[None]:
    """Fails a file of tests that leaves something in the temporary folder."""
    before = set(temporary_folder.iterdir())
    yield
    left = sorted(path.name for path in set(temporary_folder.iterdir()) - before if not _may_stay(path))
    assert left == [], f"left in the temporary folder: {', '.join(left)}"


def _may_stay(path: Path) -> bool:
    """The user's copies, which are kept for a week (webimagetext/local.py), and a job server that ends with the tests'
    process."""
    if path.match(JOB_SERVERS):
        return all(inside.name.startswith(JOB_SERVER_FOLDER) for inside in path.iterdir())
    # The last is the cache of compiled code that another project's program keeps for the user.
    return str(path) == local.folder() or path.name.startswith("torchinductor_")
