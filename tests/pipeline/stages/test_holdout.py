"""Pictures kept apart: no near picture is on the other side, whatever the engine cuts."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.dedup.near import distances
from pipeline.hashing import hash_numbers
from pipeline.keeping.folder import RunFolder
from tests.pipeline.small_job import Job


def rows(folder: str, column: str) -> pa.ChunkedArray:
    return pa.concat_tables(pq.read_table(path, columns=[column]) for path in Path(folder).glob("*.parquet"))[column]


def test_a_picture_that_is_kept_apart_has_no_near_one_in_the_shards(job: Job, first: RunFolder) -> None:
    run = job.copy(first, "apart")

    def closest() -> int:
        trained, apart = (hash_numbers(rows(folder, "phash")).to_numpy() for folder in (run.shards, run.holdout))
        return int(distances(trained[:, None], apart[None, :]).min())

    assert closest() == 0  # drawings that differ in colour alone
    job.run("apart", "--package.holdout-distance", "4")
    held = rows(run.holdout, "sha256").to_pylist()
    assert closest() > 4
    trained = rows(run.shards, "sha256").to_pylist()
    assert sorted(trained + held) == sorted(rows(run.joined, "sha256").to_pylist())
    kept = rows(run.held_out, "content").to_pylist()
    assert kept == sorted({int(content[:16], 16) for content in held})
