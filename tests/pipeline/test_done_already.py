"""What decides whether a step is done: the settings that decide its bytes, what its inputs hold, and nothing else."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.fetch.journals import left_journals
from pipeline.fetch.left import adopt_parts
from pipeline.fetch.part import facts_of, open_spool
from pipeline.image.config import ImageConfig
from pipeline.image.process import Rejected
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import entry_of_table, read_manifest, read_table, rows_in, write_manifest
from pipeline.net.config import HttpConfig
from pipeline.tables.schema import CANDIDATES, IMAGES, REJECTS
from tests.pipeline import small_site
from tests.pipeline.small_job import Job, digests


def _rules_total(capsys: pytest.CaptureFixture[str]) -> str:
    return next(line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("repeated_text"))


@pytest.mark.parametrize(
    "options",
    [
        ("--http.delay", "0.01"),
        ("--http.contact", "you@example.org"),
        ("--http.concurrency", "3", "--http.concurrency-per-host", "1", "--http.user-agent", "another"),
        ("--image.threads", "2", "--http.concurrent-hosts", "3", "--fetch.round-seconds", "60"),
    ],
)
def test_pace_and_identity_decide_nothing(
    job: Job, first: RunFolder, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    run = job.copy(first, f"pace-{options[0]}")
    asked = len(job.site.asked)
    job.run(f"pace-{options[0]}", *options)
    assert digests(run) == digests(first)
    assert [path for path in job.site.asked[asked:] if path.startswith("/images")] == []
    assert capsys.readouterr().err.count("[1/8] extract candidate pairs: finished before, skipped") == 1
    if "--http.user-agent" not in options:  # a refusal is looked at again under another name
        assert len(job.site.asked) == asked


def test_a_crawl_is_kept_until_its_successor_is_whole(job: Job, first: RunFolder) -> None:
    run = job.copy(first, "unreachable")
    before, asked = read_table(run.candidates, CANDIDATES), len(job.site.asked)
    words = ["extract", str(job.config), "--output", run.root]
    assert main([*words, "--extract.seeds", "http://127.0.0.1:9/"]) == 2
    assert read_table(run.candidates, CANDIDATES).equals(before)
    assert main(words) == 0
    assert read_table(run.candidates, CANDIDATES).equals(before)
    assert len(job.site.asked) == asked
    # A successor that is whole takes the place of what was there.
    assert main([*words, "--extract.max-pages", "4"]) == 0
    assert rows_in(run.candidates) < before.num_rows
    assert len([path for path in Path(run.crawl).iterdir() if path.is_dir()]) == 1


def test_words_added_to_a_file_that_a_setting_names(job: Job, first: RunFolder) -> None:
    name, words = "blocked", job.folder / "blocked.txt"
    job.copy(first, name)
    words.write_text("nothing like this\n")
    run = job.run(name, "--text.blocked-words", str(words))
    before = rows_in(run.matched)
    words.write_text("nothing like this\nred\n")
    job.run(name, "--text.blocked-words", str(words))
    dropped = [row for row in read_table(run.rejects("match"), REJECTS).to_pylist() if row["reason"] == "blocked_word"]
    assert len(dropped) > 0 and rows_in(run.matched) == before - len(dropped)
    # The same words in a file of another name are the same setting.
    again = digests(run)
    job.run(name, "--text.blocked-words", str(words.rename(job.folder / "moved.txt")))
    assert digests(run) == again


def test_the_code_of_a_hook_decides(job: Job, first: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    name, module = "hooked", job.folder / "own_scores.py"
    job.copy(first, name)
    monkeypatch.syspath_prepend(str(job.folder))
    options = ("--package.hooks.scores", "own", "own_scores:score", "--package.hooks.minimum", "own", "0.5")
    module.write_text("def score(pictures, captions):\n    return [1.0 for _ in pictures]\n")
    run = job.run(name, *options)
    before = rows_in(run.joined)
    module.write_text("def score(pictures, captions):\n    return [float('red' in text) for text in captions]\n")
    monkeypatch.delitem(__import__("sys").modules, "own_scores", raising=False)
    job.run(name, *options)
    assert 0 < rows_in(run.joined) < before


def test_a_rule_is_tried_with_the_settings_of_today(
    job: Job, first: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table of repeated captions was made under other settings; the answer must not be its."""
    pages = pq.read_table(next(Path(first.candidates).glob("part-*.parquet")))
    run = job.copy(first, "repeats")
    part = next(Path(run.candidates).glob("part-*.parquet"))
    twice = pages.slice(0, 1).set_column(0, pages.schema.field(0), pa.array([7], pa.uint64()))
    pq.write_table(pa.concat_tables([pages, twice]), part)
    write_manifest(run.candidates, [entry_of_table(run.candidates, part.name)])
    capsys.readouterr()
    found = []
    for limit in ("1", "10"):
        assert main(["rules", str(job.config), "--output", run.root, "--text.max-repeats", limit]) == 0
        found.append(_rules_total(capsys).split()[1])
    assert found == ["1", "0"]


def _list_job(folder: Path, names: list[str], site: small_site.Site, more: str = "") -> Callable[..., RunFolder]:
    """A run on lists ``names`` of a folder; gives the function that runs it."""
    pq.write_table(
        pa.table({"query": ["red"], "surface": ["red"], "id": pa.array([0], pa.uint32()), "sources": [["word"]]}),
        folder / "queries.parquet",
    )
    config = folder / "list.toml"
    config.write_text(
        f'queries = "{folder}/queries.parquet"\n[extract]\nsource = "url_list"\ninputs = ["{folder}/lists/*.tsv"]\n'
        f"[http]\ndelay = 0.0\nretries = 0\n{more}[package]\nsamples_per_shard = 6\n"
    )

    def run(verb: str, *options: str, status: tuple[int, ...] = (0,)) -> RunFolder:
        words = ["--output", str(folder / "run"), "--workers", "1", *options]
        assert main([verb, str(config), *words]) in status
        return RunFolder(str(folder / "run"))

    return run


def _write_list(folder: Path, name: str, site: small_site.Site, numbers: range) -> Path:
    path = folder / "lists" / f"{name}.tsv"
    path.parent.mkdir(exist_ok=True)
    pictures = sorted((folder / "site" / "images").iterdir())
    rows = [f"{site.url}images/{pictures[n].name}\ta red thing of number {n}, seen from {name}" for n in numbers]
    path.write_text("url\tcaption\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def site(tmp_path: Path):
    small_site.build_site(tmp_path / "site")
    with small_site.serve(tmp_path / "site") as served:
        yield served


def test_inputs_are_known_by_what_they_hold(tmp_path: Path, site: small_site.Site) -> None:
    """An input can be added, renamed, reordered and taken out: what is new is read, and what is gone is gone."""
    for name, numbers in (("a", range(3)), ("c", range(3, 5))):
        _write_list(tmp_path, name, site, numbers)
    run = _list_job(tmp_path, [], site)
    folder = run("extract")
    assert rows_in(folder.candidates) == 5
    sources = Path(folder.path("sources", "candidates"))
    times = {path.name: path.stat().st_mtime_ns for path in sources.glob("part-*")}
    new = _write_list(tmp_path, "b", site, range(5, 9))
    (tmp_path / "lists/a.tsv").rename(tmp_path / "lists/z.tsv")
    run("extract")
    assert rows_in(folder.candidates) == 9
    kept = {path.name: path.stat().st_mtime_ns for path in sources.glob("part-*")}
    assert times.items() <= kept.items() and len(kept) == 3
    new.unlink()
    run("extract")
    found = read_table(folder.candidates, CANDIDATES).column("caption").to_pylist()
    assert len(found) == 5 and not [text for text in found if "from b" in text]
    assert {path.name for path in sources.glob("part-*")} == set(times)


def test_an_input_that_gives_nothing_is_told(
    tmp_path: Path, site: small_site.Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning names it; one whose rows are all rejects has them in the ledger."""
    _write_list(tmp_path, "a", site, range(3))
    _write_list(tmp_path, "empty", site, range(0))
    (tmp_path / "lists/bad.tsv").write_text("url\tcaption\nnowhere\ta red thing\n")
    run = _list_job(tmp_path, [], site)
    assert rows_in(run("extract").candidates) == 3
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]
    assert len(told) == 1 and "lists/empty.tsv: nothing is in it" in told[0]


def test_a_broken_input_taken_out_hides_no_other(tmp_path: Path, site: small_site.Site) -> None:
    for name, numbers in (("b", range(3)), ("c", range(3, 8))):
        _write_list(tmp_path, name, site, numbers)
    broken = tmp_path / "lists/a.tsv"
    broken.write_bytes(b"neither\tcolumn\nof\tthose\n")
    run = _list_job(tmp_path, [], site)
    with contextlib.suppress(AssertionError):
        run("extract")
    broken.unlink()
    assert rows_in(run("extract").candidates) == 8


def test_what_a_setting_refused_is_open_again_when_it_is_mended(tmp_path: Path, site: small_site.Site) -> None:
    _write_list(tmp_path, "a", site, range(6))
    run = _list_job(tmp_path, [], site, "contact = 'you@example.org'\n")
    with contextlib.suppress(AssertionError):
        run("run")
    folder = RunFolder(str(tmp_path / "run"))
    statuses = read_table(folder.images, IMAGES).column("status").to_pylist()
    assert set(statuses) <= {"forbidden_port", "forbidden_address"} and len(statuses) == 6
    run("run", "--http.allow-loopback", "--http.max-bytes", "300", status=(0, 3))
    pictures = [path for path in site.asked if path.startswith("/images")]
    assert len(pictures) == 6
    run("run", "--http.allow-loopback")
    assert rows_in(folder.joined) == 6
    assert len([path for path in site.asked if path.startswith("/images")]) == 12
    # Nothing is open now, and pace opens nothing.
    run("run", "--http.allow-loopback", "--http.delay", "0.01")
    assert len([path for path in site.asked if path.startswith("/images")]) == 12
    # A signal that binds only now has not been asked for these pictures.
    assert {json.loads(text)["http.binding_signals"][0] for text in _decided(folder, "success")} == {"robots_txt"}


def _decided(run: RunFolder, status: str) -> list[str]:
    rows = read_table(run.images, IMAGES).to_pylist()
    return [row["decided_by"] for row in rows if row["status"] == status]


def test_a_signal_that_binds_anew_opens_what_was_stored_without_it(tmp_path: Path, site: small_site.Site) -> None:
    _write_list(tmp_path, "a", site, range(4))
    run = _list_job(tmp_path, [], site, "allow_loopback = true\n")
    folder = run("run", "--http.binding-signals", "robots_txt")
    assert rows_in(folder.joined) == 4
    asked = len(site.asked)
    run("run", "--http.binding-signals", "robots_txt", "ai_txt")
    assert "/ai.txt" in site.asked[asked:] and len([p for p in site.asked[asked:] if p.startswith("/images")]) == 4
    asked = len(site.asked)
    run("run", "--http.binding-signals", "robots_txt")
    assert site.asked[asked:] == []


def test_stored_pictures_of_an_interrupted_fetch_serve_another_t(job: Job, first: RunFolder) -> None:
    name = "half-fetched"
    run = job.copy(first, name)
    for marker in ("_SUCCESS", "_STARTED"):
        Path(run.images, marker).unlink()
    stored = rows_in(run.images)
    write_manifest(run.images, [])
    asked = len(job.site.asked)
    job.run(name, "--balance.t", "1")
    assert [path for path in job.site.asked[asked:] if path.startswith("/images")] == []
    assert rows_in(run.images) >= stored


def test_a_journal_that_was_left_becomes_a_part(tmp_path: Path) -> None:
    run, image, http = RunFolder(str(tmp_path)), ImageConfig(), HttpConfig()
    write_manifest(run.images, [])
    with open_spool(run.images, "00001-aa", image) as spool:
        for number in range(3):
            spool.add(facts_of(f"http://h/{number}", Rejected("http_404"), http, image), b"")
    assert left_journals(run.images) == ["00001-aa"]
    assert adopt_parts(run, image) == 1
    assert read_table(run.images, IMAGES).column("url").to_pylist() == [f"http://h/{number}" for number in range(3)]
    assert left_journals(run.images) == [] and adopt_parts(run, image) == 0
    parts = read_manifest(run.images)
    assert parts.column("file").to_pylist() == ["00001-aa.parquet", "00001-aa.tar"]
    assert parts.column("rows").to_pylist() == [3, 0]


def test_a_report_states_what_the_steps_stored(job: Job, first: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    run = job.copy(first, "stale")
    words = ["report", str(job.config), "--output", run.root]
    assert main(words) == 0  # the card states the folder's name
    card, config = Path(run.card).read_text(), Path(run.config).read_text()
    assert main([*words, "--http.user-agent", "liar", "--http.delay", "99", "--balance.t", "1"]) == 0
    assert Path(run.card).read_text() == card and Path(run.config).read_text() == config
    assert main(["curate", str(job.config), "--output", run.root, "--balance.t", "1"]) == 0
    capsys.readouterr()
    assert main(["report", str(job.config), "--output", run.root]) == 2
    assert "was made before" in capsys.readouterr().err
    assert Path(run.card).read_text() == card


def test_a_folder_of_an_earlier_version_is_refused_in_one_line(
    job: Job, first: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run = job.copy(first, "older")
    marker = Path(run.candidates, "_SUCCESS")
    made = json.loads(marker.read_text())
    marker.write_text(json.dumps({"fingerprint": made["fingerprint"], "step": made["step"]}))
    before = {path: path.stat().st_mtime_ns for path in Path(run.root).rglob("*") if path.is_file()}
    for verb in ("run", "extract", "curate", "package", "report"):
        assert main([verb, str(job.config), "--output", run.root, "--seed", "8"]) == 2
        error = capsys.readouterr().err
        assert "earlier version" in error and "Traceback" not in error
    assert {path: path.stat().st_mtime_ns for path in Path(run.root).rglob("*") if path.is_file()} == before


def test_a_run_folder_with_brackets_in_its_name(job: Job) -> None:
    run = job.run("run [2]")
    steps = [step["name"] for step in json.loads(Path(run.funnel).read_text())["steps"]]
    assert steps[0] == "crawl"
