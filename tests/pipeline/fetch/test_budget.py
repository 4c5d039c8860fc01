"""Budgets of a fetch: what one command asks for, which addresses these are, and that the same command goes on."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.__main__ import main
from pipeline.fetch.budget import Allowance, allow
from pipeline.fetch.config import FetchConfig
from pipeline.hashing import hash64
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import is_complete, read_made, samples_in
from tests.pipeline.small_site import Site, serve
from tests.pipeline.test_open_work import IMAGES, build, steps_told


def pictures(site: Site) -> list[str]:
    return [path for path in site.asked if path.endswith(".png")]


@pytest.mark.slow
def test_requests_are_drawn_by_their_hash_and_the_command_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve(tmp_path / "site") as site:
        config = str(build(tmp_path, site.url))
        runs = [RunFolder(str(tmp_path / name)) for name in ("one", "two")]
        words = ["run", config, "--http.delay", "0", "--fetch.max-requests", "13"]
        assert main([*words, "--output", runs[0].root]) == 0
        told = capsys.readouterr().err
        first = pictures(site)
        chosen = sorted((f"{site.url}{number:02}.png" for number in range(IMAGES)), key=hash64)
        assert {f"{site.url[:-1]}{path}" for path in first} == set(chosen[:13]) and len(first) == 13
        left = IMAGES - 13
        assert told.splitlines()[-1].startswith(f"not finished: {left} image addresses are open")
        assert f"(most of 127.0.0.1: {left}; fetch.max_requests = 13)" in told and "the next round" not in told
        assert not is_complete(runs[0].images) and (read_made(runs[0].images) or {})["open"] == left
        assert steps_told(runs[0])["fetch"]["open"] == left and samples_in(runs[0].shards) == 13

        assert main([*words, "--output", runs[1].root, "--workers", "2"]) == 0
        assert set(pictures(site)[13:]) == set(first)  # the same ones with other workers
        for number in (2, 3):
            assert main([*words, "--output", runs[0].root]) == 0
            assert len(pictures(site)) == 13 * (number + 1)
        assert main([*words, "--output", runs[0].root]) == 0
    assert len(pictures(site)) == 13 * 4 + 1 and len(set(pictures(site))) == IMAGES
    assert is_complete(runs[0].images) and samples_in(runs[0].shards) == IMAGES
    assert not Path(runs[0].path(".spent-fetch")).exists()


def test_bytes_end_a_fetch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(tmp_path / "site") as site:
        config = str(build(tmp_path, site.url))
        run = RunFolder(str(tmp_path / "run"))
        size = sum(path.stat().st_size for path in (tmp_path / "site").iterdir()) / IMAGES
        words = ["run", config, "--output", run.root, "--http.delay", "0", "--http.concurrency-per-host", "1"]
        words += ["--fetch.max-bytes", str(int(9.5 * size))]
        asked = [0]
        for _ in range(3):
            assert main(words) == 0
            asked.append(len(pictures(site)))
        # The last one of each command spends more than was left.
        assert all(9 <= after - before <= 11 for before, after in itertools.pairwise(asked)), asked
        assert "fetch.max_bytes = " in capsys.readouterr().err and not is_complete(run.images)
        assert main([*words, "--fetch.max-bytes", "0"]) == 0
    assert len(set(pictures(site))) == IMAGES == len(pictures(site)) and is_complete(run.images)


def test_topping_up_is_part_of_the_budget(tmp_path: Path) -> None:
    """What is not asked for yet is missing, but the reserve is not asked in its place."""
    with serve(tmp_path / "site") as site:
        config = str(build(tmp_path, site.url))
        words = ["run", config, "--output", str(tmp_path / "run"), "--http.delay", "0", "--balance.t", "20"]
        assert main([*words, "--fetch.max-requests", "6", "--balance.reserve", "9"]) == 0
        assert len(pictures(site)) == 6


@pytest.mark.parametrize("seed", range(20))
def test_what_is_allowed_are_the_first_by_hash(seed: int) -> None:
    draw = np.random.default_rng(seed)
    wanted = [f"http://a.example/{number}" for number in draw.integers(0, 300, 200)]
    answered = [f"http://a.example/{number}" for number in draw.integers(0, 500, draw.integers(0, 200))]
    most = int(draw.integers(0, 200))
    cut = int(draw.integers(1, 200))
    batches = [pa.array(wanted[:cut]), pa.array(wanted[cut:])]
    free = sorted(set(wanted) - set(answered), key=hash64)
    found = allow(lambda: batches, lambda: [pa.array(answered, pa.string())], most, len(wanted))
    assert [url for url in free if found.allows(url)] == free[:most]
    assert (found.asked, found.open) == (min(most, len(free)), len(free))
    assert allow(lambda: batches, list, float("inf"), 200) == Allowance(1 << 64, len({*wanted}), len({*wanted}))


def test_of_very_many_a_share_tells_where_to_end() -> None:
    wanted = pa.array([f"http://a.example/{number}" for number in range(40_000)])
    found = allow(lambda: [wanted], lambda: [wanted.slice(0, 10_000)], 6_000, 40_000, exact=10_000)
    free = [url for url in wanted.slice(10_000).to_pylist() if found.allows(url)]
    assert len(free) == pytest.approx(6_000, rel=0.06) and found.open == pytest.approx(30_000, rel=0.04)


def test_the_budgets_that_are_set_are_named() -> None:
    assert FetchConfig().budgets == []
    assert FetchConfig(max_hours=0.5, max_bytes=10).budgets == ["fetch.max_hours = 0.5", "fetch.max_bytes = 10"]
