"""A disk that fills up, or may only be read, under each stage of each program: one line with the place and the remedy,
and with room again the same command goes on to the same bytes."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.keeping.folder import RunFolder
from tests.faults.small_disk import FULL, ROOT, Command, Told, on_small_disk
from tests.pipeline.small_job import Job, digests
from tests.trainer.test_train import flags, weights

VERBS = ("extract", "curate", "fetch", "package", "report")


def ladder(words: Sequence[str], *steps: int) -> list[Command]:
    """The same command with ever more pages free, and at last with room."""
    return [*(Command(words, left) for left in steps), Command(words)]


def check_told(told: Sequence[Told], disk: Path) -> int:
    """Each command of a ladder ended well, or with one line that names a file of the disk; returns how many did not end
    well."""
    failed = [each for each in told if each.status]
    for status, said in failed:
        assert status == 2 and said.count("error:") == 1 and "Traceback" not in said, said
        found = FULL.search(said)
        assert found is not None and Path(found["path"]).is_relative_to(disk), said
    assert told[-1].status == 0, told[-1].said
    return len(failed)


def run_pipeline(
    job: Job, tmp_path: Path, verbs: dict[str, Sequence[int]], *options: str
) -> tuple[RunFolder, list[int]]:
    """A run on a small disk, each verb with so many pages free, then with room; and how often each failed."""
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    commands, starts = [], []
    for verb in VERBS:
        words = ["pipeline", verb, str(job.config), "--output", f"{disk}/run", *options]
        starts.append(len(commands))
        commands += ladder(words, *verbs.get(verb, ()))
    told = on_small_disk(disk, 40_000, [*commands, Command(["copy", f"{disk}/run", str(kept)])])
    ends = [*starts[1:], len(commands)]
    return RunFolder(str(kept)), [check_told(told[a:b], disk) for a, b in zip(starts, ends, strict=True)]


@pytest.mark.parametrize(
    "verb", [verb if verb == "curate" else pytest.param(verb, marks=pytest.mark.slow) for verb in VERBS]
)
def test_a_stage_on_a_disk_that_fills(job: Job, first: RunFolder, tmp_path: Path, verb: str) -> None:
    """With one more page each time, so that every file of the stage is at some time the one that finds no room."""
    steps = (0, 1, 2, 4, 6, 9, 12, 16, 20, 25, 30, 40, 60)
    run, failed = run_pipeline(job, tmp_path, {verb: steps}, "--workers", "1")
    assert digests(run) == digests(first)
    assert Path(run.funnel).read_bytes() == Path(first.funnel).read_bytes()
    assert failed[VERBS.index(verb)] >= 3 and sum(failed) == failed[VERBS.index(verb)]
    assert not [path for path in Path(run.root).rglob("*") if ".tmp" in path.name or ".spool" in path.name]


@pytest.mark.slow
def test_worker_processes_on_a_disk_that_fills(job: Job, first: RunFolder, tmp_path: Path) -> None:
    steps = (0, 4, 12, 25)
    run, failed = run_pipeline(job, tmp_path, {"fetch": steps, "package": steps}, "--workers", "2")
    assert digests(run) == digests(first)
    assert failed[2] and failed[3]


@pytest.mark.slow
def test_a_list_on_a_disk_that_fills(small_dump: str, wordnet_folder: str, tmp_path: Path) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    (tmp_path / "dump.xml").write_text(small_dump)
    (tmp_path / "own.txt").write_text("a red circle\nsquare\n")
    build = ["build", "--dump", str(tmp_path / "dump.xml"), "--wordnet", wordnet_folder, "--workers", "1"]
    build += ["--size", "50", "--min-word-count", "5", "--min-bigram-count", "5", "--output"]
    others = [["import", str(tmp_path / "own.txt"), "--output"], ["build", "--wordnet", wordnet_folder, "--output"]]
    commands, ends = [], []
    for number, words in enumerate([build, *others]):
        steps = (*range(12), 14, 16, 20, 24, 30, 40) if words is build else (0, 1, 2)
        commands += ladder(["query_builder", *words, f"{disk}/{number}.parquet"], *steps)
        ends.append(len(commands))
    report = ["query_builder", "report", f"{disk}/0.parquet", "--output", f"{disk}/report.html"]
    commands += ladder(report, 0, 1)
    told = on_small_disk(disk, 20_000, [*commands, Command(["copy", str(disk), str(kept)])])
    pieces = zip([0, *ends], [*ends, len(commands)], strict=True)
    assert [check_told(told[a:b], disk) >= least for (a, b), least in zip(pieces, (5, 1, 1, 1), strict=True)] == [
        True
    ] * 4
    for number, words in enumerate([build, *others]):
        here = tmp_path / f"{number}.parquet"
        run = subprocess.run([sys.executable, "-m", "query_builder", *words, str(here)], cwd=ROOT, capture_output=True)
        assert run.returncode == 0
        assert (kept / here.name).read_bytes() == here.read_bytes()
    assert not [path.name for path in kept.rglob("*") if ".tmp" in path.name or path.name == ".lock"]


@pytest.mark.slow
def test_a_training_on_a_disk_that_fills(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    more = ("--steps", "4", "--checkpoint-steps", "2")
    words = ["trainer", *flags(shapes, tiny_model, disk / "model", *more)]
    steps = (0, 1, 2, 4, 8, 40, 80, 120, 200)
    told = on_small_disk(disk, 20_000, [*ladder(words, *steps), Command(["copy", f"{disk}/model", str(kept)])])
    assert check_told(told[:-1], disk) >= 5
    assert not [path.name for path in kept.rglob("*") if ".tmp" in path.name or path.name == "lock"]
    whole = subprocess.run(
        [sys.executable, "-m", "trainer.run", *flags(shapes, tiny_model, tmp_path / "model", *more)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert whole.returncode == 0, whole.stderr
    ours, theirs = weights(kept), weights(tmp_path / "model")
    assert ours.keys() == theirs.keys() and all(ours[name].equal(theirs[name]) for name in theirs)


def programs(job: Job, dump: Path, shapes: Path, model: Path, place: str) -> dict[str, list[str]]:
    """A command of each program that writes below ``place``."""
    return {
        "run": ["pipeline", "run", str(job.config), "--output", f"{place}/run", "--workers", "1"],
        "curate": ["pipeline", "curate", str(job.config), "--output", f"{place}/begun", "--workers", "1"],
        "build": ["query_builder", "build", "--dump", str(dump), "--workers", "1", "--output", f"{place}/q.parquet"],
        "train": ["trainer", *flags(shapes, model, Path(place) / "model", "--steps", "1")],
    }


@pytest.mark.slow
def test_a_disk_that_may_only_be_read(
    job: Job, small_dump: str, shapes: Path, tiny_model: Path, tmp_path: Path
) -> None:
    disk, dump = tmp_path / "disk", tmp_path / "dump.xml"
    dump.write_text(small_dump)
    begin = ["pipeline", "extract", str(job.config), "--output", f"{disk}/begun", "--workers", "1"]
    commands = [Command(begin)]
    for words in programs(job, dump, shapes, tiny_model, str(disk)).values():
        commands += [Command(words, "read-only"), Command(words)]
    told = on_small_disk(disk, 60_000, commands)
    assert told[0].status == 0, told[0].said
    for refused, done in zip(told[1::2], told[2::2], strict=True):
        assert refused.status == 2 and refused.said.count("error:") == 1 and "Traceback" not in refused.said, refused
        assert str(disk) in refused.said and {"folder", "place"} & set(refused.said.split()), refused.said
        assert done.status == 0, done.said


def test_a_folder_without_permission(job: Job, small_dump: str, shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    """Also where the tests are root's, which is then without the right to pass over permissions."""
    place = tmp_path / "closed"
    place.mkdir(mode=0o555)
    before: list[str] = []
    if os.geteuid() == 0:
        before = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
        if not shutil.which("setpriv") or subprocess.run([*before, "touch", str(place / "f")]).returncode == 0:
            pytest.skip("the tests are root's, and there is no setpriv that takes its rights away")
    (tmp_path / "dump.xml").write_text(small_dump)
    environment = {**os.environ, "WEBIMAGETEXT_QUIET": "1"}
    wanted = programs(job, tmp_path / "dump.xml", shapes, tiny_model, str(place))
    for name in ("run", "build", "train"):
        program, *words = wanted[name]
        module = "trainer.run" if program == "trainer" else program
        done = subprocess.run(
            [*before, sys.executable, "-m", module, *words], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
        assert done.stderr.count("error:") == 1 and str(place) in done.stderr
        assert len(done.stderr.splitlines()[-1].strip()) > 10, "the remedy"
    assert list(place.iterdir()) == []
