"""Joining and freeing of duplicates at growing sizes: ``python -m benchmarks.growth_join SIZE …``.

In: made-up selected pairs and images, a random hash each; every tenth picture is a smaller near copy of another. Out: a
line of JSON for each size and stage: processor time and memory of all processes, their start included, and wall time.
``--popular 0.5`` puts half of the pairs under one picture.
"""

import json
import sys
import tempfile
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.resources import measure
from pipeline.balance.plan import write_plan
from pipeline.balance.select import Plan
from pipeline.config import RunConfig
from pipeline.engines.engine import Engine
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import rows_in, write_manifest
from pipeline.keeping.step import Context
from pipeline.stages.join import find_duplicates, join_pairs
from pipeline.tables.outputs import ROWS_A_PART
from pipeline.tables.schema import IMAGES, SELECTED
from pipeline.tables.sink import write_part
from pipeline.write.config import PackageConfig
from webimagetext.hashing import mix

__all__ = ["main"]

QUERIES = 1000
STAGES = ("join images", "exact duplicates", "near duplicates")


def _write(folder: str, schema: pa.Schema, rows: int, given: dict[str, Any]) -> None:
    columns = [
        pa.array(given[field.name], field.type) if field.name in given else pa.nulls(rows, field.type)
        for field in schema
    ]
    table = pa.table(columns, schema=schema)
    entries = [
        write_part(folder, part_name(number), table.slice(start, ROWS_A_PART))
        for number, start in enumerate(range(0, rows, ROWS_A_PART))
    ]
    write_manifest(folder, entries)


def _make(run: RunFolder, rows: int, popular: float) -> None:
    """The inputs of the stage: selected pairs, and an answer for the address of each."""
    ids = mix(np.arange(rows, dtype=np.uint64))
    picture = np.arange(rows)
    picture[: int(rows * popular)] = 0
    urls = [f"https://images.site-{number % 977}.example/some/folder/{number}.jpg" for number in range(rows)]
    queries = [[number % QUERIES] for number in range(rows)]
    captions = [f"a picture of thing number {number} seen from the left" for number in range(rows)]
    pages = [f"https://site-{number % 977}.example/a-page-of-it/{number}.html" for number in range(rows)]
    pairs: dict[str, Any] = {
        "pair_id": ids,
        "url": urls,
        "caption": captions,
        "page_url": pages,
        "source": ["pages"] * rows,
    }
    pairs |= {"query_ids": queries, "drawn_by": queries, "probability": np.ones(rows), "priority": np.ones(rows)}
    _write(run.selected, SELECTED, rows, pairs)
    hashes = mix(picture.astype(np.uint64) + np.uint64(1 << 40))
    copies = picture % 10 == 9
    hashes[copies] = mix(picture[copies].astype(np.uint64) - 1 + np.uint64(1 << 40)) ^ np.uint64(5)
    contents = [f"{number:016x}{'0' * 48}" for number in mix(picture.astype(np.uint64)).tolist()]
    sides = np.where(copies, 300, 640)
    images: dict[str, Any] = {
        "url": urls,
        "status": ["success"] * rows,
        "file": ["part.tar"] * rows,
        "sha256": contents,
    }
    images |= {"offset": np.arange(rows) * 20_000, "length": np.full(rows, 20_000), "phash": hashes}
    images |= dict.fromkeys(("width", "height", "original_width", "original_height"), sides)
    _write(run.images, IMAGES, rows, images)
    write_plan(run.plan, Plan("none", np.full(QUERIES, rows // QUERIES), 1.0, 1.0, 0))


def _run(root: str, stage: str) -> None:
    """One stage, in the process that is measured."""
    run = RunFolder(root)
    package = PackageConfig(near_duplicates=4 if stage == "near duplicates" else None)
    context = Context(run, RunConfig(package=package), Engine(run))
    (join_pairs if stage == "join images" else find_duplicates)(context, 0)


def main(arguments: list[str]) -> None:
    """Measures each size."""
    if arguments[0] == "--stage":
        _run(*arguments[1:])
        return
    popular = float(arguments[arguments.index("--popular") + 1]) if "--popular" in arguments else 0.0
    for rows in (int(argument) for argument in arguments if argument.isdigit()):
        with tempfile.TemporaryDirectory() as root:
            run = RunFolder(root)
            _make(run, rows, popular)
            for stage in STAGES:
                command = [sys.executable, "-m", "benchmarks.growth_join", "--stage", root, stage]
                cost = measure(command, timeout=1800)
                found = {"stage": stage, "pairs": rows, "cpu_seconds": round(cost.cpu, 1)}
                found |= {"wall_seconds": round(cost.wall, 1), "megabytes": round(cost.memory / 1e6)}
                print(json.dumps(found | {"stay": rows_in(run.joined) if stage != STAGES[0] else rows}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
