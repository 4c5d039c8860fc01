"""Tables written and read by real Beam graphs: the same rows give the same bytes however the graph is run."""

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest

from pipeline.engines.engine import Engine
from pipeline.keeping import manifest
from pipeline.keeping.folder import RunFolder
from pipeline.tables.batches import BatchCoder, split
from pipeline.tables.sink import WriteTable, by_pair
from pipeline.tables.source import ReadTable
from webimagetext.errors import UserError

SCHEMA = pa.schema([pa.field("pair_id", pa.uint64(), nullable=False), pa.field("text", pa.string())])


def rows(block: int) -> Iterator[pa.RecordBatch]:
    ids = np.arange(block * 100, (block + 1) * 100, dtype=np.uint64)
    yield pa.RecordBatch.from_arrays([pa.array(ids), pa.array([f"text {i}" for i in ids])], schema=SCHEMA)


def write(folder: Path, *options: str, workers: int = 1, blocks: int = 7) -> str:
    target = str(folder / "table")

    def build(root: beam.Pipeline) -> None:
        batches = root | beam.Create(range(blocks)) | beam.FlatMap(rows).with_output_types(pa.RecordBatch)
        batches | WriteTable(target, SCHEMA, by_pair, ["pair_id"], 3)

    Engine(RunFolder(str(folder)), options, workers).run("write", build)
    return target


def test_same_bytes_with_repeated_bundles_and_two_workers(tmp_path: Path) -> None:
    once = write(tmp_path / "once")
    again = write(tmp_path / "again", "--direct_runner_bundle_repeat=1")
    two = write(tmp_path / "two", workers=2)
    assert manifest.manifest_digest(once) == manifest.manifest_digest(again) == manifest.manifest_digest(two)
    table = manifest.read_table(once, SCHEMA)
    assert sorted(table.column("pair_id").to_pylist()) == list(range(700))
    assert manifest.rows_in(once) == 700


def test_a_table_without_rows_has_a_manifest(tmp_path: Path) -> None:
    target = write(tmp_path, blocks=0)
    assert manifest.rows_in(target) == 0
    assert manifest.read_table(target, SCHEMA).num_rows == 0


def test_reading_picks_columns_and_ignores_files_the_manifest_does_not_name(tmp_path: Path) -> None:
    source, target = write(tmp_path), str(tmp_path / "copy")
    (tmp_path / "table" / "part-99999.parquet").write_bytes(b"left by a killed worker")
    narrow = pa.schema([SCHEMA.field("pair_id")])

    def build(root: beam.Pipeline) -> None:
        root | ReadTable(source, ["pair_id"], rows=50) | WriteTable(target, narrow, by_pair, ["pair_id"])

    Engine(RunFolder(str(tmp_path))).run("copy", build)
    assert manifest.read_table(target, narrow).column("pair_id").to_pylist() == list(range(700))


def test_a_missing_or_damaged_table_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no manifest"):
        manifest.read_manifest(str(tmp_path / "nowhere"))
    target = write(tmp_path)
    damaged = next(Path(target).glob("part-*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-40])
    with pytest.raises(UserError, match=damaged.name):
        list(manifest.iter_batches(target))


def test_multi_threading_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="loses rows"):
        Engine(RunFolder(str(tmp_path)), ["--direct_running_mode=multi_threading"])


def test_split_keeps_every_row_in_order_and_the_coder_returns_it() -> None:
    (batch,) = rows(0)
    parts = dict(split(batch, by_pair, 5))
    coder = BatchCoder()
    assert sum(part.num_rows for part in parts.values()) == 100
    for part in parts.values():
        ids = part.column("pair_id").to_pylist()
        assert ids == sorted(ids)
        assert coder.decode(coder.encode(part)).equals(part)
