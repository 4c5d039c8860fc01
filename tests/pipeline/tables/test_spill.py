"""The shuffle through files: the same rows in the same parts as Beam's own shuffle, and nothing left behind."""

from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.engines.engine import Engine
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import manifest_digest
from pipeline.tables import spill
from pipeline.tables.gather import Meet
from pipeline.tables.sink import WriteTable, by_pair
from pipeline.tables.spill import Spill, read_pieces

SCHEMA = pa.schema([pa.field("pair_id", pa.uint64(), nullable=False), pa.field("text", pa.string())])


def rows(block: int) -> Iterator[pa.RecordBatch]:
    ids = np.arange(block * 100, (block + 1) * 100, dtype=np.uint64)
    yield pa.RecordBatch.from_arrays([pa.array(ids), pa.array([f"text {i}" for i in ids])], schema=SCHEMA)
    yield pa.RecordBatch.from_arrays([pa.array([], pa.uint64()), pa.array([], pa.string())], schema=SCHEMA)


def table(root: beam.Pipeline, folder: Path) -> None:
    batches = root | beam.Create(range(20)) | beam.FlatMap(rows).with_output_types(pa.RecordBatch)
    batches | WriteTable(str(folder), SCHEMA, by_pair, ["pair_id"], 7)


def test_the_same_files_as_by_beams_own_shuffle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as root:
        table(root, tmp_path / "beam")
    for bytes_held in (spill.SPILL_BYTES, 3000):
        monkeypatch.setattr(spill, "SPILL_BYTES", bytes_held)
        engine = Engine(RunFolder(str(tmp_path)))
        engine.run("write", lambda root, held=bytes_held: table(root, tmp_path / str(held)))  # type: ignore[misc]
        assert manifest_digest(str(tmp_path / str(bytes_held))) == manifest_digest(str(tmp_path / "beam"))
        assert not (tmp_path / ".shuffle").exists()


def test_little_is_held_and_every_row_comes_back_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "SPILL_BYTES", 3000)
    work = Spill(by_pair, 5, str(tmp_path))
    work.start_bundle()
    found: dict[int, list[int]] = {}
    written = 0
    for batch in (batch for block in range(20) for batch in rows(block)):
        for part, piece in work.process(batch):
            written += 1
            found.setdefault(part, []).extend(
                number for read in read_pieces([piece]) for number in read.column("pair_id").to_pylist()
            )
        assert work.held < 3000
    for value in work.finish_bundle():
        part, piece = value.value
        found[part] += [number for read in read_pieces([piece]) for number in read.column("pair_id").to_pylist()]
    assert written > 20
    assert sorted(number for numbers in found.values() for number in numbers) == list(range(2000))
    for part, numbers in found.items():
        ids = pa.RecordBatch.from_pydict({"pair_id": pa.array(numbers, pa.uint64())})
        assert (by_pair(ids) % np.uint64(5) == part).all()


def test_sides_that_meet_and_a_side_without_rows(tmp_path: Path) -> None:
    def build(root: beam.Pipeline) -> None:
        sides = {
            name: root
            | f"Create {name}" >> beam.Create(blocks)
            | f"Rows of {name}" >> beam.FlatMap(rows).with_output_types(pa.RecordBatch)
            for name, blocks in (("left", [0, 1]), ("right", [1, 2]), ("none", []))
        }
        met = sides | Meet(dict.fromkeys(sides, by_pair), 3)
        counts = met | beam.Map(
            lambda group: (
                f"{group[0]} " + " ".join(f"{n} {sum(b.num_rows for b in s)}" for n, s in sorted(group[1].items()))
            )
        )
        counts | beam.io.WriteToText(str(tmp_path / "met"), shard_name_template="")

    Engine(RunFolder(str(tmp_path))).run("meet", build)
    lines = sorted((tmp_path / "met").read_text().splitlines())
    numbers = [[int(word) for word in line.split() if word.isdigit()] for line in lines]
    assert [line.split()[1::2] for line in lines] == [["left", "none", "right"]] * 3
    assert np.sum(numbers, axis=0).tolist() == [0 + 1 + 2, 200, 0, 200]
