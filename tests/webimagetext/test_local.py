"""Copies on this machine: whole, found again, swept when nothing uses them, and never in another user's folder."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from webimagetext import files, local
from webimagetext.errors import UserError


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A file in fsspec's memory, which stands for an object store."""
    address = f"memory://{tmp_path.name}/list-abc.bin"
    with files.write_atomic(address) as stream:
        stream.write(b"content")
    return address


def test_a_copy_for_one_use_is_gone_afterwards(url: str, temporary: Path) -> None:
    with local.fetched(url) as path:
        assert Path(path).read_bytes() == b"content"
    assert list(temporary.iterdir()) == []
    here = temporary / "here.bin"
    here.write_bytes(b"content")
    with local.fetched(str(here)) as path:
        assert path == str(here)  # what is here already is not copied
    assert here.exists()


def test_a_kept_copy_is_made_once_and_the_unused_are_swept(url: str) -> None:
    first = local.kept(url, lambda path: True)
    old = Path(local.folder()) / "old.bin"
    old.write_bytes(b"of a list that nobody uses any more")
    long_ago = time.time() - 8 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    os.utime(first, (long_ago, long_ago))
    files.remove(url)
    assert local.kept(url, lambda path: False) == first  # neither fetched nor judged again, and marked as used
    local.sweep(local.folder())
    assert os.listdir(local.folder()) == ["list-abc.bin"]


def test_a_copy_that_is_not_what_its_name_says_is_not_kept(url: str) -> None:
    with pytest.raises(UserError, match="not what its name says"):
        local.kept(url, lambda path: False)
    assert os.listdir(local.folder()) == []


def test_a_folder_that_another_made_is_refused(temporary: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (temporary / f"webimagetext-{os.getuid()}").symlink_to(tmp_path_factory.mktemp("another"))
    with pytest.raises(UserError, match="belongs to another user"):
        local.folder()
