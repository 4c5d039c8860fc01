"""Damage to any kind of file of an interrupted build's work folder: the same command counts that part anew, and the
list has the same bytes."""

import bz2
import fnmatch
import re
import shutil
from pathlib import Path

import pytest

from query_builder.build import build
from query_builder.config import BuildConfig
from tests.faults.outcomes import DAMAGES, damaged, kinds_of_row, rows_of
from tests.query_builder.conftest import STORY, dump, page

TABLE = rows_of("In the query builder's work folder")
PATTERNS = {pattern: row for row in TABLE for pattern in kinds_of_row(row)}


def kind_of(place: str) -> str:
    """A file's place without numbers and hashes."""
    return re.sub(r"(?<![a-z])[0-9a-f]*\d[0-9a-f]*", "N", place)


class Made:
    """A finished build, its work folder kept, and what it gave."""

    def __init__(self, folder: Path, wordnet: str) -> None:
        pages = [
            page(f"Story {n}", f"{STORY} Number {n % 7} of the Café stories, told in Los Angeles.") for n in range(60)
        ]
        (folder / "dump.xml.bz2").write_bytes(bz2.compress(dump(pages).encode()))
        rows = "".join(f"en.wikipedia Story_{n} {n} desktop {n + 5} A\n" for n in range(60))
        (folder / "views").write_text(rows)
        self.config = BuildConfig(
            dump=(str(folder / "dump.xml.bz2"),),
            pageviews=(str(folder / "views"),),
            wordnet=wordnet,
            output=str(folder / "queries.parquet"),
            size=300,
            min_word_count=10,
            min_bigram_count=10,
            min_pmi=1.0,
            min_page_views=1,
            workers=1,
            keep_work=True,
        )
        self.list = folder / "queries.parquet"
        self.work = folder / "queries.parquet.work"
        build(self.config)
        self.whole = self.list.read_bytes()
        self.kept = folder / "kept"
        shutil.copytree(self.work, self.kept)

    def again(self) -> bytes:
        """What the same command gives from the work folder as it is now."""
        self.list.unlink()
        build(self.config)
        return self.list.read_bytes()

    def kinds(self) -> dict[str, str]:
        """One file of each kind, by its kind."""
        found: dict[str, str] = {}
        for path in sorted(self.kept.rglob("*")):
            if path.is_file():
                found.setdefault(kind_of(str(path.relative_to(self.kept))), str(path.relative_to(self.kept)))
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, wordnet_folder: str) -> Made:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBIMAGETEXT_QUIET", "1")
        return Made(tmp_path_factory.mktemp("build"), wordnet_folder)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")


def row_of(kind: str) -> str:
    rows = {row for pattern, row in PATTERNS.items() if fnmatch.fnmatchcase(kind, pattern)}
    assert len(rows) == 1, f"{kind}: {rows or 'no row of the table'}"
    return rows.pop()


def test_every_kind_of_file_has_a_row(made: Made) -> None:
    assert {row_of(kind) for kind in made.kinds()} == set(TABLE)


# What every build writes anew, and sums of the inputs, which are simply taken once more.
UNTOLD = ("N/checksums/N", "N/plan.json", "N/merge-N/wanted.npy", "N/merge-N/pair_words.npz")


def heal(made: Made, kind: str, name: str, form: bytes | None, capsys: pytest.CaptureFixture[str]) -> None:
    """The list and the file are made anew as they were; what is damaged is named."""
    path, content = made.work / name, (made.kept / name).read_bytes()
    path.unlink()
    if form is not None:
        path.write_bytes(form)
    capsys.readouterr()
    assert made.again() == made.whole, name
    assert path.read_bytes() == content, name
    if form is not None and kind not in UNTOLD:
        error = capsys.readouterr().err
        assert any(f"{place}: is damaged: it is counted anew" in error for place in (path, *path.parents)), name


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_of_each_kind(damage: str, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    for kind, name in made.kinds().items():
        assert TABLE[row_of(kind)][damage] == {"healed"}
        heal(made, kind, name, next(damaged((made.kept / name).read_bytes(), damage)), capsys)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_any_place_of_each_kind(damage: str, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    for kind, name in made.kinds().items():
        for form in damaged((made.kept / name).read_bytes(), damage):
            heal(made, kind, name, form, capsys)
