"""The fetch benchmarks: the command is given a table as curation leaves it, and a line names all that is set."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.fetch_worker import CONCURRENCY
from benchmarks.fetching import CONFIG, _result, rows_of, write_selected
from benchmarks.resources import Cost
from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import iter_batches
from pipeline.net.config import HttpConfig
from tests.pipeline.small_job import Job

STARTS, WHOLE = Cost(2.0, 1.0, 50_000_000), Cost(10.0, 5.0, 100_000_000)
PEER_STARTS, PEER_WHOLE = Cost(12.0, 8.0, 500_000_000), Cost(40.0, 20.0, 720_000_000)


def result(**also: Any) -> dict[str, Any]:
    found = _result([(STARTS, WHOLE), (STARTS, Cost(11.0, 6.0, 90_000_000))], [(PEER_STARTS, PEER_WHOLE)], 1064, True)
    return {**found, "also": {**found["also"], **also}}


def test_the_least_cost_of_the_turns_counts_with_and_without_the_starts() -> None:
    found = result()
    assert (found["ours"], found["peer"], found["ratio"]) == (106.4, 26.6, 4.0)
    assert found["also"]["ours_cpu_without_start"] == 125.0
    assert found["also"]["ratio_without_start"] == 3.5
    assert found["also"]["ratio_wall"] == 4.0


def test_a_line_names_what_is_set() -> None:
    whole = {**result(decoder="turbo"), "images": 1064, "hosts": 64, "defaults": result()}
    defaults, turned_on = rows_of(whole, "HTTP")
    assert (
        defaults.ours
        == "1,064 images from 64 hosts over HTTP, `pipeline fetch` with its defaults but no delay: 106 a second"
    )
    assert all(f"`{name} = {value}`" in turned_on.ours for name, value in CONCURRENCY.items())
    assert '`decoder = "turbo"`, `resize_mode = "border"`' in turned_on.ours
    assert defaults.ratio == "4.0 (3.5 without the starts); the other takes 8.0 times the memory"
    assert set(CONCURRENCY) <= {field.name for field in fields(HttpConfig)}


def test_the_selected_pairs_are_what_the_command_takes(job: Job, tmp_path: Path) -> None:
    run = RunFolder(str(tmp_path / "run"))
    urls = [f"{job.site.url}images/{path.name}" for path in sorted((job.folder / "site" / "images").glob("*.png"))[:5]]
    write_selected(run, urls)
    (tmp_path / "run.toml").write_text(CONFIG.format(authorities=""))
    assert main(["fetch", str(tmp_path / "run.toml"), "--output", run.root]) == 0
    stored = [row for batch in iter_batches(run.images) for row in batch.to_pylist()]
    assert sorted(row["url"] for row in stored if row["status"] == "success") == urls
