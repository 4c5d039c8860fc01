"""What nobody has asked for yet is open: it is told, no step with any is finished, and the same command goes on with
it."""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.config import RunConfig
from pipeline.fetch.decided import decided_by
from pipeline.fetch.retry import best_rows
from pipeline.fetch.unasked import open_addresses
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import is_complete, read_made, samples_in, write_manifest
from pipeline.keeping.step import Context, Step, markers_of, run_steps
from tests.pipeline.small_site import serve

IMAGES = 40
CONFIG = RunConfig()


def build(folder: Path, url: str) -> Path:
    """Images of one host, in a list; gives the configuration."""
    (folder / "site").mkdir()
    for number in range(IMAGES):
        pixels = np.random.default_rng(number).integers(0, 255, (9, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((72, 64)).save(folder / "site" / f"{number:02}.png")
    columns = {
        "URL": [f"{url}{number:02}.png" for number in range(IMAGES)],
        "TEXT": [f"an owl seen on day {number}" for number in range(IMAGES)],
    }
    pq.write_table(pa.table(columns), folder / "list.parquet")
    (folder / "queries.txt").write_text("owl\n")
    config = folder / "run.toml"
    config.write_text(
        f'queries = "{folder}/queries.txt"\n'
        f'[extract]\nsource = "url_list"\ninputs = ["{folder}/list.parquet"]\n'
        '[text]\ndetector = "off"\n[http]\nallow_loopback = true\n'
    )
    return config


def steps_told(run: RunFolder) -> dict[str, dict[str, Any]]:
    return {step["name"]: step for step in json.loads(Path(run.funnel).read_text())["steps"]}


def test_the_same_command_goes_on_with_what_is_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder(str(tmp_path / "run"))
    with serve(tmp_path / "site") as site:
        words = ["run", str(build(tmp_path, site.url)), "--output", run.root]
        assert main([*words, "--http.delay", "0.3", "--fetch.max-hours", "0.0006"]) == 0
        pictures = [path for path in site.asked if path.endswith(".png")]
        first = len(pictures)
        assert 0 < first < IMAGES - 5
        told = capsys.readouterr().err
        # One may have been under way when the time was over: it was asked, and its answer is not there.
        step = steps_told(run)["fetch"]
        had = step["rows_in"]
        assert first - 2 <= had <= first and had == step["rows_out"] == samples_in(run.shards)
        left = IMAGES - had
        assert (step["open"], step["open_at"]) == (left, {"127.0.0.1": left})
        assert f"{had} image URLs: {had} stored, {left} are open" in told
        assert told.splitlines()[-1].startswith(f"not finished: {left} image addresses are open")
        assert f"(most of 127.0.0.1: {left}; fetch.max_hours = 0.0006)" in told
        assert not is_complete(run.images) and (read_made(run.images) or {})["open"] == left
        assert f"{left} addresses are open" in Path(run.report).read_text()
        assert f"not asked for yet: {left} addresses" in Path(run.card).read_text()

        assert main([*words, "--http.delay", "0"]) == 0
        told = capsys.readouterr().err
        again = [path for path in site.asked if path.endswith(".png")][first:]
        assert len(again) == left and len({*pictures, *again}) == IMAGES
        assert "fetch images: goes on with what is open" in told and "not finished" not in told
        assert is_complete(run.images) and samples_in(run.shards) == IMAGES
        step = steps_told(run)["fetch"]
        assert (step["rows_in"], step["rows_out"], step["open"]) == (IMAGES, IMAGES, 0)
        assert "are open" not in Path(run.report).read_text()

        asked = len(site.asked)
        assert main([*words, "--http.delay", "0"]) == 0
        assert capsys.readouterr().err.count("finished before, skipped") == 7 and len(site.asked) == asked


def test_packaging_alone_goes_on_from_open_work_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder(str(tmp_path / "run"))
    with serve(tmp_path / "site") as site:
        config = str(build(tmp_path, site.url))
        for verb in ("extract", "curate"):
            assert main([verb, config, "--output", run.root]) == 0
        slow = ["--http.delay", "0.4", "--fetch.max-hours", "0.001"]
        for verb in ("fetch", "package"):
            capsys.readouterr()
            assert main([verb, config, "--output", run.root, *slow]) == 0
            assert "\nnot finished: " in capsys.readouterr().err
    assert 0 < samples_in(run.shards) < IMAGES - 5


def rows(*told: tuple[str, str]) -> pa.RecordBatch:
    columns = {
        "url": [url for url, _ in told],
        "status": [status for _, status in told],
        "decided_by": pa.array([decided_by(status, CONFIG.http, CONFIG.image) for _, status in told], pa.string()),
    }
    return pa.RecordBatch.from_pydict(columns)


def test_what_is_open_is_wanted_and_has_no_answer_that_holds() -> None:
    hosts = ["http://a.example/", "https://b.example:8080/x/", "http://c.example/"]
    urls = [f"{hosts[n % 7 % 3]}{n}" for n in range(300)]
    generator = np.random.default_rng(4)
    statuses = ["not_reached", "success", "http_404", "too_large"]
    store = [(url, status) for url in urls for status in generator.choice(statuses, generator.integers(0, 4))]
    wanted = [urls[n] for n in generator.integers(0, 300, 400)]  # some by several pairs, some by none
    batches = [rows(*store[start : start + 50]) for start in range(0, len(store), 50)]
    tables = [pa.RecordBatch.from_pydict({"url": wanted[start : start + 37]}) for start in range(0, 400, 37)]
    for limit in (CONFIG.http.max_bytes, 77):  # with another limit, what was too large is no answer any more
        http = dataclasses.replace(CONFIG.http, max_bytes=limit)
        valid = {"success", "http_404"} | ({"too_large"} if limit != 77 else set())
        expected: Counter[str] = Counter()
        for url in set(wanted):
            of_url = {status for known, status in store if known == url}
            if "not_reached" in of_url and not of_url & valid:
                expected[url.split("/")[2].partition(":")[0]] += 1
        found = open_addresses(lambda: batches, lambda: tables, http, CONFIG.image)
        assert found == expected and len(found) == 3
        assert list(found.values()) == sorted(found.values(), reverse=True)
    assert open_addresses(lambda: [rows(("http://a/", "http_404"))], lambda: tables, CONFIG.http, CONFIG.image) == {}
    assert open_addresses(list, lambda: tables, CONFIG.http, CONFIG.image) == {}


def test_a_failure_counts_before_a_turn_that_did_not_come() -> None:
    told = [("u1", "http_503"), ("u1", "not_reached"), ("u2", "not_reached"), ("u3", "success"), ("u3", "not_reached")]
    found = best_rows(pa.Table.from_batches([rows(*told)]))
    assert dict(zip(found["url"].to_pylist(), found["status"].to_pylist(), strict=True)) == {
        "u1": "http_503",
        "u2": "not_reached",
        "u3": "success",
    }


@pytest.mark.parametrize("keep", [True, False])
def test_a_step_with_open_work_is_not_finished(tmp_path: Path, keep: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """One that is added to goes on; one that is made from what there was is made again. What follows runs."""
    run, done = RunFolder(str(tmp_path)), []
    left: list[Mapping[str, int]] = [{"b": 9, "a": 2}, {"b": 1}, {}, {}]

    def work(name: str, context: Context) -> None:
        done.append((name, context.fresh))
        write_manifest(run.path(name), [{"file": f"{len(done)}", "rows": 1, "bytes": 1, "sha256": ""}])

    def step(name: str, tables: tuple[str, ...], left_of: Any, keep: bool) -> Step:
        return Step(
            name=name,
            verb="run",
            output=run.path(name),
            work=lambda context: work(name, context),
            settings={},
            tables=tables,
            result=lambda _: "made",
            keep=keep,
            left=left_of,
        )

    def told() -> Mapping[str, int]:
        return left[sum(name == "one" for name, _ in done) - 1]

    steps = [
        step("one", (), lambda _: told(), keep),
        step("two", (run.path("one"),), lambda _: {}, False),
    ]
    context = Context(run, RunConfig(), cast(Any, None))
    for number, open_work in enumerate((11, 1, 0, 0)):
        run_steps(steps, context, markers_of(steps))
        assert (read_made(run.path("one")) or {}).get("open", 0) == open_work
        assert is_complete(run.path("one")) == (open_work == 0) and is_complete(run.path("two"))
        error = capsys.readouterr().err
        assert (f"made, {open_work} are open" in error) == (open_work > 0)
        assert error.count("finished before") == (2 if number == 3 else 0)
        assert ("goes on with what is open" in error) == (keep and 0 < number < 3)
    assert done == [(name, name == "two" or not keep or n == 0) for n in range(3) for name in ("one", "two")]
