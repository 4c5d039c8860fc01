"""Each example configuration is run as somebody would who types the values that it asks for, in a folder of their
own."""

import csv
import itertools
import json
import re
import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from docs.cli_reference import ROOT
from pipeline.__main__ import main
from tests.pipeline.read.publisher import Publisher
from tests.pipeline.small_archive import crawl_files, write_archive
from tests.pipeline.small_site import CAPTIONS, build_site, serve

JOBS = ROOT / "pipeline" / "jobs"
EXAMPLES = sorted([*JOBS.glob("*.toml"), *(ROOT / "examples").glob("*.toml")])
# What anybody types who asks a server on their own machine.
OWN_MACHINE = {"allow_loopback": "true", "delay": "0.0"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a list of queries, in which commands are typed; the site lies in it."""
    monkeypatch.chdir(tmp_path)
    names = ["circle", "square", "triangle"]
    columns = {"query": names, "surface": names, "id": pa.array(range(3), pa.uint32()), "sources": [["synset"]] * 3}
    pq.write_table(pa.table(columns), "queries.parquet")
    build_site(tmp_path / "site")
    return tmp_path


def take(name: str, **typed: str) -> None:
    """Copies an example here with some values typed anew; each key must stand there once."""
    [path] = [path for path in EXAMPLES if path.name == name]
    Path(name).write_text(path.read_text())
    type_in(name, **typed)


def type_in(name: str, **typed: str) -> None:
    """Changes values of a configuration that lies here."""
    text = Path(name).read_text()
    for key, value in typed.items():
        text, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert found == 1, f"{name}: {key} stands there {found} times"
    Path(name).write_text(text)


def run(name: str) -> dict[str, int]:
    """Runs the configuration; the rows that came out of every step."""
    assert main(["run", name, "--output", "my-run", "--workers", "1"]) == 0
    steps = json.loads(Path("my-run/funnel.json").read_text())["steps"]
    assert all(step["unaccounted"] == 0 for step in steps)
    shards = sum(pq.read_metadata(path).num_rows for side in ("shards", "holdout") for path in shards_of(side))
    rows = {step["name"]: step["rows_out"] for step in steps}
    assert shards == rows["package"]
    return rows


def shards_of(side: str) -> list[Path]:
    return [path for path in Path("my-run", side).glob("*.parquet") if not path.name.startswith("_")]


def test_own_site(folder: Path) -> None:
    with serve(folder / "site") as site:
        assert main(["init", "site", "--inputs", site.url, "--contact", "me@example.org", "--size", "50"]) == 0
        type_in("run.toml", **OWN_MACHINE)
        rows = run("run.toml")
    assert (rows["crawl"], rows["package"]) == (7, len(CAPTIONS))
    assert not [path for path in site.asked if path.startswith("/private/")]


def test_own_site_without_a_contact(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it lies there it asks nobody."""
    take("own_site.toml")
    assert main(["run", "own_site.toml", "--output", "my-run"]) == 2
    assert "contact" in capsys.readouterr().err


def write_list(address: str, *names: str) -> None:
    with open("list.csv", "w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(names)
        rows.writerows([f"{address}images/{index:03}.png", caption] for index, caption in enumerate(CAPTIONS))


def test_url_list(folder: Path) -> None:
    with serve(folder / "site") as site:
        write_list(site.url, "url", "caption")
        take("url_list.toml", detector='"off"', **OWN_MACHINE)
        assert run("url_list.toml")["package"] == len(CAPTIONS)


def test_url_list_with_columns_of_ones_own_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a first call lacked is typed, and the second one goes on: nothing that was not asked counts as answered."""
    with serve(folder / "site") as site:
        write_list(site.url, "link", "what it shows")
        take("url_list.toml")
        assert main(["run", "url_list.toml", "--output", "my-run"]) == 2
        assert "set extract.url_column to one of: link, what it shows" in capsys.readouterr().err
        columns = {"url_column": '"link"', "text_columns": '["what it shows"]'}
        take("url_list.toml", **columns)
        main(["run", "url_list.toml", "--output", "my-run", "--workers", "1"])
        assert not site.asked  # this machine is allowed by name alone
        take("url_list.toml", **columns, **OWN_MACHINE)
        assert run("url_list.toml")["package"] == len(CAPTIONS)


def test_warc(folder: Path) -> None:
    """Neither a contact nor a server is needed where the archive holds all its pictures."""
    write_archive(folder / "site", folder / "archive" / "site.warc.gz")
    take("warc.toml", detector='"off"')
    assert run("warc.toml")["package"] == len(CAPTIONS) + 1  # the archive has the private page too


def test_common_crawl(folder: Path) -> None:
    """The archive's server stands on loopback, and so do the sites that the crawl has seen."""
    crawl = tomllib.loads((JOBS / "common_crawl.toml").read_text())["extract"]["inputs"][0]
    with serve(folder / "site") as site:
        publisher = Publisher(crawl_files(folder / "site", site.url, crawl))
        try:
            loopback = '""\nallow_loopback = true'
            take("common_crawl.toml", path_prefix=f'"{publisher.base}"', sample="1.0", contact=loopback, delay="0.0")
            rows = run("common_crawl.toml")
        finally:
            publisher.server.shutdown()
            publisher.server.server_close()
    assert rows["extract"] == len(CAPTIONS) + 2  # and an icon and one that is gone, with the same texts on every page
    assert rows["package"] == 6  # shapes on fields: pictures that differ in colour alone are near duplicates


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_key_is_explained(path: Path) -> None:
    """A comment stands above each key but those that share their neighbour's."""
    lines = path.read_text().splitlines()
    assert f"run {path.name} --output my-run" in lines[1]
    for before, line in itertools.pairwise(lines):
        if re.match(r"\w+ = ", line) and not line.startswith(("source", "samples_per_shard", "concurrency")):
            assert before.startswith("#") or re.match(r"\w+ = ", before), f"{path.name}: {line}"


def test_own_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part drops what it should, among others as in a list that repeats a text, and nothing else."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    with serve(folder / "site") as site:
        with open("list.txt", "w", newline="") as stream:
            rows = csv.writer(stream, delimiter=";")
            rows.writerow(["url", "caption"])
            rows.writerows([f"{site.url}images/{index:03}.png", caption] for index, caption in enumerate(CAPTIONS))
            rows.writerow([f"{site.url}images/000.png?again", CAPTIONS[0].upper()])
            rows.writerow([f"{site.url}images/001.png?loud", f"{CAPTIONS[1]}, really!"])
        take("own_parts.toml", **OWN_MACHINE)
        rows_out = run("own_parts.toml")
    steps = {step["name"]: step for step in json.loads(Path("my-run/funnel.json").read_text())["steps"]}
    rejects = steps["match"]["rejects"]
    assert rejects["same_text"] == 1 and rejects["exclamation"] == 1
    assert rows_out["package"] == len(CAPTIONS) - rejects.get("other_language", 0)


def test_a_rule_on_pictures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    from own_parts import landscape_only  # type: ignore[import-not-found]

    batch = pa.RecordBatch.from_pydict({"original_width": [3, 2, 2, None], "original_height": [2, 2, 3, 3]})
    assert landscape_only(batch).to_pylist() == [None, None, "upright", None]
