"""Damage to any kind of file of a finished run: noticed by ``check``, told in a line, and made anew by one command.

The kinds are those that are found in the folders of two runs, of a crawl and of an archive with all that such a run can
have, so that a new one is covered by itself; docs/reliability.md has a row for each, and says what happens.
"""

import fnmatch
import gzip
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from tests.faults.outcomes import kinds_of_row, rows_of
from tests.pipeline.read.archive_records import http_block, warc_record
from tests.pipeline.small_job import Job, digests

TABLE = rows_of("In a run folder")
# A lock is held while a command runs, and what lies below a name with a point is no run's.
NEVER_LEFT = {".lock"}


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
OFTEN = ("flip", "delete")  # the others take as long
COLUMNS = {"flip": "flipped", "flip_near_end": "flipped", "cut": "cut", "empty": "empty", "delete": "missing"}


@dataclass(frozen=True)
class Finished:
    """A run, its configuration, and one file of each kind in it, by the kind: its place without numbers and hashes."""

    config: Path
    run: RunFolder
    kinds: dict[str, str]


def kinds(run: RunFolder) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(Path(run.root).rglob("*")):
        if path.is_file() and path.name not in NEVER_LEFT:
            place = str(path.relative_to(run.root))
            found.setdefault(re.sub(r"(?<![a-z])[0-9a-f]*\d[0-9a-f]*", "N", place), place)
    return found


def is_missed(name: str, fault: str) -> bool:
    """Whether ``check`` has to say that a file is damaged: not of a step without its marker, which is not finished, nor
    of a list that every command makes of its texts where it is not there."""
    marker = name.count("/") == 1 and name.endswith("_SUCCESS")
    return fault != "delete" or not (marker or name == "own_queries.parquet")


def row_of(kind: str) -> dict[str, set[str]]:
    """The row of the table for a kind of file."""
    rows = [row for row in TABLE if any(fnmatch.fnmatchcase(kind, pattern) for pattern in kinds_of_row(row))]
    assert len(rows) == 1, f"docs/reliability.md has {len(rows)} rows for {kind}"
    return TABLE[rows[0]]


def check(run: RunFolder, *options: str) -> int:
    return main(["check", run.root, "--no-readers", *options])


@pytest.fixture(scope="module")
def crawled(job: Job, first: RunFolder) -> Finished:
    return Finished(job.config, first, kinds(first))


@pytest.fixture(scope="module")
def archived(job: Job, crawled: Finished, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run on an archive of the site, with texts of one's own for queries and a set of evaluation pictures; the kinds
    of files that the crawl does not have."""
    folder = tmp_path_factory.mktemp("archived")
    site, stream = job.folder / "site", b""
    for file in sorted(site.rglob("*")):
        if file.suffix in (".html", ".png"):
            media = "text/html" if file.suffix == ".html" else "image/png"
            block = http_block(file.read_bytes(), media)
            stream += gzip.compress(warc_record("response", f"http://h.example/{file.relative_to(site)}", block))
    gone = warc_record("response", "http://h.example/images/dead.png", http_block(b"", status="404 Not Found"))
    (folder / "site.warc.gz").write_bytes(stream + gzip.compress(gone))
    (folder / "texts.txt").write_text("circle\nsquare\ntriangle\npurple\n")
    (folder / "known").mkdir()
    shutil.copyfile(site / "images/000.png", folder / "known/0.png")
    config = folder / "run.toml"
    config.write_text(
        f'queries = "{folder}/texts.txt"\n[extract]\nsource = "warc"\ninputs = ["{folder}/site.warc.gz"]\n'
        '[text]\ndetector = "off"\n[balance]\nt = 5\n'
        f'[package]\nsamples_per_shard = 6\nholdout = 0.25\nevaluation_sets = ["{folder}/known"]\n'
    )
    run = RunFolder(str(folder / "run"))
    assert main(["run", str(config), "--output", run.root]) == 0
    return Finished(config, run, {kind: name for kind, name in kinds(run).items() if kind not in crawled.kinds})


@pytest.fixture
def copies(job: Job) -> Iterator[Callable[[RunFolder], RunFolder]]:
    """Gives copies of a finished run under one name, one after the other."""
    place = job.folder / "damaged"

    def copy(run: RunFolder) -> RunFolder:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(run.root, place)
        return RunFolder(str(place))

    yield copy
    shutil.rmtree(place, ignore_errors=True)


Copies = Callable[[RunFolder], RunFolder]


def test_a_whole_run_is_whole(crawled: Finished, archived: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    for whole in (crawled, archived):
        assert main(["check", whole.run.root]) == 0
        assert "all as it was written" in capsys.readouterr().out


def test_every_kind_of_file_has_a_row(crawled: Finished, archived: Finished) -> None:
    found = {**crawled.kinds, **archived.kinds}
    assert len(crawled.kinds) > 80 and len(archived.kinds) > 10
    used = [row_of(kind) for kind in found]
    assert [kind for kind, row in TABLE.items() if row not in used] == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        *(pytest.param("crawled", fault, marks=[] if fault in OFTEN else pytest.mark.slow) for fault in FAULTS),
        *(("archived", fault) for fault in FAULTS),
    ],
)
def test_every_kind_of_file_is_checked(
    source: str, fault: str, copies: Copies, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    whole: Finished = request.getfixturevalue(source)
    run, unnoticed = copies(whole.run), []
    for kind, name in whole.kinds.items():
        if row_of(kind)[COLUMNS[fault]] == {"no matter"}:
            continue
        path = Path(run.root, name)
        FAULTS[fault](path)
        status, told = check(run, "--no-note", "--sample", "1"), capsys.readouterr().out
        if not (status == 2 and f"damaged: {path}: " in told) and is_missed(name, fault):
            unnoticed.append(kind)
        if not is_missed(name, fault) and name.endswith("_SUCCESS"):
            assert f"note: {name.removesuffix('_SUCCESS')} is not finished" in told
        shutil.copyfile(Path(whole.run.root, name), path)
    assert not unnoticed
    assert check(run) == 0


def heals(whole: Finished, run: RunFolder, name: str, fault: str, *, matters: bool = True) -> str:
    """What is wrong with how a damaged file is made anew; "" where nothing is. One that does not matter need not be
    noticed."""
    FAULTS[fault](Path(run.root, name))
    if matters and check(run, "--sample", "1") != 2 and is_missed(name, fault):
        return "not noticed"
    if main(["run", str(whole.config), "--output", run.root]) != 0:
        return "not made anew"
    if check(run, "--sample", "1") != 0:
        return "still damaged"
    now, before = digests(run), digests(whole.run)
    if name.startswith("images/"):  # a part of the store has another name then, by which the joined pairs refer to it
        del now["joined"], before["joined"]
    return "" if now == before else f"made anew otherwise: {[each for each in now if now[each] != before[each]]}"


QUICK = [
    ("matched/part-00000.parquet", "flip"),
    ("matched/counts.npy", "cut"),
    ("rejects/match/_MANIFEST", "delete"),
    ("counts.parquet", "flip_near_end"),
    ("shards/00000.tar", "flip"),
    ("balance/plan.npz", "empty"),
    ("joined/_STARTED", "flip"),
    ("config.toml", "cut"),
]


@pytest.mark.parametrize(("name", "fault"), QUICK)
def test_a_damaged_file_is_made_anew(name: str, fault: str, crawled: Finished, copies: Copies) -> None:
    matters = not name.endswith(("_STARTED", "config.toml"))
    assert heals(crawled, copies(crawled.run), name, fault, matters=matters) == ""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("source", ["crawled", "archived"])
def test_every_kind_of_file_is_made_anew(
    source: str, fault: str, copies: Copies, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    whole: Finished = request.getfixturevalue(source)
    failed = []
    for kind, name in whole.kinds.items():
        words = row_of(kind)[COLUMNS[fault]]
        assert words <= {"healed", "no matter"}
        if wrong := heals(whole, copies(whole.run), name, fault, matters=words == {"healed"}):
            failed.append(f"{kind}: {wrong}: {capsys.readouterr().err[-500:]}")
    assert not failed, "\n\n".join(failed)


def parts(folder: str, ending: str) -> list[Path]:
    return sorted(Path(folder).glob(f"*{ending}"), key=lambda path: -path.stat().st_size)


def test_a_reader_notices_and_the_same_command_goes_on(
    job: Job, first: RunFolder, copies: Copies, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("matched/part-00000.parquet", "matched/counts.npy"):
        run = copies(first)
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
    fault: str, job: Job, first: RunFolder, copies: Copies, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copies(first)
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
    fault: str, job: Job, first: RunFolder, copies: Copies, capsys: pytest.CaptureFixture[str]
) -> None:
    """All markers of a run at once, as after a power cut; none is a traceback, and all is as before in the end."""
    run = copies(first)
    torn = [path for path in Path(run.root).rglob("_*") if path.name in ("_SUCCESS", "_STARTED", "_CURRENT")]
    assert len(torn) > 10
    for path in torn:
        FAULTS[fault](path)
    assert main(["run", str(job.config), "--output", run.root]) == 0
    assert digests(run) == digests(first)
    assert check(run) == 0
