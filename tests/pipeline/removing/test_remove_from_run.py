"""Pairs taken out of a finished run: only their shards change, everything agrees afterwards, and nothing brings them
back."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.__main__ import main
from pipeline.audit.check import check_folder
from pipeline.audit.funnel import funnel_steps
from pipeline.audit.queries import read_single
from pipeline.explaining.assemble import explain
from pipeline.explaining.rows import find_rows
from pipeline.explaining.tell import stories_in_words
from pipeline.keeping.folder import RunFolder, key_of
from pipeline.keeping.manifest import iter_batches, read_table
from pipeline.removing.log import removals
from pipeline.removing.shard import without_samples
from pipeline.removing.tombstones import TOMBSTONES
from pipeline.tables.schema import IMAGES, JOINED, REJECTS, SELECTED, SHARD
from pipeline.write.shards import write_shard
from tests.pipeline.small_job import Job
from webimagetext import files


def _files(run: RunFolder) -> dict[str, str]:
    """The digest of every file of a run but those of its log."""
    found = {str(path.relative_to(run.root)): path for path in Path(run.root).rglob("*") if path.is_file()}
    return {name: files.digest(str(path)) for name, path in found.items() if name != ".lock"}


def _rows(run: RunFolder) -> list[dict[str, object]]:
    """The rows of the shards, with the name of their file."""
    tables = ("shards", "holdout")
    batches = [batch for part in tables for batch in iter_batches(run.path(part), SHARD.names)]
    return pa.Table.from_batches(batches, SHARD).to_pylist()


def _list(tmp_path: Path, *entries: str) -> str:
    (tmp_path / "list.txt").write_text("# taken back\n\n" + "\n".join(entries) + "\n")
    return str(tmp_path / "list.txt")


def _whole(run: RunFolder) -> None:
    """All that is written agrees, and the funnel adds up."""
    checked = check_folder(run.root, readers=False, note=False)
    assert checked.findings == []
    assert [step.name for step in funnel_steps(run) if step.unaccounted] == []


def test_one_pair_goes_by_its_key(job: Job, first: RunFolder, tmp_path: Path) -> None:
    run = job.copy(first, "without-one")
    before, rows = _files(run), _rows(run)
    [row] = find_rows(run.shards, key=[str(rows[0]["key"])])
    key, stem = row["key"], row["_file"].removesuffix(".parquet")
    table = read_single(run, run.shortfall, run.joined)
    assert table is not None
    assert main(["remove", run.root, "--keys", _list(tmp_path, key)]) == 0
    after = _files(run)
    changed = {name for name in before if before[name] != after.get(name)}
    in_shards = {name for name in changed if name.startswith(("shards/", "holdout/"))}
    ours = {f"shards/{stem}{ending}" for ending in (".tar", ".parquet", "_stats.json")}
    assert in_shards == ours | {f"shards/{name}" for name in ("_MANIFEST", "_SUCCESS", "sizes.json", "index.json")}
    assert {"report.html", "README.md", "croissant.json", "funnel.json", "shortfall.parquet"} <= changed
    left = _rows(run)
    assert left == [other for other in rows if other["key"] != key]
    _whole(run)

    # The shard is what it would have been, had the pair never been in it.
    stays = [key_of(pair) for pair in read_table(run.joined, JOINED, ["pair_id"]).column("pair_id").to_pylist()]
    assert key not in stays and len(stays) == len(left)
    order = [each["key"] for each in left if find_rows(run.shards, key=[each["key"]])[:1] and _in(run, each, stem)]
    joined = read_table(first.joined, JOINED)
    place = pc.index_in(pa.array([int(str(each), 16) for each in order], pa.uint64()), joined.column("pair_id"))
    names = dict(enumerate(read_single(run, run.counts, run.selected).column("query").to_pylist()))  # type: ignore[union-attr]
    write_shard(str(tmp_path / "anew"), int(stem), joined.take(place), first.images, names)
    for ending in (".tar", ".parquet", "_stats.json"):
        assert files.digest(f"{tmp_path}/anew/{stem}{ending}") == after[f"shards/{stem}{ending}"], ending

    # What its queries hold is one less.
    held = dict(zip(*(table.column(name).to_pylist() for name in ("query_id", "held")), strict=True))
    told = read_single(run, run.shortfall, run.joined).to_pylist()  # type: ignore[union-attr]
    for line in told:
        less = line["query_id"] in row["drawn_by"]
        assert line["held"] == held[line["query_id"]] - less
        assert line["missing"] == max(0, line["target"] - line["held"])
        assert ({"cause": "taken out", "pairs": 1} in line["lost"]) == less

    # Its picture is out of the store, and no other is.
    [image] = find_rows(run.images, url=[row["url"]])
    assert (image["status"], image["file"], image["sha256"], image["sketch"]) == ("removed", None, None, None)
    [was] = find_rows(first.images, url=[row["url"]])
    for folder, expected in ((first, was["length"]), (run, 0)):
        content = Path(folder.images, was["file"]).read_bytes()[was["offset"] : was["offset"] + was["length"]]
        assert sum(map(bool, [content.strip(b"\0")])) == bool(expected)
    others = [each for each in read_table(run.images, IMAGES).to_pylist() if each["url"] != row["url"]]
    assert others == [each for each in read_table(first.images, IMAGES).to_pylist() if each["url"] != row["url"]]
    [story] = explain(run.root, key)
    assert (story.outcome.stage, story.outcome.reason) == ("join", "removed")
    words = stories_in_words([story])
    assert "taken out by `pipeline remove`, by its key" in words and "to keep" not in words

    # The log says what was done.
    told_log = json.loads(Path(run.root, "removed", "00000.json").read_text())
    assert told_log["pairs"] == 1 and told_log["pairs_by_kind"] == {"key": 1}
    assert told_log["lists"][0] | {"file": ""} == {
        "kind": "key",
        "file": "",
        "sha256": files.digest(str(tmp_path / "list.txt")),
        "entries": 1,
    }
    assert told_log["keys_sha256"] == hashlib.sha256(key.encode()).hexdigest()
    assert {each["file"]: (each["before"]["sha256"], each["after"]["sha256"]) for each in told_log["files"]} == {
        name: (before[name], after[name]) for name in ours
    }

    # The same settings find everything done, and a second removal of the same changes no shard.
    job.run("without-one")
    assert job.asked["without-one"] == [] and {k: v for k, v in _files(run).items() if k != "config.toml"} == {
        k: v for k, v in after.items() if k != "config.toml"
    }
    assert main(["remove", run.root, "--keys", _list(tmp_path, key)]) == 0
    assert removals(run.root) == ["00000.json", "00001.json"]
    second = json.loads(Path(run.root, "removed", "00001.json").read_text())
    assert second["pairs"] == 0 and second["files"] == []
    assert second["previous_sha256"] == files.digest(f"{run.root}/removed/00000.json")
    assert _rows(run) == left
    _whole(run)


def _in(run: RunFolder, row: dict[str, object], stem: str) -> bool:
    return find_rows(run.shards, key=[str(row["key"])])[0]["_file"] == f"{stem}.parquet"


def test_nothing_comes_back_when_the_run_goes_on(job: Job, first: RunFolder, tmp_path: Path) -> None:
    """With a higher t pairs are drawn and fetched anew: not those that were taken out, by whatever."""
    run = job.copy(first, "taken-out")
    rows = _rows(run)
    kept_out = {str(rows[0]["key"])}
    stored = set(read_table(run.images, IMAGES, ["url"]).column("url").to_pylist())
    waiting = sorted(
        row["url"] for row in read_table(run.matched, SELECTED, ["url"]).to_pylist() if row["url"] not in stored
    )
    by_url, by_hash = [url for url in waiting if not url.endswith("dead.png")][:2]
    picture = (job.folder / "site" / by_hash.removeprefix(job.site.url)).read_bytes()
    words = ["--keys", _list(tmp_path, *kept_out)]
    (tmp_path / "urls.txt").write_text(f"{by_url}\n")
    (tmp_path / "hashes.txt").write_text(hashlib.sha256(picture).hexdigest().upper())
    words += ["--urls", str(tmp_path / "urls.txt"), "--hashes", str(tmp_path / "hashes.txt")]
    assert main(["remove", run.root, *words]) == 0
    _whole(run)
    job.run("taken-out", "--balance.t", "50", "--package.samples-per-shard", "5")
    asked = {path.lstrip("/") for path in job.asked["taken-out"]}
    assert by_hash.removeprefix(job.site.url) in asked and by_url.removeprefix(job.site.url) not in asked
    statuses = {row["url"]: row["status"] for row in read_table(run.images, IMAGES, ["url", "status"]).to_pylist()}
    assert statuses[by_hash] == "removed" and by_url not in statuses
    assert all(picture not in path.read_bytes() for path in Path(run.images).glob("*.tar"))
    urls = {row["url"] for row in _rows(run)}
    assert not urls & {by_url, by_hash} and not kept_out & {row["key"] for row in _rows(run)}
    assert len(_rows(run)) == 24 - 3
    _whole(run)
    [story] = explain(run.root, by_url)
    assert (story.outcome.stage, story.outcome.reason, story.outcome.detail) == ("join", "removed", "by its url")

    # Nor does a later run bring them, which knows this one as an earlier one.
    # It has all others, so that nothing is left.
    later, words = RunFolder(f"{job.folder}/later"), ["run", str(job.config), "--balance.t", "50"]
    assert main([*words, "--output", later.root, "--earlier-runs", run.root]) == 3
    gone = [row for row in read_table(later.rejects("package"), REJECTS).to_pylist() if row["reason"] == "removed"]
    assert {row["key"] for row in gone} >= kept_out and len(gone) == 3 and {row["url"] for row in gone} == {None}


def test_nothing_comes_back_when_a_damaged_table_is_made_anew(job: Job, first: RunFolder, tmp_path: Path) -> None:
    """Joining goes on from what it keeps of its rounds, which is as it was before the removal."""
    run = job.copy(first, "healed")
    key = str(_rows(run)[0]["key"])
    assert main(["remove", run.root, "--keys", _list(tmp_path, key)]) == 0
    left = _rows(run)
    [table] = Path(run.joined).glob("*.parquet")
    table.unlink()
    job.run("healed")
    # A query that holds less may be topped up with others.
    again = {row["key"] for row in _rows(run)}
    assert key not in again and {row["key"] for row in left} <= again
    _whole(run)


def test_pictures_of_pairs_that_came_into_no_shard_go_too(job: Job, tmp_path: Path) -> None:
    """By whatever they are named: also before there are shards."""
    run = RunFolder(str(job.folder / "before-shards"))
    for verb in ("extract", "curate", "fetch"):
        assert main([verb, str(job.config), "--output", run.root]) == 0
    stored = read_table(run.images, IMAGES).to_pylist()
    rows = read_table(run.selected, SELECTED, ["pair_id", "url"]).to_pylist()
    good = {row["url"] for row in stored if row["status"] == "success"}
    chosen = next(row for row in rows if row["url"] in good)
    assert main(["remove", run.root, "--keys", _list(tmp_path, key_of(chosen["pair_id"]))]) == 0
    left = {row["url"]: row for row in read_table(run.images, IMAGES).to_pylist()}
    for row in stored:
        gone = row["url"] == chosen["url"]
        assert left[row["url"]] == ({**dict.fromkeys(row), "url": row["url"], "status": "removed"} if gone else row)
    job.run("before-shards")
    assert key_of(chosen["pair_id"]) not in {row["key"] for row in _rows(run)}
    assert chosen["url"] not in {f"{job.site.url}{path.lstrip('/')}" for path in job.asked["before-shards"]}
    _whole(run)


def test_all_of_a_page_or_host_goes(job: Job, first: RunFolder, tmp_path: Path) -> None:
    run = job.copy(first, "without-page")
    page = f"{job.site.url}page000.html"
    of_page = {row["key"] for row in _rows(run) if row["page_url"] == page}
    assert of_page and main(["remove", run.root, "--pages", _list(tmp_path, f"{page}#top")]) == 0
    left = {row["key"] for row in _rows(run)}
    assert left == {row["key"] for row in _rows(first)} - of_page
    _whole(run)
    assert main(["remove", run.root, "--hosts", _list(tmp_path, "127.0.0.1")]) == 0
    assert _rows(run) == []
    _whole(run)
    with tarfile.open(next(Path(run.shards).glob("*.tar"))) as archive:
        assert archive.getnames() == []
    for tar in Path(run.images).glob("*.tar"):
        assert b"\xff\xd8\xff" not in tar.read_bytes()


def test_a_pair_that_slips_back_is_found(job: Job, first: RunFolder, tmp_path: Path) -> None:
    """By the check, even where every file is what its manifest says."""
    run = job.copy(first, "slipped")
    key = str(_rows(run)[0]["key"])
    assert main(["remove", run.root, "--keys", _list(tmp_path, "0" * 16)]) == 0
    import pyarrow.parquet as pq

    from pipeline.removing.log import seal_log

    rows = [{"kind": "key", "value": key, "removal": 0}]
    pq.write_table(pa.Table.from_pylist(rows, schema=TOMBSTONES), f"{run.root}/removed/tombstones.parquet")
    seal_log(run.root)
    findings = check_folder(run.root, readers=False, note=False).findings
    assert [finding.problem for finding in findings if "taken out" in finding.problem] == [
        "it holds 1 pairs that were taken out"
    ]


class Cut(BaseException):
    """What stands for the end of the process."""


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.6, 0.75, 0.9, 0.999])
def test_a_removal_that_is_cut_short_is_finished_by_the_next(
    job: Job, first: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    keys = [str(row["key"]) for row in _rows(first)][::3]
    listed, whole = _list(tmp_path, *keys), job.copy(first, f"whole-{share}")
    names: list[str] = []
    rename = files.os.replace
    monkeypatch.setattr(files.os, "replace", lambda old, new: (names.append(str(new)), rename(old, new)))
    assert main(["remove", whole.root, "--keys", listed]) == 0
    monkeypatch.setattr(files.os, "replace", rename)
    last, done = int(share * len(names)), 0

    def cut(old: str, new: str) -> None:
        nonlocal done
        if done == last:
            raise Cut
        done += 1
        rename(old, new)

    run = job.copy(first, f"cut-{share}")
    monkeypatch.setattr(files.os, "replace", cut)
    with pytest.raises(Cut):
        main(["remove", run.root, "--keys", listed])
    monkeypatch.setattr(files.os, "replace", rename)
    planned = Path(run.root, "removed", "pending", "plan.json").exists()
    if planned:
        assert main(["run", str(job.config), "--output", run.root]) == 2
    assert main(["remove", run.root, *([] if planned else ["--keys", listed])]) == 0
    assert not Path(run.root, "removed", "pending").exists()
    _whole(run)
    ours, theirs = ({name: each for name, each in _files(of).items() if _is_data(name)} for of in (run, whole))
    assert ours == theirs


def _is_data(name: str) -> bool:
    """Whether a file hangs on nothing but what was taken out: no marker or report, which name the folder, and no
    log."""
    if name.startswith("removed/"):
        return name.endswith("tombstones.parquet")
    return (
        name.startswith(("shards/", "holdout/", "joined/", "images/", "rejects/", "shortfall"))
        and "_SUCCESS" not in name
    )


def test_lists_that_cannot_be_meant_are_refused(
    job: Job, first: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, before = job.copy(first, "refused"), _files(first)
    cases = {
        "--urls": ("picture.jpg", "entry 3 is no address of an image: 'picture.jpg'"),
        "--hashes": ("abcd", "entry 3 is no SHA-256"),
        "--keys": ("a b", "entry 3 is no key"),
        "--hosts": ("not a host", "entry 3 is no host"),
        "--pages": ("", "there is nothing in it"),
    }
    for option, (entry, said) in cases.items():
        assert main(["remove", run.root, option, _list(tmp_path, entry)]) == 2
        assert said in capsys.readouterr().err
    assert main(["remove", run.root]) == 2
    assert "no list is given" in capsys.readouterr().err
    assert main(["remove", str(tmp_path / "none"), "--keys", _list(tmp_path, "a")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert _files(run) == before


def test_a_table_is_a_list_too(job: Job, first: RunFolder, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    run = job.copy(first, "by-table")
    chosen = _rows(run)[:2]
    out = io.BytesIO()
    pq.write_table(pa.table({"sha256": [row["sha256"] for row in chosen], "note": ["a", "b"]}), out)
    (tmp_path / "marked.parquet").write_bytes(out.getvalue())
    assert main(["remove", run.root, "--hashes", str(tmp_path / "marked.parquet")]) == 0
    assert len(_rows(run)) == len(_rows(first)) - 2


@pytest.mark.parametrize("form", ["tar", "parquet", "both"])
def test_a_shard_of_any_format_is_as_if_the_pair_had_never_been_in_it(
    first: RunFolder, tmp_path: Path, form: Any
) -> None:
    rows, names = read_table(first.joined, JOINED), {number: f"q{number}" for number in range(50)}
    stays = pa.array([number % 2 == 0 for number in range(len(rows))])
    for folder, part in ((tmp_path / "all", rows), (tmp_path / "left", rows.filter(stays))):
        write_shard(str(folder), 3, part, first.images, names, form)
    gone = {key_of(pair) for pair in rows.column("pair_id").to_pylist()[1::2]}
    entries = without_samples(str(tmp_path / "all"), "00003", gone)
    assert {entry["file"] for entry in entries} == {path.name for path in (tmp_path / "left").iterdir()}
    for path in (tmp_path / "left").iterdir():
        assert (tmp_path / "all" / path.name).read_bytes() == path.read_bytes(), path.name
    assert without_samples(str(tmp_path / "all"), "00003", gone) == entries
