"""Every row of a damaged list ends as a pair or as a reject with the reason that is due, and none is lost."""

import gzip
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import read_table, rows_in
from pipeline.read.config import ExtractConfig
from pipeline.read.url_list import read_url_list
from pipeline.tables.schema import REJECTS
from tests.pipeline.read.planted import KINDS, Planted, write_planted
from webimagetext.errors import UserError


def became(path: Path) -> Planted:
    found: Planted = Counter()
    for piece in read_url_list(str(path), ExtractConfig(source="url_list")):
        found["pair"] += piece.candidates.num_rows
        found.update(piece.rejects.column("reason").to_pylist())
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_accounted_for(tmp_path: Path, kind: str) -> None:
    path, planted = write_planted(tmp_path, kind, 2_000, seed=1)
    assert became(path) == planted
    assert len(planted) >= (3 if kind == "parquet" else 5)


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
def test_a_packed_list_without_its_end_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    path, planted = write_planted(tmp_path, kind, 300, seed=2)
    content = path.read_bytes()
    for suffix, packed in ((".gz", gzip.compress(content)), (".zst", zstandard.compress(content))):
        whole, cut = tmp_path / f"whole.{kind}{suffix}", tmp_path / f"cut.{kind}{suffix}"
        whole.write_bytes(packed)
        cut.write_bytes(packed[:-20])
        assert became(whole) == planted
        with pytest.raises(UserError, match=rf"cut\.{kind}\{suffix}: the file is damaged"):
            became(cut)


@pytest.mark.slow  # four lists of 100,000 rows, by the command
def test_the_command_accounts_for_every_row_of_long_lists(tmp_path: Path) -> None:
    expected: Planted = Counter()
    for kind in KINDS:
        expected += write_planted(tmp_path, kind, 100_000, seed=3)[1]
    queries = {"query": ["dog"], "surface": ["dog"], "id": pa.array([0], pa.uint32()), "sources": [["word"]]}
    pq.write_table(pa.table(queries), tmp_path / "queries.parquet")
    config = tmp_path / "run.toml"
    config.write_text(
        f'queries = "{tmp_path}/queries.parquet"\n[extract]\nsource = "url_list"\ninputs = ["{tmp_path}/planted.*"]\n'
    )
    assert main(["extract", str(config), "--output", f"{tmp_path}/run"]) == 0
    run = RunFolder(f"{tmp_path}/run")
    # A row stands in each of the lists under the same address; of equal pairs of them one is kept, and told.
    found = Counter(read_table(run.rejects("extract"), REJECTS).column("reason").to_pylist())
    kept = rows_in(run.candidates) + found.pop("duplicate_pair")
    assert found | {"pair": kept} == expected
