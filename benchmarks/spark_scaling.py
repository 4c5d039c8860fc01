"""``python -m benchmarks.spark_scaling [--rows N]``: what a second Spark worker saves in ``pipeline curate``.

In: captions recombined from real ones, and a real query list. Out, as the last line: one JSON object with the seconds that the same
curation took on a cluster of one worker and of two (a core each, on this machine), their ratio, and whether both gave the same
files. Needs ``make spark`` and a machine that does nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.curate import write_pairs
from benchmarks.match import real_queries
from pipeline.layout import RunFolder, part_name
from pipeline.manifest import entry_of, manifest_digest, mark_complete, write_manifest
from pipeline.transforms.outputs import parts_for
from query_builder.normalize import normalize
from tests.engines.spark_cluster import ROOT, cluster
from webimagetext.errors import run_command

TABLES = ("frequent_captions", "matched", "selected", "reserve")


def _write_queries(path: Path) -> None:
    rows = sorted((normalize(surface), surface) for surface in real_queries())
    names, surfaces = zip(*rows, strict=True)
    ids = pa.array(range(len(rows)), pa.uint32())
    pq.write_table(pa.table({"query": names, "surface": surfaces, "id": ids, "sources": [["title"]] * len(rows)}), path)


def _write_candidates(run: RunFolder, rows: int) -> None:
    """The candidates in as many files as the pipeline itself would write."""
    folder = Path(run.candidates)
    folder.mkdir(parents=True)
    whole = folder.parent / "pairs.parquet"
    write_pairs(whole, rows)
    parts = parts_for(rows)
    entries = []
    table = pq.read_table(whole)
    for part in range(parts):
        piece = table.slice(part * rows // parts, (part + 1) * rows // parts - part * rows // parts)
        pq.write_table(piece, folder / part_name(part), compression="zstd", row_group_size=65536)
        entries.append(entry_of(str(folder), part_name(part), piece.num_rows))
    whole.unlink()
    write_manifest(str(folder), entries)
    mark_complete(str(folder), "")


def _curate(folder: Path, candidates: RunFolder, workers: int) -> tuple[float, RunFolder]:
    """Seconds of a curation on so many workers, and what it made."""
    run = RunFolder(str(folder / f"run-{workers}"))
    Path(run.root).mkdir()
    os.symlink(candidates.candidates, run.candidates)
    with cluster(folder / f"cluster-{workers}", workers) as spark:
        command = [sys.executable, "-m", "pipeline", "curate", str(folder / "run.toml"), "--output", run.root]
        began = time.monotonic()
        subprocess.run([*command, "--", *spark.options], cwd=ROOT, check=True)
        return time.monotonic() - began, run


def main() -> None:
    """Runs both and prints the comparison."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.spark_scaling", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rows", type=int, default=2_000_000, help="candidate pairs (default: 2,000,000)")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_queries(folder / "queries.parquet")
        (folder / "run.toml").write_text(f'queries = "{folder}/queries.parquet"\n[balance]\nt = 200\n')
        source = RunFolder(str(folder / "source"))
        _write_candidates(source, flags.rows)
        one, first = _curate(folder, source, 1)
        two, second = _curate(folder, source, 2)
        digests = [[manifest_digest(run.path(table)) for table in TABLES] for run in (first, second)]
    result = {
        "rows": flags.rows,
        "one_worker": round(one, 1),
        "two_workers": round(two, 1),
        "ratio": round(one / two, 2),
    }
    print(json.dumps({"name": "spark-scaling", **result, "unit": "seconds", "equal": digests[0] == digests[1]}))


if __name__ == "__main__":
    sys.exit(run_command(main))
