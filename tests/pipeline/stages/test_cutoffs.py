"""The cutoffs of the capped balance: the same from the parts of many queries, one at a time, as from all at once."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.balance.capped import CANDIDATE_DRAWS, candidates, cutoffs, windows
from pipeline.keeping.manifest import write_manifest
from pipeline.stages.balance import _expected, _of_all_parts
from pipeline.tables.sink import write_part

QUERIES, T, SEED = 40, 30, 5


def test_parts_one_at_a_time_give_what_all_at_once_give(tmp_path: Path) -> None:
    drawn = np.random.default_rng(1)
    owners = np.minimum(drawn.geometric(0.12, 20_000) - 1, QUERIES - 1)
    owned = np.bincount(owners, minlength=QUERIES).astype(np.int64)
    owned[3] += 500  # rows that are not there: the window misses the query
    pairs = pa.array(drawn.integers(0, 1 << 63, len(owners), np.uint64))
    bounds = windows(owned, T)
    below, inside = candidates(pairs, owners, bounds, SEED)
    expected, missed = cutoffs([inside], below, owned, T)
    assert (owned <= T).any() and (owned > T).any()
    assert 0.5 < _expected(owned, bounds) / inside.num_rows < 2

    queries = inside.column("query_id").to_numpy()
    entries = []
    for part in range(3):
        rows = pa.Table.from_batches([inside.filter(pa.array(queries % 3 == part))], schema=CANDIDATE_DRAWS)
        entries.append(write_part(str(tmp_path), f"part-{part:05d}.parquet", rows))
    write_manifest(str(tmp_path), entries)
    found, missed_in_parts = _of_all_parts(str(tmp_path), below, owned, T)
    assert found.draw.tolist() == expected.draw.tolist() and found.pair.tolist() == expected.pair.tolist()
    assert missed_in_parts.tolist() == missed.tolist()
