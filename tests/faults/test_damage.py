"""Damage to any kind of file of a finished run: noticed by ``check``, told in a line, and made anew by one command.

The kinds are those that are found in a run's folder, so that a new one is covered by itself.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from tests.pipeline.small_job import Job, digests

# What says nothing once the run is finished, and what a person may edit.
FREE = {"_STARTED", "config.toml", ".lock"}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def flip_near_end(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[max(0, len(content) - 40)] ^= 0x01
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


FAULTS: dict[str, Callable[[Path], None]] = {
    "flip": flip,
    "flip_near_end": flip_near_end,
    "cut": cut,
    "empty": empty,
    "delete": Path.unlink,
}


def kinds(run: RunFolder) -> dict[str, str]:
    """One file of each kind, by its place in the run: numbers and hashes make no kind."""
    found: dict[str, str] = {}
    for path in sorted(Path(run.root).rglob("*")):
        if path.is_file() and path.name not in FREE:
            place = str(path.relative_to(run.root))
            found.setdefault(re.sub(r"(?<![a-z])[0-9a-f]*\d[0-9a-f]*", "N", place), place)
    return found


def check(run: RunFolder, *options: str) -> int:
    return main(["check", run.root, "--no-readers", *options])


@pytest.fixture
def copies(job: Job, first: RunFolder) -> Iterator[Callable[[], RunFolder]]:
    """Gives copies of the finished run under one name, one after the other."""
    place = job.folder / "first-damaged"

    def copy() -> RunFolder:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(first.root, place)
        return RunFolder(str(place))

    yield copy
    shutil.rmtree(place, ignore_errors=True)


def test_a_whole_run_is_whole(first: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", first.root]) == 0
    assert "all as it was written" in capsys.readouterr().out


@pytest.mark.parametrize("fault", FAULTS)
def test_every_kind_of_file_is_checked(
    fault: str, first: RunFolder, copies: Callable[[], RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    run, unnoticed = copies(), []
    assert len(kinds(first)) > 30
    for kind, name in kinds(first).items():
        path = Path(run.root, name)
        FAULTS[fault](path)
        status, told = check(run, "--no-note", "--sample", "1"), capsys.readouterr().out
        without_marker = f"note: {kind.removesuffix('_SUCCESS')} is not finished" in told  # which is no damage
        if not (status == 2 and f"damaged: {path}: " in told) and not (fault == "delete" and without_marker):
            unnoticed.append(kind)
        shutil.copyfile(Path(first.root, name), path)
    assert not unnoticed
    assert check(run) == 0


def heals(job: Job, first: RunFolder, run: RunFolder, name: str, fault: str) -> str:
    """What is wrong with how a damaged file is made anew; "" where nothing is."""
    FAULTS[fault](Path(run.root, name))
    without_marker = fault == "delete" and name.count("/") == 1 and name.endswith("_SUCCESS")  # which is no damage
    if check(run, "--sample", "1") != 2 and not without_marker:
        return "not noticed"
    if main(["run", str(job.config), "--output", run.root]) != 0:
        return "not made anew"
    if check(run, "--sample", "1") != 0:
        return "still damaged"
    return "" if digests(run) == digests(first) else "made anew otherwise"


QUICK = [
    ("matched/part-00000.parquet", "flip"),
    ("matched/counts.npy", "cut"),
    ("rejects/match/_MANIFEST", "delete"),
    ("counts.parquet", "flip_near_end"),
    ("shards/00000.tar", "flip"),
    ("balance/plan.npz", "empty"),
]


@pytest.mark.parametrize(("name", "fault"), QUICK)
def test_a_damaged_file_is_made_anew(
    name: str, fault: str, job: Job, first: RunFolder, copies: Callable[[], RunFolder]
) -> None:
    assert heals(job, first, copies(), name, fault) == ""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_kind_of_file_is_made_anew(
    fault: str, job: Job, first: RunFolder, copies: Callable[[], RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    failed = []
    for kind, name in kinds(first).items():
        if wrong := heals(job, first, copies(), name, fault):
            failed.append(f"{kind}: {wrong}: {capsys.readouterr().err[-500:]}")
    assert not failed, "\n\n".join(failed)


def parts(folder: str, ending: str) -> list[Path]:
    return sorted(Path(folder).glob(f"*{ending}"), key=lambda path: -path.stat().st_size)


def test_a_reader_notices_and_the_same_command_goes_on(
    job: Job, first: RunFolder, copies: Callable[[], RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("matched/part-00000.parquet", "matched/counts.npy"):
        run = copies()
        flip(Path(run.root, name))
        assert main(["run", str(job.config), "--output", run.root, "--balance.t", "1"]) == 0
        error = capsys.readouterr().err
        assert f"{name}: is damaged or missing: 'filter texts and match queries' makes it anew" in error
        assert check(run, "--sample", "1") == 0
        # One verb alone names the verb that makes it anew.
        flip(Path(run.root, name))
        words = [str(job.config), "--output", run.root]
        assert check(run, "--sample", "1") == 2
        assert main(["package", *words, "--balance.t", "1"]) == 2
        assert "`pipeline curate` makes it anew" in capsys.readouterr().err
        assert main(["curate", *words, "--balance.t", "1"]) == 0


@pytest.mark.parametrize("fault", ["flip", "cut", "delete"])
def test_pictures_of_a_damaged_part_are_asked_for_again(
    fault: str, job: Job, first: RunFolder, copies: Callable[[], RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    run = copies()
    tar = parts(run.images, ".tar")[0]
    content = bytearray(tar.read_bytes())
    content[700] ^= 1  # in the first picture
    tar.write_bytes(content)
    if fault != "flip":
        FAULTS[fault](tar)
    asked = len(job.site.asked)
    assert main(["run", str(job.config), "--output", run.root, "--package.samples-per-shard", "5"]) == 0
    assert "'fetch images' makes it anew" in capsys.readouterr().err
    again = [path for path in job.site.asked[asked:] if path.startswith("/images")]
    assert again and len(set(again)) == len(again)
    assert check(run) == 0


@pytest.mark.parametrize("fault", ["empty", "cut"])
def test_a_torn_marker_means_not_finished(
    fault: str, job: Job, first: RunFolder, copies: Callable[[], RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    """All markers of a run at once, as after a power cut; none is a traceback, and all is as before in the end."""
    run = copies()
    torn = [path for path in Path(run.root).rglob("_*") if path.name in ("_SUCCESS", "_STARTED", "_CURRENT")]
    assert len(torn) > 10
    for path in torn:
        FAULTS[fault](path)
    assert main(["run", str(job.config), "--output", run.root]) == 0
    assert digests(run) == digests(first)
    assert check(run) == 0
