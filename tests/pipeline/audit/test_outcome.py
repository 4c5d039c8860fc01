"""What a run tells at its end: losses with their settings, nothing left, and a t that fits."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.audit.funnel import Step, funnel_steps
from pipeline.audit.outcome import NOTHING_LEFT, UNACCOUNTED, _losses, expected_pairs, outcome, proposed_t
from pipeline.balance.config import BalanceConfig
from pipeline.config import RunConfig
from pipeline.hashing import draw
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import entry_of, iter_batches, rows_in, write_manifest
from pipeline.reasons import _OF_STORING, _REASONS, setting_of
from tests.pipeline.small_job import Job
from tests.pipeline.small_site import CAPTIONS
from tests.small_run import make_run


def test_a_run_says_what_most_was_lost_to(job: Job, first: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    job.run("told", "--balance.t", "20000")
    error = capsys.readouterr().err
    assert "most was lost to:" in error and "\n    boilerplate: 1 pair (text.boilerplate = True)\n" in error
    lost = error.split("most was lost to:\n")[1].splitlines()[:3]
    counts = [int(re.search(r": ([\d,]+) (pages?|images?|pairs?)", line)[1].replace(",", "")) for line in lost]  # type: ignore[index]
    assert counts == sorted(counts, reverse=True)
    assert "image URLs: " in error and " stored" in error


def test_nothing_left_has_an_ending_of_its_own(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", str(job.config), "--output", str(job.folder / "empty"), "--text.min-words", "200"]
    assert main(words) == NOTHING_LEFT
    error = capsys.readouterr().err
    assert "nothing is left" in error and "(text.min_words = 200)" in error and "Traceback" not in error


@pytest.mark.parametrize("wanted", [("--balance.tail-share", "0.1"), ("--balance.wanted-total", "10")])
def test_no_match_is_nothing_left_whatever_asks_for_a_t(
    job: Job, wanted: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    queries = job.folder / "other.txt"
    queries.write_text("no such words\n")
    words = ["run", str(job.config), "--output", str(job.folder / "empty"), "--queries", str(queries), *wanted]
    assert main(words) == NOTHING_LEFT
    assert "nothing is left" in capsys.readouterr().err


def test_every_setting_that_is_named_exists() -> None:
    def names(settings: Any, head: str = "") -> set[str]:
        found = set()
        for field in fields(settings):
            value = getattr(settings, field.name)
            found |= names(value, f"{head}{field.name}.") if is_dataclass(value) else {head + field.name}
        return found

    named = {row.setting for row in (*_REASONS.values(), *_OF_STORING.values()) if row.setting}
    assert named and named <= names(RunConfig())
    assert setting_of("low_clip") == "package.hooks.minimum" and setting_of("http_404") == ""


@pytest.mark.parametrize(
    ("counts", "t", "found"), [([50, 3, 2, 1], 20_000, 3), ([50, 3, 2, 1], 49, None), ([1, 1], 5, None), ([4], 9, None)]
)
def test_a_t_is_proposed_where_none_balances(counts: list[int], t: int, found: int | None) -> None:
    assert proposed_t(np.array(counts), np.array(counts), t) == found


def test_a_capped_t_limits_what_a_query_owns() -> None:
    counts, owned = np.array([50, 3, 2, 1]), np.array([6, 3, 2, 1])
    assert proposed_t(counts, owned, 6) == 3 and proposed_t(counts, owned, 5) is None
    assert proposed_t(counts, np.array([3, 3, 2, 1]), 6) is None


@pytest.mark.parametrize("mode", ["independent", "capped"])
def test_what_a_proposed_t_keeps_is_what_it_then_keeps(
    job: Job, first: RunFolder, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    queries = job.folder / "uneven.txt"
    queries.write_text("red circle\nblue circle\ncircle\nwhite field\non a black field\n")
    options = ("--queries", str(queries), "--balance.mode", mode, "--balance.reserve", "0")
    job.run("told", *options, "--balance.t", "20000")
    said = re.search(r"With --balance.t (\d+) about (\d+) of (\d+) matched", capsys.readouterr().err)
    assert said is not None
    t, kept, pairs = map(int, said.groups())
    assert (t, pairs) == (2, 25) and kept < pairs
    run = job.run("told", *options, "--balance.t", str(t))
    stays = rows_in(run.selected)
    if mode == "capped":
        assert stays == kept
        return
    # Addresses hold the server's port, so every run draws anew; the chances tell how far from their mean.
    counts = np.load(run.match_counts)
    lists = [found for batch in iter_batches(run.matched, ["query_ids"]) for found in batch["query_ids"].to_pylist()]
    chance = np.array([1 - np.prod([1 - min(1, t / counts[query]) for query in found]) for found in lists])
    assert kept == round(chance.sum())
    assert abs(stays - chance.sum()) <= 5 * np.sqrt((chance * (1 - chance)).sum())


def test_a_t_that_takes_nothing_away_is_not_proposed(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    """Where every pair has a query with few matches, a lower t for the frequent ones keeps all the same."""
    queries = job.folder / "kept.txt"
    queries.write_text("on a\n" + "".join(f"{caption}\n" for caption in CAPTIONS))
    job.run("kept", "--queries", str(queries), "--balance.t", "20000")
    assert "balanced nothing" not in capsys.readouterr().err


def test_the_expectation_is_the_mean_of_real_draws() -> None:
    rng = np.random.default_rng(3)
    lists = [sorted(rng.choice(6, rng.integers(1, 4), replace=False).tolist()) for _ in range(200)]
    counts = np.bincount([query for found in lists for query in found], minlength=6)
    pairs = np.arange(200, dtype=np.uint64)
    t = 15
    kept = []
    for seed in range(300):
        held = [any(draw(pairs[n : n + 1], q, seed)[0] < t / counts[q] for q in found) for n, found in enumerate(lists)]
        kept.append(sum(held))
    columns = [pa.array(lists[:70], pa.list_(pa.uint32())), pa.array(lists[70:], pa.list_(pa.uint32()))]
    expected = expected_pairs(columns, counts, t)
    assert abs(expected - np.mean(kept)) < 4 * np.std(kept) / np.sqrt(len(kept))
    assert expected_pairs(columns, counts, 10_000) == pytest.approx(200)


def test_rows_that_went_without_a_reason_end_the_run_with_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path)
    config = RunConfig(balance=BalanceConfig(mode="none"))  # no t to propose
    assert outcome(run, "run", config, funnel_steps(run)) == 0
    assert "error:" not in capsys.readouterr().err
    path = Path(run.rejects("match")) / part_name(0)
    table = pq.read_table(path)
    pq.write_table(table.slice(3), path)
    write_manifest(run.rejects("match"), [entry_of(run.rejects("match"), part_name(0), table.num_rows - 3)])
    for verb, status in (("run", UNACCOUNTED), ("curate", UNACCOUNTED), ("package", 0), ("extract", 0)):
        assert outcome(run, verb, config, funnel_steps(run)) == status
        told = capsys.readouterr().err
        assert ("error: match: 3 of 90 pairs went without a reason" in told) == (status != 0)


def test_the_setting_in_force_is_named() -> None:
    lost = [Step("balance", "pairs that the balance kept", "pairs", 10, 4, {"not_drawn": 6})]
    for options, said in (
        ({}, "balance.t = 20000"),
        ({"wanted_total": 4}, "balance.wanted_total = 4"),
        ({"tail_share": 0.5}, "balance.tail_share = 0.5"),
    ):
        config = RunConfig(balance=BalanceConfig(**options))  # type: ignore[arg-type]
        assert _losses(lost, config) == ["most was lost to:", f"    not drawn: 6 pairs ({said})"]
