"""The whole curate stage as a user runs it, with worker processes and everything it writes, against the same work in
Polars.

In: candidates (captions recombined from real ones, a real query list), as many as each of CURATE_STAGE_ROWS says, since
the start weighs less the more there are; the result itself is that of the last, and ``sizes`` has all. Ours: ``pipeline
curate``: captions counted, rules, matching, counts, draws, and the tables of matched, selected, reserved and rejected
pairs. The peer (curate_stage_peer.py) writes the selected and the reserved pairs alone. ``equal`` says that both
counted the same matches of every query and drew the same pairs. The rules that the peer has not, language detection
above all, are turned off; ``defaults`` is the same command with all of them on, as people get it. Out also: wall time
and peak memory of ours.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.curate import recombined
from benchmarks.match import real_queries, write_queries
from benchmarks.peers import run_in_peers
from benchmarks.resources import Cost, measure
from benchmarks.table import Row, figure, times
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import Entry, mark_complete, read_table, write_manifest
from pipeline.keeping.step import FORMAT
from pipeline.tables.outputs import ROWS_A_PART
from pipeline.tables.schema import CANDIDATES, SELECTED
from pipeline.tables.sink import write_part
from pipeline.tables.vectors import read_vector
from pipeline.text.file_name import CODE, COUNTER, FILE, SLUG, URL
from pipeline.text.markup import PATTERNS
from query_builder.lists import check_list

__all__ = ["rows", "run", "write_candidates"]

SIZES = [int(size) for size in os.environ.get("CURATE_STAGE_ROWS", "1000000,10000000").split(",")]
PEER = os.environ.get("CURATE_STAGE_PEER", "1") != "0"  # Polars holds all matches in memory: 10 M rows take 10 GB
SEED = 7
TIMEOUT = 7200.0
ROOT = Path(__file__).parents[1]
CONFIG = """queries = "{queries}"
seed = {seed}
[balance]
t = {t}
reserve = 0.5
"""
RULES_OF_BOTH = """[text]
detector = "off"
boilerplate = false
max_words = 0
max_characters = 0
min_letter_share = 0.0
max_word_length = 0
min_distinct_share = 0.0
marks = []
"""


def write_candidates(run: RunFolder, rows: int) -> None:
    """The table that ``extract`` would leave: parts of a quarter of a million rows, each ordered by pair."""
    entries: list[Entry] = []
    waiting: list[pa.RecordBatch] = []
    held = 0

    def write() -> None:
        table = pa.Table.from_batches(waiting, CANDIDATES).sort_by("pair_id")
        entries.append(write_part(run.candidates, part_name(len(entries)), table))

    for batch in recombined(rows):
        waiting.append(batch)
        held += batch.num_rows
        if held >= ROWS_A_PART:
            write()
            waiting, held = [], 0
    if waiting:
        write()
    write_manifest(run.candidates, entries)
    mark_complete(run.candidates, "", format=FORMAT, settings={"extract": {"source": "url_list"}})


def _curate(folder: Path, done: RunFolder, config: str) -> Cost:
    """What the command costs with this configuration."""
    (folder / "run.toml").write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "pipeline", "curate", str(folder / "run.toml"), "--output", done.root]
    return measure(command, timeout=TIMEOUT, folder=ROOT)


def _compare(rows: int) -> dict[str, Any]:
    """The comparison on so many candidates."""
    with tempfile.TemporaryDirectory() as name:
        folder, done, as_given = Path(name), RunFolder(f"{name}/run"), RunFolder(f"{name}/defaults")
        queries, t = folder / "queries.parquet", max(20, rows // 10_000)
        write_queries(real_queries(), queries)
        write_candidates(done, rows)
        config = CONFIG.format(queries=queries, seed=SEED, t=t)
        Path(as_given.root).mkdir()
        os.symlink(done.candidates, as_given.candidates)
        defaults = _curate(folder, as_given, config)
        cost = _curate(folder, done, config + RULES_OF_BOTH)
        counts = read_vector(done.match_counts)
        drawn = [
            np.sort(read_table(table, SELECTED).column("pair_id").to_numpy()) for table in (done.selected, done.reserve)
        ]
        result: dict[str, Any] = {
            "ours": round(rows / cost.cpu),
            "peer": None,
            "ratio": None,
            "unit": "pairs a CPU-second",
            "equal": None,
            "pairs": rows,
            "cpu_seconds": round(cost.cpu, 1),
            "wall_seconds": round(cost.wall, 1),
            "memory_megabytes": round(cost.memory / 1e6),
            "matches": int(counts.sum()),
            "selected": len(drawn[0]),
            "defaults": {"cpu_seconds": round(defaults.cpu, 1), "wall_seconds": round(defaults.wall, 1)},
        }
        if PEER:
            job: dict[str, Any] = {
                "queries": str(queries),
                "pairs": done.candidates,
                "folder": name,
                "reject": [URL, FILE, COUNTER, CODE, SLUG, *(pattern for _, pattern in PATTERNS)],
                "min_words": 3,
                "min_characters": 6,
                "max_repeats": 10,
                "t": [t, t * 1.5],
                "seed": SEED,
            }
            (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
            peer = run_in_peers(Path(__file__).with_name("curate_stage_peer.py"), folder / "job.json", timeout=TIMEOUT)
            table = pq.read_table(folder / "peer_counts.parquet")
            theirs = np.zeros(check_list(job["queries"]), np.int64)
            theirs[table.column("id").to_numpy()] = table.column("count").to_numpy()
            equal = np.array_equal(theirs, counts)
            for ours, kind in zip(drawn, ("selected", "reserve"), strict=True):
                found = pq.read_table(sorted(map(str, folder.glob(f"peer_{kind}_*.parquet"))), columns=["pair_id"])
                equal &= np.array_equal(np.sort(found.column("pair_id").to_numpy()), ours)
            result |= {
                "peer": round(rows / peer["seconds"]),
                "ratio": round(peer["seconds"] / cost.cpu, 2),
                "equal": bool(equal),
                "peer_memory_megabytes": peer["memory_megabytes"],
            }
    return result


def run() -> dict[str, Any]:
    """The comparison, for each number of candidates."""
    sizes = [_compare(size) for size in SIZES]
    equal = all(found["equal"] for found in sizes) if PEER else None
    return {**sizes[-1], "equal": equal, "sizes": sizes}


def rows(result: dict[str, Any]) -> list[Row]:
    """A line of the table for each number of candidates."""
    return [
        Row(
            f"`pipeline curate` of {found['pairs']:,} pairs, with the rules turned off that the other lacks: "
            f"{figure(found['cpu_seconds'])} s, {figure(found['memory_megabytes'] / 1000, 2)} GB; with its defaults: "
            f"{figure(found['defaults']['cpu_seconds'])} s",
            f"Polars: {figure(found['pairs'] / found['peer'])} s, {figure(found['peer_memory_megabytes'] / 1000, 2)} "
            "GB",
            f"{times(found['ratio'])}; the other takes "
            f"{figure(found['peer_memory_megabytes'] / found['memory_megabytes'], 2)} times the memory",
        )
        for found in result["sizes"]
        if found["peer"]
    ]
