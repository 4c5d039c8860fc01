"""``python -m benchmarks.spark_scaling [--rows N]``: what a second Spark worker saves in ``pipeline curate``.

In: captions recombined from real ones, and a real query list. Out, as the last line: one JSON object with the seconds
that the same curation took on a cluster of one worker and of two (a core each, on this machine), their ratio, and
whether both gave the same files. Needs ``make spark`` and a machine that does nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.curate_stage import write_candidates
from benchmarks.match import real_queries, write_queries
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import manifest_digest
from tests.engines.spark_cluster import ROOT, cluster
from webimagetext.command import run_command

TABLES = ("frequent_captions", "matched", "selected", "reserve")


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
        write_queries(real_queries(), folder / "queries.parquet")
        (folder / "run.toml").write_text(f'queries = "{folder}/queries.parquet"\n[balance]\nt = 200\n')
        source = RunFolder(str(folder / "source"))
        write_candidates(source, flags.rows)
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
