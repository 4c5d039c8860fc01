"""Batches of candidates made of captions alone."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from pipeline.hashing import pair_ids
from pipeline.tables.schema import CANDIDATES


def _batch(captions: list[str]) -> pa.RecordBatch:
    rows = len(captions)
    urls = pa.array([f"http://site/{row}.png" for row in range(rows)], pa.string())
    texts = pa.array(captions, pa.string())
    given = {"pair_id": pa.array(pair_ids(urls, texts), pa.uint64()), "url": urls, "caption": texts}
    columns = [given.get(field.name, pa.nulls(rows, field.type)) for field in CANDIDATES]
    return pa.RecordBatch.from_arrays(columns, schema=CANDIDATES)


@pytest.fixture(scope="session")
def batch_of() -> Callable[[list[str]], pa.RecordBatch]:
    return _batch
