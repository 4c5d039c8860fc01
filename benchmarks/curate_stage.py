"""The whole curate stage as a user runs it, with worker processes and everything it writes, against the same work in Polars.

In: CURATE_STAGE_ROWS candidates (captions recombined from real ones, a real query list). Ours: ``pipeline curate`` with two
workers: captions counted, rules, matching, counts, draws, and the tables of matched, selected, reserved and rejected pairs. The
peer (curate_stage_peer.py) writes the selected and the reserved pairs alone. ``equal`` says that both counted the same matches of
every query and drew the same pairs. Language detection is off in both. Out also: wall time and peak memory of ours.
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
from benchmarks.resources import measure
from pipeline.layout import RunFolder, part_name
from pipeline.manifest import Entry, mark_complete, read_table, write_manifest
from pipeline.schema import CANDIDATES, SELECTED
from pipeline.tables.sink import write_part
from pipeline.text.file_name import CODE, COUNTER, FILE, SLUG, URL
from pipeline.text.markup import PATTERNS
from pipeline.transforms.outputs import ROWS_A_PART
from pipeline.transforms.sums import read_vector
from query_builder.lists import check_list

__all__ = ["run", "write_candidates"]

ROWS = int(os.environ.get("CURATE_STAGE_ROWS", "1000000"))
PEER = os.environ.get("CURATE_STAGE_PEER", "1") != "0"  # Polars holds all matches in memory: 10 M rows take 10 GB
WORKERS = 2
T = max(20, ROWS // 10_000)
SEED = 7
TIMEOUT = 7200.0
ROOT = Path(__file__).parents[1]
CONFIG = """queries = "{queries}"
seed = {seed}
[text]
detector = "off"
boilerplate = false
max_words = 0
max_characters = 0
min_letter_share = 0.0
max_word_length = 0
min_distinct_share = 0.0
marks = []
[balance]
t = {t}
reserve = 0.5
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
    mark_complete(run.candidates, "")


def run() -> dict[str, Any]:
    """The comparison."""
    with tempfile.TemporaryDirectory() as name:
        folder, done = Path(name), RunFolder(f"{name}/run")
        write_queries(real_queries(), folder / "queries.parquet")
        write_candidates(done, ROWS)
        (folder / "run.toml").write_text(
            CONFIG.format(queries=folder / "queries.parquet", seed=SEED, t=T), encoding="utf-8"
        )
        command = [sys.executable, "-m", "pipeline", "curate", str(folder / "run.toml"), "--output", done.root]
        cost = measure([*command, "--workers", str(WORKERS)], timeout=TIMEOUT, folder=ROOT)
        counts = read_vector(done.match_counts)
        drawn = [
            np.sort(read_table(table, SELECTED).column("pair_id").to_numpy()) for table in (done.selected, done.reserve)
        ]
        result: dict[str, Any] = {
            "ours": round(ROWS / cost.cpu),
            "peer": None,
            "ratio": None,
            "unit": "pairs a CPU-second",
            "equal": None,
            "pairs": ROWS,
            "cpu_seconds": round(cost.cpu, 1),
            "wall_seconds": round(cost.wall, 1),
            "memory_megabytes": round(cost.memory / 1e6),
            "matches": int(counts.sum()),
            "selected": len(drawn[0]),
        }
        if PEER:
            job: dict[str, Any] = {
                "queries": str(folder / "queries.parquet"),
                "pairs": done.candidates,
                "folder": name,
                "reject": [URL, FILE, COUNTER, CODE, SLUG, *(pattern for _, pattern in PATTERNS)],
                "min_words": 3,
                "min_characters": 6,
                "max_repeats": 10,
                "t": [T, T * 1.5],
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
                "peer": round(ROWS / peer["seconds"]),
                "ratio": round(peer["seconds"] / cost.cpu, 2),
                "equal": bool(equal),
                "peer_memory_megabytes": peer["memory_megabytes"],
            }
    return result
