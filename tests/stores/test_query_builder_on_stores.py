"""A query list built from a dump, page views and WordNet on an object store, and written there."""

import bz2
from pathlib import Path

import pytest

from query_builder.config import BuildConfig
from query_builder.schema import candidates_path
from query_builder.sources.download import download_all
from tests.query_builder.conftest import STORY, dump, page
from tests.stores.commands import query_builder
from tests.stores.conftest import QUIET
from tests.stores.servers import Store
from webimagetext import files
from webimagetext.errors import UserError

pytestmark = QUIET

SYNSETS = {
    "data.noun": "00000001 03 n 01 dog 0 000 | an animal\n",
    "index.noun": "dog n 1 0 1 0 00000001\n",
    **{f"{kind}.{part}": "" for kind in ("data", "index") for part in ("verb", "adj", "adv")},
}


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the three sources, and another one to work in."""
    folder = tmp_path / "inputs"
    (folder / "wordnet" / "dict").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    pages = [page(f"Story {number}", STORY + f"Number {number} of the stories.") for number in range(40)]
    (folder / "dump.xml.bz2").write_bytes(bz2.compress(dump(pages).encode()))
    (folder / "views.bz2").write_bytes(
        bz2.compress(
            b"".join(b"en.wikipedia Story_%d 1 desktop %d A1\n" % (number, 100 + number) for number in range(40))
        )
    )
    for name, text in SYNSETS.items():
        (folder / "wordnet" / "dict" / name).write_text(text)
    return folder


def build(folder: str, output: str, *more: str) -> int:
    words = [
        "build",
        "--dump",
        f"{folder}/dump.xml.bz2",
        "--pageviews",
        f"{folder}/views.bz2",
        "--wordnet",
        f"{folder}/wordnet",
    ]
    words += ["--output", output, "--size", "50", "--min-word-count", "5", "--min-bigram-count", "5", "--workers", "1"]
    return query_builder([*words, *more])


@pytest.mark.parametrize("store", ["s3", pytest.param("gs", marks=pytest.mark.slow)], indirect=True)
def test_the_same_list_as_on_disk(store: Store, bucket: str, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in inputs.rglob("*"):
        if path.is_file():
            with files.write_atomic(f"{bucket}/in/{path.relative_to(inputs)}") as stream:
                stream.write(path.read_bytes())
    here, there = str(inputs.parent / "queries.parquet"), f"{bucket}/lists/queries.parquet"
    assert build(str(inputs), here) == 0
    assert build(f"{bucket}/in", there, "--keep-work") == 0
    for name in (lambda url: url, candidates_path):
        assert files.read(name(there)) == files.read(name(here)) != None  # noqa: E711
    # The counts lie in the current folder, so that the same command finds them after a kill.
    assert (Path.cwd() / "queries.parquet.work").is_dir()
    capsys.readouterr()
    assert build(f"{bucket}/in", there) == 0
    assert "up to date" in capsys.readouterr().out
    assert query_builder(["inspect", there]) == 0
    assert query_builder(["diff", here, there]) == 0
    assert query_builder(["report", there, "--output", f"{bucket}/lists/queries.html"]) == 0
    assert (files.read(f"{bucket}/lists/queries.html") or b"").startswith(b"<!doctype html>")


def test_what_needs_a_local_disk_says_so(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(str(inputs), "queries.parquet", "--work", "s3://bucket/work") == 2
    assert "intermediate counts need a local disk" in capsys.readouterr().err
    with pytest.raises(UserError, match="grows on a local disk"):
        download_all(BuildConfig(download="enwiki-20260101", download_folder="gs://bucket/downloads"))
