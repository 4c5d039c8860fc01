"""The funnel: every row is in one place, whatever was stopped half-way, and a lost row shows."""

import dataclasses
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.audit.funnel import funnel_steps, write_funnel
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import entry_of, mark_complete, write_manifest
from pipeline.reasons import in_rule_order
from pipeline.tables.schema import REJECTS
from tests.small_run import CANDIDATE, FOUND, IN_MATCHED, IN_SELECTED, PACKAGED, WITH_IMAGE, make_run
from webimagetext import files


def test_every_step_is_counted_with_its_reasons(tmp_path: Path) -> None:
    steps = {step.name: step for step in funnel_steps(make_run(tmp_path))}
    flow = {name: (step.rows_in, step.rows_out, step.rejects) for name, step in steps.items()}
    assert flow == {
        "crawl": (10, 7, {"http_404": 3}),
        "images": (FOUND + 20, FOUND, {"no_text": 20}),
        "extract": (FOUND, CANDIDATE, {"repeated_pair": 10}),
        "match": (CANDIDATE, IN_MATCHED, {"too_short": 20, "no_query": 10}),
        "balance": (IN_MATCHED, IN_SELECTED, {"not_drawn": 10}),
        "fetch": (IN_SELECTED, WITH_IMAGE, {"http_404": 4}),
        "join": (IN_SELECTED, WITH_IMAGE, {"http_404": 4}),
        "package": (WITH_IMAGE, PACKAGED, {"small_image": 6}),
    }
    assert steps["balance"].set_aside == 10
    assert steps["package"].parts == {"shards": 25, "holdout": 5}
    assert [step.unaccounted for step in steps.values()] == [0] * len(steps)


def test_a_reason_of_two_steps_is_counted_at_each(tmp_path: Path) -> None:
    """A picture too narrow to be stored, and one too narrow for the data."""
    run = make_run(tmp_path)
    url = files.join(run.rejects("package"), part_name(0))
    rows = pq.read_table(url).to_pylist()
    for row in rows:
        row["reason"] = "bad_aspect_ratio"
    pq.write_table(pa.Table.from_pylist(rows, schema=REJECTS), url)
    write_manifest(run.rejects("package"), [entry_of(run.rejects("package"), part_name(0), len(rows))])
    steps = {step.name: step for step in funnel_steps(run)}
    assert steps["join"].rejects == {"bad_aspect_ratio": 4} and steps["package"].rejects == {"bad_aspect_ratio": 6}
    assert steps["join"].unaccounted == steps["package"].unaccounted == 0


def test_the_file_holds_the_same(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    steps = write_funnel(run)
    written = json.loads(Path(run.funnel).read_text())
    assert steps == funnel_steps(run)
    assert written["steps"] == [{**dataclasses.asdict(step), "unaccounted": 0} for step in steps]
    assert list(written["steps"][3]["rejects"]) == ["no_query", "too_short"]  # first the project's own rules


def test_reasons_stand_in_the_order_of_the_rules() -> None:
    counts = {
        "no_query": 90,
        "near_duplicate": 5,
        "http_404": 7,
        "file_name": 1,
        "html_tag": 4,
        "http_410": 8,
        "low_nsfw": 2,
    }
    order = ["http_410", "http_404", "file_name", "html_tag", "no_query", "low_nsfw", "near_duplicate"]
    assert list(in_rule_order(counts)) == order


def test_a_row_that_vanished_shows(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    path = Path(run.rejects("match")) / part_name(0)
    table = pq.read_table(path)
    pq.write_table(table.slice(3), path)
    write_manifest(run.rejects("match"), [entry_of(run.rejects("match"), part_name(0), table.num_rows - 3)])
    steps = {step.name: step for step in funnel_steps(run)}
    assert steps["match"].unaccounted == 3


def test_a_half_finished_run_counts_what_is_there(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for folder in (run.selected, run.joined, run.shards, run.images):
        shutil.rmtree(folder)
    assert [step.name for step in funnel_steps(run)] == ["crawl", "images", "extract", "match"]
    assert funnel_steps(RunFolder(str(tmp_path / "nothing"))) == []


def test_a_pair_lost_between_the_source_and_the_candidates_shows(tmp_path: Path) -> None:
    """What the files gave is counted where they were read, and not from what became of it."""
    run = make_run(tmp_path)
    mark_complete(run.candidates, "", settings={"extract": {"source": "url_list"}})
    sources = {name: run.path("sources", name) for name in ("candidates", "rejects")}
    ledger = pq.read_table(Path(run.rejects("extract")) / part_name(0))
    for name, folder in sources.items():
        shutil.copytree(run.candidates if name == "candidates" else run.rejects("extract"), folder)
    # Of the source: the pairs with those that repeat, ten rows that were none, and images without a text.
    found = pq.read_table(Path(run.candidates) / part_name(0))
    pq.write_table(pa.concat_tables([found, found.slice(0, 10)]), Path(sources["candidates"]) / part_name(0))
    bad = ledger.filter(pc.equal(ledger.column("subject"), "pair"))
    bad = bad.set_column(bad.schema.get_field_index("reason"), "reason", pa.array(["bad_url"] * 10))
    pq.write_table(bad, Path(sources["rejects"]) / part_name(0))
    pq.write_table(pa.concat_tables([ledger, bad.cast(ledger.schema)]), Path(run.rejects("extract")) / part_name(0))
    for folder, rows in ((sources["candidates"], 100), (sources["rejects"], 10), (run.rejects("extract"), 40)):
        write_manifest(folder, [entry_of(folder, part_name(0), rows)])
    steps = {step.name: step for step in funnel_steps(run)}
    assert (steps["extract"].rows_in, steps["extract"].rows_out, steps["extract"].unaccounted) == (110, CANDIDATE, 0)
    pq.write_table(found.slice(4), Path(run.candidates) / part_name(0))
    write_manifest(run.candidates, [entry_of(run.candidates, part_name(0), CANDIDATE - 4)])
    steps = {step.name: step for step in funnel_steps(run)}
    assert steps["extract"].unaccounted == 4
