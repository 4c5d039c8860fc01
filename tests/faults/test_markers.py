"""Manifests and markers that were torn, and what waits for the disk."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import run as runs
from pipeline.__main__ import main
from pipeline.keeping.damage import NOTE
from pipeline.keeping.folder import MANIFEST_FILE, SUCCESS_FILE, RunFolder
from pipeline.keeping.manifest import (
    entry_of,
    is_complete,
    mark_complete,
    parse_manifest,
    read_manifest,
    read_success,
    write_manifest,
)
from pipeline.keeping.step import markers_of, run_steps
from tests.pipeline.small_job import Job
from webimagetext import files
from webimagetext.errors import UserError


def test_no_bit_of_a_manifest_changes_unnoticed(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"abc")
    write_manifest(str(tmp_path), [entry_of(str(tmp_path), "a.parquet", 1)])
    content = (tmp_path / MANIFEST_FILE).read_bytes()
    assert parse_manifest(content) is not None
    for place in range(len(content)):
        assert parse_manifest(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]) is None
    for length in range(0, len(content), 7):
        assert parse_manifest(content[:length]) is None
    (tmp_path / MANIFEST_FILE).write_bytes(content[:-1])
    with pytest.raises(UserError, match=f"{MANIFEST_FILE}: is damaged"):
        read_manifest(str(tmp_path))
    assert (tmp_path / f"{NOTE}{MANIFEST_FILE}").exists()


def test_a_marker_that_is_not_whole_means_not_finished(tmp_path: Path) -> None:
    mark_complete(str(tmp_path), "f" * 64, settings={"t": 20})
    assert is_complete(str(tmp_path), "f" * 64)
    marker = tmp_path / SUCCESS_FILE
    content = marker.read_bytes()
    for torn in (b"", content[:10], content.replace(b"20", b"21"), b"\xff\xfe", b"[]", b"{}"):
        marker.write_bytes(torn)
        assert read_success(str(tmp_path)) is None and not is_complete(str(tmp_path))


def test_what_a_manifest_names_is_on_the_disk_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr("webimagetext.files._sync", synced.append)
    folder = str(tmp_path)
    for name in ("a.parquet", "b.parquet"):
        (tmp_path / name).write_bytes(name.encode())
        write_manifest(folder, [entry_of(folder, each.name, 0) for each in sorted(tmp_path.glob("*.parquet"))])
    # Each file once, and then its folder; after a manifest is written, the folder for the manifest's own name.
    assert synced == [f"{folder}/a.parquet", folder, folder, f"{folder}/b.parquet", folder, folder]


def test_one_reading_of_a_marker_serves_all(job: Job, first: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether an earlier version made it, whether a file is missing, whether the step is done: on an object store each
    reading is a request."""
    run, whole, read, moments = job.copy(first, "read-once"), files.read, list[str](), list[int]()

    def noting(url: str) -> bytes | None:
        read.append(url)
        return whole(url)

    def before(steps: Any) -> Any:
        moments.append(len(read))
        return markers_of(steps)

    def after(*words: Any) -> None:
        run_steps(*words)
        moments.append(len(read))

    monkeypatch.setattr(files, "read", noting)
    monkeypatch.setattr(runs, "markers_of", before)
    monkeypatch.setattr(runs, "run_steps", after)
    assert main(["run", str(job.config), "--output", run.root]) == 0
    begun, ended = moments
    for folder in (run.candidates, run.matched, run.selected, run.joined, run.shards):
        assert read[begun:ended].count(f"{folder}/{SUCCESS_FILE}") == 1
