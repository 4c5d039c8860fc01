"""Popular values spread over parts: each row meets what it is to meet, once, and no part holds most of them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import read_table
from pipeline.stages import join
from pipeline.tables.schema import JOINED
from pipeline.tables.spill import Cut, read_cut
from pipeline.tables.spread import BINS, CountKeys, Popular, copied, spread
from pipeline.tables.vectors import write_vector
from tests.pipeline.small_job import Job, digests
from webimagetext.hashing import mix

ROWS = pa.schema([pa.field("value", pa.uint64(), nullable=False), pa.field("row", pa.uint64(), nullable=False)])
PARTS, EACH = 10_007, 100


def by_value(batch: pa.RecordBatch) -> np.ndarray:
    return mix(batch.column("value").to_numpy())


def by_row(batch: pa.RecordBatch) -> np.ndarray:
    return mix(batch.column("row").to_numpy())


def batch_of(values: np.ndarray) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array(values.astype(np.uint64)), pa.array(range(len(values)), pa.uint64())], schema=ROWS
    )


def cut(work: Cut, batch: pa.RecordBatch) -> dict[int, list[tuple[int, int]]]:
    """The (value, row) of each part."""
    work.start_bundle()
    assert list(work.process(batch)) == []
    parts = (value.value for value in work.finish_bundle())
    return {part: [tuple(row.values()) for row in read_cut([packed], ROWS)[0].to_pylist()] for part, packed in parts}


def test_each_row_meets_its_value_once_and_no_part_holds_most(tmp_path: Path) -> None:
    values = np.concatenate([np.zeros(3000, np.uint64), np.arange(1, 500, dtype=np.uint64), np.full(399, 7)])
    batch, sides = batch_of(values), batch_of(np.arange(500))
    popular = Popular(write_vector(CountKeys(by_value)(batch), str(tmp_path / "counts.npy")), EACH)
    parts = popular.of(by_value(batch))
    assert set(parts[values == 0].tolist()) == {30}
    assert set(parts[values != 0].tolist()) == {1}  # 400 rows of 7 are not beyond four parts
    rows = cut(Cut(spread(by_value, by_row, popular), PARTS, ROWS), batch)
    others = cut(Cut(copied(by_value, popular), PARTS, ROWS), sides)
    assert sorted(row for found in rows.values() for row in found) == sorted(
        zip(*batch.to_pydict().values(), strict=True)
    )
    for part, found in rows.items():
        assert {value for value, _ in found} <= {value for value, _ in others[part]}
        assert Counter(value for value, _ in found)[0] < 600
    assert Counter(value for found in others.values() for value, _ in found) == {**dict.fromkeys(range(500), 1), 0: 30}
    plain = cut(Cut(spread(by_value, by_row, None), PARTS, ROWS), batch)
    assert max(Counter(value for value, _ in found)[0] for found in plain.values()) == 3000
    untouched = [(value, row) for found in plain.values() for value, row in found if value]
    assert sorted(untouched) == sorted(row for found in rows.values() for row in found if row[0])


def test_rows_that_agree_in_both_stay_together(tmp_path: Path) -> None:
    batch = batch_of(np.zeros(1000))
    popular = Popular(write_vector(np.full(BINS, 1000), str(tmp_path / "counts.npy")), 10)
    assert set(popular.of(by_value(batch)).tolist()) == {1}  # no more than others
    popular = Popular(write_vector(CountKeys(by_value)(batch), str(tmp_path / "counts.npy")), 10)
    keys = spread(by_value, lambda rows: by_row(rows) % np.uint64(3), popular)(batch)
    assert len(set(zip(keys.tolist(), (by_row(batch) % np.uint64(3)).tolist(), strict=True))) == 3


def test_shards_are_the_same_with_every_value_spread(
    job: Job, first: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--package.near-duplicates", "6", "--package.rules.min-side", "8")
    plain, run = (job.copy(first, name) for name in ("plain", "spread"))
    job.run("plain", *options)
    monkeypatch.setattr(join, "BEYOND", 0)
    monkeypatch.setattr(join, "JOINED_A_PART", 1)
    monkeypatch.setattr(Popular, "parts", np.full(BINS, 3))
    job.run("spread", *options)
    ours, theirs = digests(run), digests(plain)
    assert ours.pop("joined") != theirs.pop("joined") and ours == theirs
    tables = [read_table(each.joined, JOINED).sort_by("pair_id") for each in (run, plain)]
    assert tables[0].equals(tables[1]) and tables[0].num_rows
