"""The benchmark of the curate stage leaves candidates as extraction does, so that the command takes them."""

from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks import curate_stage
from benchmarks.curate_stage import write_candidates
from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import rows_in
from pipeline.tables.schema import CANDIDATES


def test_the_command_takes_the_candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"pair_id": number, "url": f"http://h.example/{number}.jpg", "caption": f"an owl seen on day {number}"}
        for number in range(50)
    ]
    monkeypatch.setattr(curate_stage, "recombined", lambda rows_wanted: [pa.RecordBatch.from_pylist(rows, CANDIDATES)])
    run = RunFolder(str(tmp_path / "run"))
    write_candidates(run, 50)
    (tmp_path / "queries.txt").write_text("owl\n")
    (tmp_path / "run.toml").write_text(
        f'queries = "{tmp_path}/queries.txt"\n[extract]\nsource = "url_list"\ninputs = ["{tmp_path}/none.csv"]\n'
    )
    assert main(["curate", str(tmp_path / "run.toml"), "--output", run.root]) == 0
    assert rows_in(run.selected) == 50
