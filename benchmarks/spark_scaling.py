"""``python -m benchmarks.spark_scaling [--rows N] [--millis T]``: what further Spark executors save.

A table is read, brought together in 64 parts, each row takes a simulated service time (a wait, as for a server or an
accelerator, so that the executors do not share this machine's cores), and a table is written: one graph of the kind
that all stages are, on a standalone cluster of one, two and four executors with a core each. A small graph before it
starts the application and the Python workers, and is not counted. Out, as the last line: one JSON object with the
seconds of each, the ratio of one executor to four, and whether all wrote the same bytes. Needs ``make spark``.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa

from pipeline.engines.engine import Engine
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import manifest_digest, write_manifest
from pipeline.tables.gather import Gather
from pipeline.tables.sink import WriteGroups, by_pair, write_part
from pipeline.tables.source import ReadTable
from tests.engines.spark_cluster import cluster
from webimagetext.command import run_command

SCHEMA = pa.schema([pa.field("pair_id", pa.uint64(), nullable=False)])
FILES, PARTS = 16, 64
EXECUTORS = (1, 2, 4)
PROPERTIES = ("-Dspark.executor.cores=1", "-Dspark.executor.memory=512m")


def _write_pairs(folder: str, rows: int) -> None:
    pieces = np.array_split(np.arange(rows, dtype=np.uint64), FILES)
    tables = [pa.table([piece], schema=SCHEMA) for piece in pieces]
    write_manifest(folder, [write_part(folder, part_name(number), table) for number, table in enumerate(tables)])


def _serve(group: tuple[int, pa.Table], seconds: float) -> Iterator[tuple[int, pa.Table]]:
    """Takes so long for each row."""
    time.sleep(seconds * group[1].num_rows)
    yield group


def _graph(root: beam.Pipeline, source: str, target: str, seconds: float) -> None:
    groups = root | "Read" >> ReadTable(source) | "Together" >> Gather(by_pair, PARTS, SCHEMA, ["pair_id"])
    groups | "Serve" >> beam.FlatMap(_serve, seconds) | "Write" >> WriteGroups(target)


def _seconds(folder: Path, executors: int, seconds: float) -> tuple[float, str]:
    """What the graph takes on so many executors, and what it wrote."""
    run = RunFolder(str(folder / f"run-{executors}"))
    with cluster(folder / f"cluster-{executors}", 0) as spark:
        spark.add_worker(executors, f"{512 * executors}m")
        engine = Engine(run, [*spark.options, *(f"--job_server_jvm_properties={word}" for word in PROPERTIES)])
        engine.run("start", partial(_graph, source=str(folder / "pairs"), target=run.path("start"), seconds=0.0))
        began = time.monotonic()
        engine.run("serve", partial(_graph, source=str(folder / "pairs"), target=run.path("served"), seconds=seconds))
        return time.monotonic() - began, manifest_digest(run.path("served"))


def main() -> None:
    """Runs all and prints the comparison."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.spark_scaling", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rows", type=int, default=16_000, help="rows (default: 16,000)")
    parser.add_argument("--millis", type=float, default=5.0, help="milliseconds a row takes (default: 5)")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_pairs(str(folder / "pairs"), flags.rows)
        found = {executors: _seconds(folder, executors, flags.millis / 1000) for executors in EXECUTORS}
    took = {executors: round(seconds, 1) for executors, (seconds, _) in found.items()}
    equal = len({digest for _, digest in found.values()}) == 1
    result = {"rows": flags.rows, "millis": flags.millis, "executors": took, "ratio": round(took[1] / took[4], 2)}
    print(json.dumps({"name": "spark-scaling", **result, "unit": "seconds", "equal": equal}))


if __name__ == "__main__":
    sys.exit(run_command(main))
