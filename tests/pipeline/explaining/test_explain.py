"""The story of a pair, on real runs: what is kept, what goes at each step, and that the setting which is named would
keep it."""

import csv
import dataclasses
import json
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.__main__ import main
from pipeline.balance.plan import read_plan
from pipeline.balance.select import select
from pipeline.explaining.assemble import explain
from pipeline.explaining.rows import find_rows
from pipeline.explaining.story import Story
from pipeline.explaining.tell import stories_in_words
from pipeline.keeping.folder import RunFolder, key_of
from pipeline.keeping.manifest import entry_of, read_table, write_manifest
from pipeline.tables.schema import JOINED, MATCHED, REJECTS
from tests.pipeline.small_job import Job
from tests.pipeline.small_site import CAPTIONS

GERMAN = "die Katze sitzt im Garten hinter dem Haus auf einem Stuhl"
LISTED = {
    "000.png": CAPTIONS[0],
    "000.png?again": CAPTIONS[0],
    "001.png": CAPTIONS[1],
    "002.png": "green one",
    "003.png": GERMAN,
    "004.png": "the long road to a village in the mountains",
    "dead.png": "a dog that was never seen again",
}


@pytest.fixture(scope="module")
def listed(job: Job) -> RunFolder:
    """A run from a list of addresses, of which something goes at each step."""
    with open(job.folder / "list.csv", "w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["url", "caption"])
        rows.writerows([_address(job, name), caption] for name, caption in LISTED.items())
    options = ("--extract.source", "url_list", "--extract.inputs", str(job.folder / "list.csv"))
    return job.run("explained", *options, "--balance.t", "50", "--package.holdout", "0")


def _address(job: Job, name: str) -> str:
    return f"{job.site.url}images/{name}"


def _story(run: RunFolder, asked: str) -> Story:
    [story] = explain(run.root, asked)
    return story


def test_a_kept_pair_has_all_of_its_story(job: Job, listed: RunFolder) -> None:
    story = _story(listed, _address(job, "001.png"))
    assert story == _story(listed, story.key)
    assert (story.outcome.state, story.caption, story.outcome.changes) == ("kept", CAPTIONS[1], [])
    assert (story.source.kind, story.source.input) == ("url_list", str(job.folder / "list.csv"))
    assert [text["text"] for text in story.texts] == [CAPTIONS[1]] and story.why_this_text == "it is the only one"
    verdicts = {verdict.rule: verdict for verdict in story.text_rules}
    assert not any(verdict.reason for verdict in story.text_rules)
    assert verdicts["length"].numbers == {"words": 7, "characters": len(CAPTIONS[1])}
    assert verdicts["natural"].numbers["longest_word"] == max(map(len, CAPTIONS[1].split()))
    assert verdicts["language"].numbers["p_language"] > 0.5
    assert {drawn.query for drawn in story.queries} == {"red", "circle", "on a black field"}
    assert all(drawn.is_drawn and drawn.rank == (drawn.draw or 9) * drawn.matches for drawn in story.queries)
    assert (story.t, story.mode, story.round) == (50, "independent", 0)
    assert (story.image["status"], story.image["original_width"]) == ("success", 160)
    numbers = {name: value for verdict in story.image_rules for name, value in verdict.numbers.items()}
    assert numbers["smaller_side"] == 120 and numbers["aspect_ratio"] == pytest.approx(4 / 3)
    [row] = find_rows(listed.shards, key=[story.key])
    assert story.place == {"part": "shards", "table": row["_file"], "row": row["_place"]}
    assert "kept: row" in stories_in_words([story])


def test_a_short_text_says_how_short_and_what_would_keep_it(job: Job, listed: RunFolder) -> None:
    outcome = _story(listed, _address(job, "002.png")).outcome
    assert (outcome.state, outcome.stage, outcome.reason) == ("dropped", "match", "too_few_words")
    [change] = outcome.changes
    assert (change.setting, change.value, change.would_keep) == ("text.min_words", 3, 2)


def test_another_language_says_how_likely_it_was(job: Job, listed: RunFolder) -> None:
    story = _story(listed, _address(job, "003.png"))
    assert (story.outcome.stage, story.outcome.reason) == ("match", "other_language")
    [change] = story.outcome.changes
    [chance] = [verdict.numbers["p_language"] for verdict in story.text_rules if verdict.reason]
    assert change.setting == "text.language_threshold" and change.would_keep <= chance < change.value == 0.5
    assert "[p " in story.outcome.detail


def test_a_text_without_a_query_names_the_list(job: Job, listed: RunFolder) -> None:
    outcome = _story(listed, _address(job, "004.png")).outcome
    assert (outcome.stage, outcome.reason) == ("match", "no_query")
    assert [change.setting for change in outcome.changes] == ["queries"]


def test_a_dead_link_says_what_the_server_said(job: Job, listed: RunFolder) -> None:
    story = _story(listed, _address(job, "dead.png"))
    assert (story.outcome.stage, story.outcome.reason, story.outcome.changes) == ("join", "http_404", [])
    assert story.image["status"] == "http_404" and story.image["http_status"] == 404
    assert "no setting decides this" in stories_in_words([story])


def test_a_repeated_picture_goes_and_the_other_stays(job: Job, listed: RunFolder) -> None:
    stories = [_story(listed, _address(job, name)) for name in ("000.png", "000.png?again")]
    kept, gone = sorted(stories, key=lambda story: story.outcome.state, reverse=True)
    assert (kept.outcome.state, gone.outcome.stage) == ("kept", "package")
    assert gone.outcome.reason == "duplicate_image_caption"
    assert kept.image["sha256"] == gone.image["sha256"]


def test_what_the_balance_left_out_says_the_t_that_draws_it(first: RunFolder) -> None:
    plan = read_plan(first.plan)
    dropped = read_table(first.rejects("balance"), REJECTS).column("key").to_pylist()
    reserve = [key_of(row["pair_id"]) for row in read_table(first.reserve, MATCHED, ["pair_id"]).to_pylist()]
    assert dropped or reserve
    for key in (*dropped[:1], *reserve[:2]):
        story = _story(first, key)
        assert story.outcome.state in ("dropped", "reserve", "kept")
        if story.outcome.state == "kept":
            assert story.round
            continue
        [change] = story.outcome.changes
        assert (change.setting, change.value) == ("balance.t", 2)
        [row] = [
            batch
            for batch in read_table(first.matched, MATCHED).to_batches(max_chunksize=1)
            if key_of(batch.column("pair_id")[0].as_py()) == key
        ]
        for t, kept in ((change.would_keep, 1), (change.would_keep - 1, 0)):
            assert select(row, dataclasses.replace(plan, t=t, limit=t))[0].num_rows == kept


def test_a_crawled_pair_says_where_its_page_stands(job: Job, first: RunFolder) -> None:
    [story] = [each for each in explain(first.root, _address(job, "000.png")) if each.caption == CAPTIONS[0]]
    assert (story.source.page, story.source.round, story.source.depth) == (f"{job.site.url}page000.html", 1, 1)
    assert story.source.consent == "allowed" and story.source.page_language == "en"
    page = _story(first, f"{job.site.url}page000.html")
    assert page.key == "" and any(story.key in note for note in page.notes)
    [closed] = explain(first.root, f"{job.site.url}private/index.html")
    assert closed.outcome.reason == "refused_by_robots_txt"


def test_the_command(job: Job, listed: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = _address(job, "002.png")
    assert main(["explain", listed.root, address, "--json", str(tmp_path / "story.json")]) == 0
    assert "to keep it: text.min_words = 2 (it is 3)" in capsys.readouterr().out
    told = json.loads((tmp_path / "story.json").read_text())
    assert told["asked"] == address and told["stories"][0]["outcome"]["reason"] == "too_few_words"
    assert main(["explain", listed.root, f"{job.site.url}never.png"]) == 3
    assert capsys.readouterr().out == f"{job.site.url}never.png: nothing in {listed.root} knows of it\n"
    assert main(["explain", str(tmp_path), address]) == 2
    assert "there is no run in it" in capsys.readouterr().err


def test_rows_are_found_wherever_they_lie(tmp_path: Path) -> None:
    """Also ids with the top bit, in files of several groups of rows, by columns that hold nulls."""
    import pyarrow.parquet as pq

    ids = sorted(number * 0x9E3779B97F4A7C15 % 2**64 for number in range(100))
    shas = [f"{number:064x}" if number % 3 else None for number in range(100)]
    table = pa.table({"pair_id": pa.array(ids, pa.uint64()), "sha256": pa.array(shas, JOINED.field("sha256").type)})
    for part in range(2):
        pq.write_table(table.slice(50 * part, 50), tmp_path / f"part-{part}.parquet", row_group_size=7)
    write_manifest(str(tmp_path), [entry_of(str(tmp_path), f"part-{part}.parquet", 50) for part in range(2)])
    for place in (0, 6, 7, 49, 50, 99):
        found = find_rows(str(tmp_path), pair_id=[ids[place], 5])
        assert [(row["pair_id"], row["sha256"], row["_place"]) for row in found] == [
            (ids[place], shas[place], place % 50)
        ]
        assert found[0]["_file"] == f"part-{place // 50}.parquet"
    assert [row["pair_id"] for row in find_rows(str(tmp_path), sha256=[shas[1], shas[98]], pair_id=[ids[4]])] == [
        ids[1],
        ids[4],
        ids[98],
    ]
    assert find_rows(str(tmp_path), pair_id=[]) == [] == find_rows(str(tmp_path / "none"), pair_id=[1])
