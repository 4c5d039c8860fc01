"""Counts of all rows as one vector: the same sum however rows come in batches, bundles and workers."""

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest

from pipeline.engines.engine import Engine
from pipeline.keeping.folder import RunFolder
from pipeline.tables import vectors
from pipeline.tables.vectors import CountIds, WriteVector, read_vector

SCHEMA = pa.schema([pa.field("ids", pa.list_(pa.uint32()))])
SIZE = 50


def ids_of(block: int) -> list[list[int]]:
    drawn = np.random.default_rng(block)
    return [drawn.choice(SIZE, drawn.integers(0, 5), replace=False).tolist() for _ in range(block * 7)]


def batches_of(block: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, block * 7, 5):
        yield pa.RecordBatch.from_pydict({"ids": ids_of(block)[start : start + 5]}, schema=SCHEMA)


@pytest.mark.parametrize("held", [1, 400, vectors.HELD_BYTES])
@pytest.mark.parametrize("blocks", [0, 9])
def test_the_sum_is_that_of_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, blocks: int) -> None:
    monkeypatch.setattr(vectors, "HELD_BYTES", held)
    url, log = str(tmp_path / "sum.npy"), tmp_path / "rows"
    log.touch()

    def count(batch: pa.RecordBatch) -> vectors.Int64:
        with open(log, "a") as stream:
            stream.write(f"{batch.num_rows}\n")
        return CountIds("ids", SIZE)(batch)

    def build(root: beam.Pipeline) -> None:
        rows = root | beam.Create(range(blocks)) | beam.FlatMap(batches_of).with_output_types(pa.RecordBatch)
        rows | WriteVector(count, SIZE, url)

    Engine(RunFolder(str(tmp_path))).run("count", build)
    every = [ids for block in range(blocks) for row in ids_of(block) for ids in row]
    assert read_vector(url).tolist() == np.bincount(every, minlength=SIZE).tolist()
    rows = sum(block * 7 for block in range(blocks))
    asked = [int(line) for line in log.read_text().split()]
    assert sum(asked) == rows
    if blocks:  # one batch at a time, some, all at once
        assert {1: max(asked) == 5, 400: 5 < max(asked) < rows}.get(held, asked == [rows])


def test_the_sum_is_the_same_from_two_workers_and_repeated_bundles(tmp_path: Path) -> None:
    def summed(name: str, *options: str, workers: int = 1) -> bytes:
        url = str(tmp_path / f"{name}.npy")

        def build(root: beam.Pipeline) -> None:
            rows = root | beam.Create(range(9)) | beam.Reshuffle()
            (
                rows
                | beam.FlatMap(batches_of).with_output_types(pa.RecordBatch)
                | WriteVector(CountIds("ids", SIZE), SIZE, url)
            )

        Engine(RunFolder(str(tmp_path)), options, workers).run("count", build)
        return Path(url).read_bytes()

    once = summed("once")
    assert summed("again", "--direct_runner_bundle_repeat=1") == once == summed("two", workers=2)
