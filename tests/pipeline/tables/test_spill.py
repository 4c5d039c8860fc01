"""The shuffle through files: the same rows in the same parts as Beam's own shuffle, and nothing left behind."""

from collections import defaultdict
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
from pipeline.tables.spill import Cut, Piece, Spill, read_cut, read_spilled

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
    for bytes_held, groups, read in ((spill.HELD_BYTES, 256, 1 << 20), (3000, 256, 0), (3000, 2, 9000), (3000, 1, 0)):
        monkeypatch.setattr(spill, "HELD_BYTES", bytes_held)
        monkeypatch.setattr(spill, "GROUPS", groups)
        monkeypatch.setattr(spill, "READ_BYTES", read)
        engine = Engine(RunFolder(str(tmp_path)))
        engine.run("write", lambda root, to=f"{bytes_held}-{groups}": table(root, tmp_path / to))  # type: ignore[misc]
        assert manifest_digest(str(tmp_path / f"{bytes_held}-{groups}")) == manifest_digest(str(tmp_path / "beam"))
        assert not (tmp_path / ".shuffle").exists()


def cut(work: Cut | Spill) -> Iterator[list[tuple[int, bytes | Piece]]]:
    """What the step gives for each batch, and at its end."""
    work.start_bundle()
    for batch in (batch for block in range(20) for batch in rows(block)):
        yield list(work.process(batch))
        assert work.held < 3000
    yield [value.value for value in work.finish_bundle()]


def check_parts(found: dict[int, list[int]]) -> None:
    """Every row is there once, in its part, and in the order in which the rows came."""
    assert sorted(number for numbers in found.values() for number in numbers) == list(range(2000))
    for part, numbers in found.items():
        ids = pa.RecordBatch.from_pydict({"pair_id": pa.array(numbers, pa.uint64())})
        assert (by_pair(ids) % np.uint64(5) == part).all()
        assert numbers == sorted(numbers)


def ids_of(batches: list[pa.RecordBatch]) -> list[int]:
    return [number for batch in batches for number in batch.column("pair_id").to_pylist()]


def test_little_is_held_and_every_row_comes_back_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "HELD_BYTES", 3000)
    values: dict[int, list[bytes]] = defaultdict(list)
    for elements in cut(Cut(by_pair, 5, SCHEMA)):
        for part, packed in elements:
            assert isinstance(packed, bytes)
            values[part].append(packed)
    assert sum(map(len, values.values())) > 20
    for unpacked in (spill.UNPACK_BYTES, 2000):
        monkeypatch.setattr(spill, "UNPACK_BYTES", unpacked)
        check_parts({part: ids_of(read_cut(packed, SCHEMA)) for part, packed in values.items()})


@pytest.mark.parametrize(("groups", "read"), [(256, 1 << 20), (256, 0), (2, 1 << 20), (2, 5000), (1, 0)])
def test_files_hold_few_pieces_and_every_row_comes_back_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: int, read: int
) -> None:
    for name, value in {"HELD_BYTES": 3000, "GROUPS": groups, "READ_BYTES": read}.items():
        monkeypatch.setattr(spill, name, value)
    values: dict[int, list[Piece]] = defaultdict(list)
    for elements in cut(Spill(by_pair, 5, SCHEMA, str(tmp_path))):
        assert len(elements) <= min(5, groups)
        for group, piece in elements:
            assert isinstance(piece, Piece)
            values[group].append(piece)
    for unpacked in (spill.UNPACK_BYTES, 2000):
        monkeypatch.setattr(spill, "UNPACK_BYTES", unpacked)
        found = {}
        for pieces in values.values():
            sides = {"all": pieces, "some": pieces[:1], "none": []}
            for part, met in read_spilled(sides, dict.fromkeys(sides, SCHEMA)):
                assert part not in found
                found[part] = ids_of(met["all"])
                assert ids_of(met["some"]) == found[part][: len(ids_of(met["some"]))]
                assert met["none"] == []
        check_parts(found)


def test_sides_that_meet_and_a_side_without_rows(tmp_path: Path) -> None:
    def build(root: beam.Pipeline) -> None:
        sides = {
            name: root
            | f"Create {name}" >> beam.Create(blocks)
            | f"Rows of {name}" >> beam.FlatMap(rows).with_output_types(pa.RecordBatch)
            for name, blocks in (("left", [0, 1]), ("right", [1, 2]), ("none", []))
        }
        met = sides | Meet(dict.fromkeys(sides, by_pair), 3, dict.fromkeys(sides, SCHEMA))
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
