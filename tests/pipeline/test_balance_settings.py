"""Every pair of balance settings that can meet, on a small list of which a fifth is dead: what was asked stands beside
what came, a miss is said, and the pairs say who drew them.

One run folder for all: only what a changed balance decides is made again.
"""

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.balance.config import BalanceConfig
from pipeline.balance.matches import count_matches, count_rarest, rarest
from pipeline.balance.plan import read_plan
from pipeline.hashing import draw
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import iter_batches, read_table, rows_in, samples_in
from pipeline.stages.top_up import last_draws_of
from pipeline.tables.schema import JOINED, MATCHED
from pipeline.tables.vectors import read_vector
from webimagetext.errors import UserError

QUERIES = ["ant", "bee", "cat", "dog", "eel", "fox"]
IMAGES, SEED = 150, 5
WORDS = np.random.default_rng(8)


@dataclass
class Small:
    """The list, its server's asked paths, and how to run it."""

    words: list[str]
    run: RunFolder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    from tests.pipeline.small_site import serve

    folder = tmp_path_factory.mktemp("settings")
    (folder / "site").mkdir()
    weights = 1 / np.arange(1, len(QUERIES) + 1) ** 1.5
    texts = []
    for number in range(IMAGES):
        held = WORDS.choice(len(QUERIES), WORDS.integers(1, 4), replace=False, p=weights / weights.sum())
        texts.append(f"the {' and the '.join(QUERIES[query] for query in sorted(held))} of day {number}")
        if zlib.crc32(str(number).encode()) % 5:
            pixels = np.random.default_rng(number).integers(0, 255, (9, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((72, 64)).save(folder / "site" / f"{number:03}.png")
    (folder / "queries.txt").write_text("\n".join(QUERIES) + "\n")
    with serve(folder / "site") as site:
        columns = {"URL": [f"{site.url}{number:03}.png" for number in range(IMAGES)], "TEXT": texts}
        pq.write_table(pa.table(columns), folder / "list.parquet")
        config = folder / "run.toml"
        config.write_text(
            f'queries = "{folder}/queries.txt"\nseed = {SEED}\n'
            f'[extract]\nsource = "url_list"\ninputs = ["{folder}/list.parquet"]\n'
            '[text]\ndetector = "off"\n[http]\nallow_loopback = true\ndelay = 0.0\nretries = 0\n'
        )
        yield Small(["run", str(config), "--output", str(folder / "run")], RunFolder(str(folder / "run")))


FOUND_BY = {
    "t": ("--balance.t", "9"),
    "tail_share": ("--balance.tail-share", "0.2"),
    "wanted_total": ("--balance.wanted-total", "40"),
    "a few": ("--balance.wanted-total", "3"),
    "all": ("--balance.wanted-total", "5000"),
}
# mode, what t comes of, reserve, rounds, expected loss: any two values that can meet do so in one of these.
MET = [
    ("independent", "t", 0.0, 0, 0.0),
    ("independent", "tail_share", 1.0, 3, 0.25),
    ("independent", "wanted_total", 1.0, 3, 0.0),
    ("independent", "wanted_total", 0.0, 0, 0.25),
    ("independent", "a few", 1.0, 0, 0.0),
    ("independent", "a few", 0.0, 3, 0.25),
    ("independent", "all", 1.0, 3, 0.25),
    ("independent", "all", 0.0, 0, 0.0),
    ("capped", "t", 1.0, 3, 0.25),
    ("capped", "t", 0.0, 3, 0.0),
    ("capped", "tail_share", 0.0, 0, 0.0),
    ("capped", "wanted_total", 1.0, 3, 0.0),
    ("capped", "wanted_total", 1.0, 0, 0.25),
    ("capped", "a few", 1.0, 3, 0.0),
    ("capped", "a few", 0.0, 0, 0.25),
    ("capped", "all", 0.0, 3, 0.0),
    ("capped", "all", 1.0, 0, 0.25),
    ("none", "t", 1.0, 3, 0.25),
    ("none", "t", 0.0, 0, 0.0),
]
VALUES = (("independent", "capped", "none"), tuple(FOUND_BY), (0.0, 1.0), (0, 3), (0.0, 0.25))
# Those that differ most run with every test; the others are slow together.
ALWAYS = (2, 5, 6, 8, 11, 17)
CASES = [pytest.param(*row, marks=() if n in ALWAYS else pytest.mark.slow) for n, row in enumerate(MET)]
OWN = ("tail_share", "wanted_total", "a few", "all")


def can_meet(a: object, b: object) -> bool:
    return not ("none" in (a, b) and (a in OWN or b in OWN))


def test_any_two_values_that_can_meet_do_so() -> None:
    for (i, first), (j, second) in product(enumerate(VALUES), repeat=2):
        if i < j:
            met = {(row[i], row[j]) for row in MET}
            assert {pair for pair in product(first, second) if can_meet(*pair)} == met


@pytest.mark.parametrize("name", ["tail_share", "wanted_total"])
def test_without_a_balance_there_is_no_t_to_find(small: Small, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*small.words, "--balance.mode", "none", *FOUND_BY[name]]) == 2
    told = capsys.readouterr().err
    assert f"balance.{name} is set, and balance.mode = 'none' keeps every pair" in told and "Traceback" not in told
    with pytest.raises(UserError, match="mode = 'independent' or 'capped'"):
        BalanceConfig(mode="none", **{name: 1})


@pytest.mark.parametrize(("mode", "found_by", "reserve", "rounds", "loss"), CASES)
def test_what_was_asked_stands_beside_what_came(
    small: Small, mode: str, found_by: str, reserve: float, rounds: int, loss: float, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--balance.mode", mode, *FOUND_BY[found_by], "--balance.reserve", str(reserve)]
    options += ["--balance.top-up-rounds", str(rounds), "--balance.expected-loss", str(loss)]
    assert main([*small.words, *options]) == 0
    error, run = capsys.readouterr().err, small.run
    told = json.loads(Path(run.funnel).read_text())
    assert [step["unaccounted"] for step in told["steps"]] == [0] * len(told["steps"])
    matched, selected = rows_in(run.matched), rows_in(run.selected)
    came = samples_in(run.shards) + samples_in(run.holdout)
    plan, asked = read_plan(run.plan), told["asked"]
    assert told["t"] == plan.t
    if found_by == "t":
        assert asked is None and "asked for" not in error
        assert selected == matched if mode == "none" else selected < matched
    elif found_by == "tail_share":
        assert asked["asked"] == 0.2 and asked["came"] >= 0.2 and "asked for a tail of 0.2" in error
    else:
        wanted = int(FOUND_BY[found_by][1])
        to_select = ceil(wanted / (1 - loss))
        assert (asked["asked"], asked["to_select"], asked["selected"], asked["came"]) == (
            wanted,
            to_select,
            selected,
            came,
        )
        check_total(mode, found_by, to_select, selected, matched, plan)
        said = re.search(r"^asked for [\d,]+ pairs.*$", error, re.MULTILINE)
        assert said is not None and said[0] in Path(run.report).read_text().replace("&#x27;", "'").replace(
            "The balance was asked", "asked"
        )
        assert (f"{came} are in the shards" in said[0]) and (("than asked for" in said[0]) == (came != wanted))
        assert ("of 5,000" in said[0] or "of 6,667" in said[0]) == (found_by == "all")
        assert (f"selected {selected}; " in said[0]) == (selected == to_select)
    check_shortfall(run, plan, told)
    check_drawn_by(run, plan, rounds)
    assert len(list(Path(run.path("packing")).glob("round-*/pictures"))) <= 1 + (rounds if reserve else 0)


def check_total(mode: str, found_by: str, to_select: int, selected: int, matched: int, plan: Any) -> None:
    if found_by == "all":
        assert selected == matched
    elif mode == "independent":
        assert selected == to_select
    else:
        assert plan.t == int(plan.t)
        owned = plan.drawable
        assert selected == np.minimum(owned, plan.t).sum() and np.minimum(owned, plan.t + 1).sum() > to_select
        assert selected <= to_select or plan.t == 1


def check_shortfall(run: RunFolder, plan: Any, told: dict[str, Any]) -> None:
    """What is missing is counted again, from the pairs that are there."""
    lists = read_table(run.matched, MATCHED).column("query_ids").combine_chunks()
    counts = count_matches(lists, len(QUERIES))
    drawable = count_rarest(lists, counts) if plan.mode == "capped" else counts
    table = pq.read_table(run.shortfall)
    held = np.zeros(len(QUERIES), np.int64)
    for batch in iter_batches(run.joined, ["drawn_by"]):
        held += count_matches(batch.column("drawn_by"), len(QUERIES))
    ids = table.column("query_id").to_numpy()
    assert table.column("drawable").to_numpy().tolist() == drawable[ids].tolist()
    if plan.mode == "none":
        assert told["shortfall"]["missing_pairs"] == 0
        return
    assert table.column("held").to_numpy().tolist() == held[ids].tolist()
    if plan.mode == "capped" or plan.wanted_total is None:
        assert told["shortfall"]["missing_pairs"] == np.maximum(np.minimum(drawable, int(plan.t)) - held, 0).sum()
    else:
        drawn = read_vector(run.selected_counts("drawn_by"))
        assert told["shortfall"]["missing_pairs"] == np.maximum(drawn - held, 0).sum()


def check_drawn_by(run: RunFolder, plan: Any, rounds: int) -> None:
    """The queries whose draws reach the pair, by the reach at which topping up ended; so in the shards too."""
    number = max(int(path.name[6:]) for path in Path(run.path("packing")).glob("round-*"))
    made = number if Path(run.packing(number, "pictures")).exists() else number - 1
    last = np.full(len(QUERIES), -1.0) if made == 0 else read_vector(last_draws_of(run, made) or "")
    table = read_table(run.joined, JOINED)
    drawn_by = {}
    for pair, queries, found in zip(
        *(table.column(n).to_pylist() for n in ("pair_id", "query_ids", "drawn_by")), strict=True
    ):
        draws = {query: float(draw(np.array([pair], np.uint64), query, SEED)[0]) for query in queries}
        if plan.mode == "capped":
            (owner,) = rarest(pa.array([queries], pa.list_(pa.uint32())), plan.counts)
            assert found == [owner]
        else:
            limits = {
                query: draws[query] * plan.counts[query] < plan.t or draws[query] <= last[query] for query in queries
            }
            assert found == [query for query in queries if limits[query]]
            assert found or plan.mode == "none"
        drawn_by[f"{pair:016x}"] = found
    for folder in (run.shards, run.holdout):
        for path in Path(folder).glob("*.parquet"):
            rows = pq.read_table(path, columns=["key", "drawn_by"]).to_pylist()
            assert all(row["drawn_by"] == drawn_by[row["key"]] for row in rows)
