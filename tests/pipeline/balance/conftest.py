"""A pool of pairs whose queries follow Zipf's law, as captions do."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline.hashing import hash64
from pipeline.tables.schema import MATCHED

QUERIES = 300


def matched_batch(pair_ids: list[int], query_ids: list[list[int]]) -> pa.RecordBatch:
    """A MATCHED batch with the given ids and no other content."""
    rows = len(pair_ids)
    given = {
        "pair_id": pa.array(pair_ids, pa.uint64()),
        "url": pa.array([f"http://site/{pair}" for pair in pair_ids]),
        "caption": pa.array(["a caption"] * rows),
        "query_ids": pa.array(query_ids, pa.list_(pa.uint32())),
    }
    columns = [given.get(field.name, pa.nulls(rows, field.type)) for field in MATCHED]
    return pa.RecordBatch.from_arrays(columns, schema=MATCHED)


@pytest.fixture(scope="session")
def pool() -> pa.RecordBatch:
    """4,000 pairs with one to eight of 300 queries (the last ten of which nothing matches), and one pair without
    any."""
    generator = np.random.default_rng(5)
    weights = 1.0 / np.arange(1, QUERIES - 9)
    weights /= weights.sum()
    lists = [
        sorted(set(generator.choice(QUERIES - 10, size=generator.integers(1, 9), p=weights).tolist()))
        for _ in range(4000)
    ]
    lists[17] = []
    return matched_batch([hash64(f"pair {index}") for index in range(len(lists))], lists)
