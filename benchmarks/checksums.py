"""What it costs ``pipeline curate`` that all it reads and writes has checksums.

In: candidates with captions recombined from real ones, and the rules that do the least work a row, beside which
checksums weigh most. Out: processor seconds of the command with one worker, ``ours``, and without what goes into
comparing files with their SHA-256, counted while it runs (checksums_counted.py), and into the checksums of the pages of
the tables it leaves, which are written once more with them and without; ``share`` is the part of the whole that these
two take. ``equal`` says that those tables were the same when read again.
"""

import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.curate_stage import CONFIG, RULES_OF_BOTH, write_candidates
from benchmarks.match import real_queries, write_queries
from benchmarks.resources import measure
from benchmarks.table import Row, figure
from pipeline.keeping.folder import RunFolder
from webimagetext.parquet import read_parquet

__all__ = ["rows", "run"]

ROWS = int(os.environ.get("CHECKSUMS_ROWS", "1000000"))
TURNS = 5  # of writing a table
SEED = 7
TIMEOUT = 3600.0
ROOT = Path(__file__).parents[1]


def run() -> dict[str, Any]:
    """The command, and its tables written again."""
    with tempfile.TemporaryDirectory() as name:
        folder, given, done = Path(name), RunFolder(f"{name}/given"), RunFolder(f"{name}/done")
        write_queries(real_queries(), folder / "queries.parquet")
        write_candidates(given, ROWS)
        config = CONFIG.format(queries=folder / "queries.parquet", seed=SEED, t=max(20, ROWS // 10_000))
        (folder / "run.toml").write_text(config + RULES_OF_BOTH, encoding="utf-8")
        Path(done.root).mkdir()
        os.symlink(given.candidates, done.candidates)
        command = [sys.executable, "-m", "benchmarks.checksums_counted", str(folder / "counted.json")]
        options = ["curate", str(folder / "run.toml"), "--output", done.root, "--workers", "1"]
        measure([*command, *options], timeout=TIMEOUT, folder=ROOT)
        counted = json.loads((folder / "counted.json").read_text())
        tables = [read_parquet(pa.OSFile(str(path))) for path in sorted(Path(done.root).rglob("*.parquet"))]
    pages, equal = 0.0, True
    for table in tables:
        with_them, written = _writing(table, checksums=True)
        pages += with_them - _writing(table, checksums=False)[0]
        equal &= read_parquet(pa.BufferReader(written)).equals(table)
    checksums = counted["compared"] + pages
    return {
        "ours": round(counted["whole"], 2),
        "peer": round(counted["whole"] - checksums, 2),
        "ratio": round(1 - checksums / counted["whole"], 4),
        "unit": "processor seconds",
        "equal": equal,
        "pairs": ROWS,
        "share": round(checksums / counted["whole"], 4),
        "comparing_seconds": round(counted["compared"], 3),
        "compared_megabytes": round(counted["bytes"] / 1e6, 1),
        "page_seconds": round(pages, 3),
    }


def _writing(table: pa.Table, *, checksums: bool) -> tuple[float, bytes]:
    """Processor seconds of writing a table, the least of some turns, and the file."""
    least, content = float("inf"), b""
    for _ in range(TURNS):
        stream = io.BytesIO()
        began = time.thread_time()
        pq.write_table(table, stream, compression="zstd", write_page_checksum=checksums)
        least, content = min(least, time.thread_time() - began), stream.getvalue()
    return least, content


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    return [
        Row(
            f"`pipeline curate` of {result['pairs']:,} pairs with the fewest rules: {figure(result['ours'])} s",
            f"without checksums: {figure(result['peer'])} s",
            f"{100 * result['share']:.1f} % of the time go to them",
        )
    ]
