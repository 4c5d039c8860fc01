"""What can be known to be wrong is told before anything is written or asked, all of it at once."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.checks import check
from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import mark_complete, write_manifest
from pipeline.keeping.space import guess
from pipeline.tables.schema import SELECTED
from pipeline.tables.sink import write_part
from tests.pipeline.small_site import Site, serve
from webimagetext.errors import UserError
from webimagetext.settings import from_dict


def write_queries(path: Path, names: tuple[str, ...] = ("circle", "square")) -> None:
    ids = pa.array(range(len(names)), pa.uint32())
    pq.write_table(pa.table({"query": list(names), "surface": list(names), "id": ids, "sources": [["list"]] * 2}), path)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "site").mkdir()
    with serve(tmp_path / "site") as site:
        yield site


class Trial:
    """A configuration that would do, the changes to it, and what the command says."""

    def __init__(self, folder: Path, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.site, self.capsys = folder, site, capsys
        self.run = folder / "run"
        write_queries(folder / "queries.parquet")
        (folder / "list.csv").write_text(f"url,text\n{site.url}1.png,a red circle\n")

    def told(self, toml: str, verb: str = "run", *options: str) -> str:
        """The error of a run that nobody was asked for and that left nothing behind."""
        config = self.folder / "run.toml"
        queries = "" if "queries =" in toml else f'queries = "{self.folder}/queries.parquet"\n'
        config.write_text(queries + toml)
        before = sorted(self.folder.rglob("*"))
        assert main([verb, str(config), "--output", str(self.run), *options]) == 2
        assert self.site.asked == []
        assert sorted(self.folder.rglob("*")) == before
        said = self.capsys.readouterr().err
        assert "Traceback" not in said
        return said

    def pages(self, more: str = "") -> str:
        return f'[extract]\nseeds = ["{self.site.url}"]\n{more}[http]\nallow_loopback = true\n'

    def list(self, more: str = "") -> str:
        return f'[extract]\nsource = "url_list"\ninputs = ["{self.folder}/list.csv"]\n{more}'


@pytest.fixture
def trial(tmp_path: Path, site: Site, capsys: pytest.CaptureFixture[str]) -> Trial:
    return Trial(tmp_path, site, capsys)


def test_all_findings_come_together(trial: Trial) -> None:
    said = trial.told(
        f'queries = "{trial.folder}/none.parquet"\nearlier_runs = ["{trial.folder}/older"]\n'
        '[extract]\nseeds = ["https://example.org/"]\n'
        f'[text]\nblocked_words = "{trial.folder}/blocked.txt"\nlanguage = "xx"\n'
        '[package]\nevaluation_sets = ["/nowhere/pictures"]\n'
        '[package.hooks]\nedits = ["no_such_module:blur"]\nclip_checkpoint = "/nowhere/clip.pt"\n'
    )
    assert said.startswith("error: 8 things have to be mended before anything is done")
    for words in ("none.parquet: no such query list", "older: no finished run", "http.contact", "example.org"):
        assert words in said
    for words in ("blocked.txt: no such file", "'xx' is not known", "/nowhere/pictures", "no_such_module", "clip.pt"):
        assert words in said


@pytest.mark.parametrize(
    ("verb", "stage", "makes"),
    [
        ("rules", "extract", "candidates"),
        ("curate", "extract", "candidates"),
        ("fetch", "curate", "selected"),
        ("package", "curate", "selected"),
        ("report", "package", "shards"),
    ],
)
def test_a_verb_names_the_stage_that_is_missing(trial: Trial, verb: str, stage: str, makes: str) -> None:
    said = trial.told(trial.pages(), verb)
    assert "there is no run here" in said
    assert f"{makes}/, which `pipeline {stage}` makes" in said
    # One that was begun is told apart.
    trial.run.mkdir()
    (trial.run / "config.toml").write_text("")
    assert f"{makes}/ is not finished" in trial.told(trial.pages(), verb)


def test_packaging_needs_the_images_of_a_curated_run(trial: Trial) -> None:
    (trial.run / "selected").mkdir(parents=True)
    (trial.run / "config.toml").write_text("")
    write_manifest(str(trial.run / "reserve"), [])
    mark_complete(str(trial.run / "selected"), "")
    assert "images/, which `pipeline fetch` makes" in trial.told(trial.pages(), "package")


def test_the_run_folder_is_no_file(trial: Trial) -> None:
    trial.run.write_text("")
    assert "run is a file" in trial.told(trial.pages())
    assert "run is a file" in trial.told(trial.pages(), "run", "--output", f"{trial.run}/below")


def test_the_query_list_can_be_matched(trial: Trial) -> None:
    write_queries(trial.folder / "queries.parquet", ("circle", "Two  Words"))
    assert "'Two  Words', is not in normal form ('two words')" in trial.told(trial.pages())
    pq.write_table(pa.table({"price": ["circle"]}), trial.folder / "queries.parquet")
    assert "no column with a usual name" in trial.told(trial.pages())


def test_inputs_are_there_and_of_their_kind(trial: Trial) -> None:
    assert "there are no seeds" in trial.told('[http]\ncontact = "me@example.org"\n')
    assert "no file matches" in trial.told('[extract]\nsource = "warc"\ninputs = ["/nowhere/*.warc.gz"]\n')
    assert "/nowhere/a.warc: no such file" in trial.told('[extract]\nsource = "warc"\ninputs = ["/nowhere/a.warc"]\n')
    assert "no file for extract.source = 'warc'" in trial.told(trial.list().replace("url_list", "warc"))
    assert "no file for extract.source = 'url_list'" in trial.told(trial.list().replace("list.csv", "list.warc.gz"))


@pytest.mark.parametrize("field", ["url_column", "page_column", "text_columns"])
def test_the_columns_of_a_list_are_there(trial: Trial, field: str) -> None:
    value = '["text", "ttle"]' if field == "text_columns" else '"ttle"'
    assert (said := trial.told(trial.list(f"{field} = {value}\n"))) and "list.csv: " in said
    assert f"set extract.{field} to " in said and "url, text" in said


def test_a_list_of_public_images_needs_a_contact_and_one_of_this_machine_does_not(trial: Trial) -> None:
    loopback = RunFolder(str(trial.run))
    values = {"queries": f"{trial.folder}/queries.parquet"}
    listed = {"source": "url_list", "inputs": [f"{trial.folder}/list.csv"]}
    check("run", loopback, from_dict(RunConfig, {**values, "extract": listed}, where="test"))
    with open(trial.folder / "list.csv", "a") as stream:
        stream.write("https://pictures.example/2.png,a blue square\n")
    assert "http.contact: is not set, and pictures.example is going to be asked" in trial.told(trial.list())
    contact = {"http": {"contact": "me@example.org"}}
    check("run", loopback, from_dict(RunConfig, {**values, **contact, "extract": listed}, where="test"))
    # Extracting from a list asks nobody.
    check("extract", loopback, from_dict(RunConfig, {**values, "extract": listed}, where="test"))
    wat = {"source": "wat", "inputs": [f"{trial.folder}/list.wat.gz"]}
    (trial.folder / "list.wat.gz").write_bytes(b"")
    with pytest.raises(UserError, match=r"http\.contact"):
        check("run", loopback, from_dict(RunConfig, {**values, "extract": wat}, where="test"))


@pytest.mark.parametrize(("verb", "folder"), [("fetch", "selected"), ("package", "reserve")])
def test_fetching_alone_needs_a_contact_too(trial: Trial, verb: str, folder: str) -> None:
    trial.run.mkdir()
    (trial.run / "config.toml").write_text("")
    for name, rows in (("selected", 1), ("reserve", folder == "reserve")):
        columns = {field.name: pa.nulls(rows, field.type) for field in SELECTED}
        columns["url"] = pa.array(["https://pictures.example/2.png"] * rows, pa.string())
        table = pa.table(columns, schema=pa.schema([field.with_nullable(True) for field in SELECTED]))
        write_manifest(str(trial.run / name), [write_part(str(trial.run / name), "part-00000.parquet", table)])
        mark_complete(str(trial.run / name), "")
    mark_complete(str(trial.run / "images"), "")
    toml = trial.list() + "[balance]\ntop_up_rounds = 1\n"
    assert "and pictures.example is going to be asked" in trial.told(toml, verb)


def test_certificates_and_optional_packages(trial: Trial) -> None:
    ca_file = trial.folder / "ca.pem"
    assert "ca.pem: no such file" in trial.told(trial.pages() + f'ca_file = "{ca_file}"\n')
    ca_file.write_text("nothing of the kind")
    assert "holds no certificates" in trial.told(trial.pages() + f'ca_file = "{ca_file}"\n')


def test_a_full_disk_is_refused_and_a_small_one_named(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.checks.free_bytes", lambda path: 5_000_000)
    assert "5.0 MB are free there" in trial.told(trial.pages())
    monkeypatch.setattr("pipeline.checks.free_bytes", lambda path: 50_000_000)
    toml = trial.pages("max_pages = 100000\n")
    assert "the tables alone take about 90.0 MB" in trial.told(toml)
    config = RunConfig(queries=f"{trial.folder}/queries.parquet")
    needed = guess(config, []).total
    no_seeds = "[extract]\nseeds = []\n"
    monkeypatch.setattr("pipeline.checks.free_bytes", lambda path: needed - 1)
    assert "note: " in (said := trial.told(no_seeds)) and "free" in said
    monkeypatch.setattr("pipeline.checks.free_bytes", lambda path: needed)
    assert "free" not in trial.told(no_seeds)


def test_the_guess_follows_inputs_and_balance(tmp_path: Path) -> None:
    write_queries(tmp_path / "queries.parquet")
    paths = [str(tmp_path / f"{name}.parquet") for name in "abcd"]
    for path in paths:
        pq.write_table(pa.table({"url": ["u"] * 1000}), path)
    values = {"queries": str(tmp_path / "queries.parquet"), "extract": {"source": "url_list", "inputs": paths}}
    plain = guess(from_dict(RunConfig, values, where="test"), paths)
    assert plain.tables == 4000 * 300 and plain.pictures == 4000 * 2 * 20_000
    few = guess(from_dict(RunConfig, {**values, "balance": {"t": 10}}, where="test"), paths)
    assert few.pictures == 2 * 10 * 2 * 20_000 and few.tables == plain.tables
    large = guess(from_dict(RunConfig, {**values, "image": {"image_size": 512}}, where="test"), paths)
    assert large.pictures == 4 * plain.pictures
    wanted = guess(
        from_dict(RunConfig, {**values, "balance": {"wanted_total": 100, "expected_loss": 0.5}}, where="test"), paths
    )
    assert wanted.pictures == 200 * 2 * 20_000
