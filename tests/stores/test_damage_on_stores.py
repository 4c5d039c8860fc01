"""Damage to a run folder that lies on an object store: found by ``check``, and made anew by the same command."""

from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from tests.pipeline.small_job import Job, digests
from tests.stores.conftest import QUIET, new_bucket
from tests.stores.servers import Store
from webimagetext import files

pytestmark = QUIET


def put(url: str, content: bytes) -> None:
    with files.write_atomic(url) as stream:
        stream.write(content)


def uploaded(store: Store, first: RunFolder) -> RunFolder:
    """A copy of a finished run in a new bucket."""
    run = RunFolder(f"{new_bucket(store)}/run")
    for path in sorted(Path(first.root).rglob("*")):
        if path.is_file():
            put(f"{run.root}/{path.relative_to(first.root)}", path.read_bytes())
    return run


def check(run: RunFolder) -> int:
    return main(["check", run.root, "--no-readers", "--sample", "1"])


# The start of a place's name, what is done to it, and the step that makes it anew.
FAULTS = [
    ("shards/00000.tar", "flip", "write shards"),
    ("matched/part-", "cut", "filter texts and match queries"),
    ("images/", "flip", "fetch images"),
    ("counts.parquet", "missing", "balance"),
    ("selected/_MANIFEST", "empty", "balance"),
]


@pytest.mark.slow
@pytest.mark.parametrize("place", [pytest.param(fault, id=fault[0]) for fault in FAULTS])
def test_a_damaged_file_is_found_and_made_anew(
    place: tuple[str, str, str], store: Store, job: Job, first: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    start, fault, step = place
    run, words = uploaded(store, first), ["run", str(job.config), "--output"]
    assert main([*words, run.root]) == 0
    # Where a single file of another step is an input, the store's own mark of it counts: that step is done once more.
    assert capsys.readouterr().err.count("finished before, skipped") >= 6
    inside = [name for name in files.below(run.root) if name.startswith(start) and not name.endswith(("_STARTED",))]
    name = max(inside, key=lambda each: (each.endswith(".tar"), files.size(f"{run.root}/{each}")))
    url, content = f"{run.root}/{name}", files.read(f"{run.root}/{name}") or b""
    if fault == "missing":
        files.remove_file(url)
    else:
        half = len(content) // 2
        flipped = content[:half] + bytes([content[half] ^ 4]) + content[half + 1 :]
        put(url, {"flip": flipped, "cut": content[:-9], "empty": b""}[fault])
    capsys.readouterr()
    assert check(run) == 2
    assert f"damaged: {url}: " in capsys.readouterr().out
    assert main([*words, run.root]) == 0
    assert f"{name}: is damaged or missing: '{step}" in capsys.readouterr().err
    assert check(run) == 0
    now, before = digests(run), digests(first)
    if start == "images/":  # the joined pairs refer to a part of the store, which may have another name
        del now["joined"], before["joined"]
    assert now == before
