"""Topping up on a site with 30 % dead images: queries that lost pairs hold t again, whatever the balance mode."""

import json
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import manifest_digest, read_table
from pipeline.tables.schema import JOINED, REJECTS
from tests.pipeline.small_site import serve

QUERIES = ["owl", "fox", "hen", "cat", "rare bird"]
HEAD, MATCHES, T = 4, 60, 12


def is_dead(name: str) -> bool:
    return zlib.crc32(name.encode()) % 10 < 3


def build(folder: Path) -> None:
    (folder / "site").mkdir()
    rows = []
    for number in range(HEAD * MATCHES + 3):
        query = QUERIES[number % HEAD] if number < HEAD * MATCHES else QUERIES[HEAD]
        name = f"{number:04}.png"
        rows.append((name, f"a {query} seen on day {number}"))
        if not is_dead(name):
            pixels = np.random.default_rng(number).integers(0, 255, (9, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((72, 64)).save(folder / "site" / name)
    ids = pa.array(range(len(QUERIES)), pa.uint32())
    sources = pa.array([["synset"]] * len(QUERIES))
    pq.write_table(
        pa.table({"query": QUERIES, "surface": QUERIES, "id": ids, "sources": sources}), folder / "queries.parquet"
    )
    (folder / "rows.json").write_text(json.dumps(rows))


def run(folder: Path, url: str, name: str, *options: str) -> RunFolder:
    rows = json.loads((folder / "rows.json").read_text())
    columns = {"URL": [url + file for file, _ in rows], "TEXT": [caption for _, caption in rows]}
    pq.write_table(pa.table(columns), folder / "list.parquet")
    (folder / "run.toml").write_text(
        f'queries = "{folder}/queries.parquet"\n'
        f'[extract]\nsource = "url_list"\ninputs = ["{folder}/list.parquet"]\n'
        '[text]\ndetector = "off"\n[http]\nallow_loopback = true\ndelay = 0.0\n'
        f"[balance]\nt = {T}\nreserve = 2.0\ntop_up_rounds = 9\n"
    )
    assert main(["run", str(folder / "run.toml"), "--output", str(folder / name), *options]) == 0
    return RunFolder(str(folder / name))


def shortfall(made: RunFolder) -> dict[str, dict[str, object]]:
    return {row["query"]: row for row in pq.read_table(made.shortfall).to_pylist()}


@pytest.mark.parametrize("mode", ["independent", "capped"])
def test_head_queries_hold_t_again(tmp_path: Path, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path)
    with serve(tmp_path / "site") as site:
        made = run(tmp_path, site.url, "run", "--balance.mode", mode)
        asked = len(site.asked)
        if mode == "independent":
            run(tmp_path, site.url, "run", "--balance.mode", mode)
            assert capsys.readouterr().err.count("finished before, skipped") == 7
            assert len(site.asked) == asked  # finished: nothing is asked or made again
            # As a kill in the last round leaves it: that round alone is joined again.
            before, first = manifest_digest(made.joined), Path(made.packing(0, "pictures"), "_MANIFEST").stat()
            last = sorted(Path(made.root, "packing").glob("round-*/pictures"))[-1]
            (last / "_SUCCESS").unlink()
            Path(made.joined, "_SUCCESS").unlink()
            run(tmp_path, site.url, "run", "--balance.mode", mode)
            assert "join pairs and images: continues where it stopped" in capsys.readouterr().err
            assert len(site.asked) == asked and manifest_digest(made.joined) == before
            assert Path(made.packing(0, "pictures"), "_MANIFEST").stat().st_mtime_ns == first.st_mtime_ns
    counts = shortfall(made)
    head = [counts[query] for query in QUERIES[:HEAD]]
    before = sum(row["held_before"] >= T for row in head)
    after = sum(row["held"] >= T for row in head)
    assert before < after == HEAD, head
    captions = read_table(made.joined, JOINED).column("caption").to_pylist()
    for query in QUERIES[:HEAD]:
        held = sum(f" {query} " in caption for caption in captions)
        assert held == counts[query]["held"]
        assert held == T if mode == "capped" else held >= T
    # A query with too few matches has no reserve: what it lacks is told with the cause.
    rare = counts[QUERIES[HEAD]]
    dead = sum(is_dead(f"{number:04}.png") for number in range(HEAD * MATCHES, HEAD * MATCHES + 3))
    assert (rare["held"], rare["missing"], rare["reserve_left"]) == (3 - dead, dead, 0)
    assert rare["lost"] == ([{"cause": "dead links", "pairs": dead}] if dead else [])
    steps = {step["name"]: step for step in json.loads(Path(made.funnel).read_text())["steps"]}
    assert all(step["unaccounted"] == 0 for step in steps.values()), steps
    told = json.loads(Path(made.funnel).read_text())
    assert (told["shortfall"]["head_holding_t"], told["shortfall"]["head_queries"]) == (HEAD, HEAD)
    assert told["shortfall"]["head_holding_t_before_top_up"] == before
    assert told["queries"]["queries_in_head"] == HEAD and told["curve"][-1] == [5, HEAD * MATCHES + 3]
    assert "after topping up from the reserve" in Path(made.report).read_text()
    reasons = set(read_table(made.rejects("package"), REJECTS).column("reason").to_pylist())
    assert reasons == ({"http_404", "over_t"} if mode == "capped" else {"http_404"})


@pytest.mark.slow
def test_two_workers_top_up_with_the_same_pairs(tmp_path: Path) -> None:
    build(tmp_path)
    with serve(tmp_path / "site") as site:
        one = run(tmp_path, site.url, "one", "--balance.mode", "capped")
        two = run(tmp_path, site.url, "two", "--balance.mode", "capped", "--workers", "2")
    assert manifest_digest(one.joined) == manifest_digest(two.joined)
    assert Path(one.packing(1, "pairs")).exists()
