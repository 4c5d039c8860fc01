"""A run that is given texts instead of a query list: the list is made of them, kept in the run folder, and made
once."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.keeping.folder import RunFolder
from query_builder.lists import read_list
from tests.pipeline.small_job import QUERIES, Job, digests


def pairs(table: str) -> set[tuple[str, tuple[int, ...]]]:
    rows = pq.read_table(table, columns=["url", "query_ids"]).to_pylist()
    return {(row["url"], tuple(row["query_ids"])) for row in rows}


def test_texts_find_what_the_list_of_them_finds(
    job: Job, first: RunFolder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "my.txt"
    own.write_text("\n".join(["RED!", *QUERIES, "…"]) + "\n")
    run = job.run("own", "--queries", str(own))
    told = capfd.readouterr().err
    assert f"{len(QUERIES) + 2} texts gave {len(QUERIES)} queries" in told
    assert "1 equal to an earlier one: 'red' = 'RED!'" in told
    assert "1 without a word: '…'" in told
    assert pq.read_table(run.counts).equals(pq.read_table(first.counts))
    assert sorted(os.listdir(run.shards)) == sorted(os.listdir(first.shards))
    assert read_list(run.own_queries, ("sources",))["sources"].to_pylist()[0] == ["list:my.txt"]
    assert f'queries = "{own}"' in Path(run.config).read_text()

    before = digests(run)
    job.run("own", "--queries", str(own))
    told = capfd.readouterr().err
    assert "texts gave" not in told
    assert told.count("skipped") >= 5
    own.write_text("\n".join(QUERIES[:3]))
    job.run("own", "--queries", str(own))
    assert "3 texts gave 3 queries" in capfd.readouterr().err
    assert pq.read_table(run.counts).num_rows == 3
    assert digests(run) != before


def test_a_list_without_sources_is_matched(job: Job, tmp_path: Path) -> None:
    bare = tmp_path / "bare.parquet"
    pq.write_table(pa.table({"query": ["circle", "red"], "id": pa.array([0, 1], pa.uint32())}), bare)
    run = job.run("bare", "--queries", str(bare))
    assert pq.read_table(run.counts)["query"].to_pylist() == ["circle", "red"]
    assert pq.read_table(run.counts)["matched"].to_pylist()[1] > 0
    assert not os.path.exists(run.own_queries)


def test_the_published_rule_keeps_the_letters(job: Job, tmp_path: Path) -> None:
    own = tmp_path / "metadata.json"
    own.write_text(json.dumps(["Red", "red"]))
    run = job.run("published", "--queries", str(own), "--matching", "metaclip")
    assert pq.read_table(run.counts)["query"].to_pylist() == ["Red", "red"]
