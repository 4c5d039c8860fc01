"""A graph stays small however many files there are: Dataflow takes none of more than 10 MB."""

import shutil
from functools import partial
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import write_manifest
from pipeline.read.pieces import Piece
from pipeline.stages.archives import answer_from_archives, read_archives, source_folder
from pipeline.stages.fetch import fetch
from pipeline.tables.schema import SELECTED
from pipeline.tables.sink import write_part
from webimagetext import files

MOST = 10 << 20
PARTS = 100_000


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run folder whose image store has very many parts, by its manifest."""
    monkeypatch.setattr(files, "sync", lambda names: None)  # the files themselves are not there
    run = RunFolder(str(tmp_path))
    parts = [
        {"file": f"{part:05d}-{part * 12345:016x}.parquet", "rows": 10_000, "bytes": 1 << 20, "sha256": f"{part:064x}"}
        for part in range(PARTS)
    ]
    for folder in (run.images, *(source_folder(run, table) for table in ("held", "candidates"))):
        write_manifest(folder, parts)
    empty = pa.Table.from_pylist([], schema=SELECTED)
    write_manifest(run.selected, [write_part(run.selected, "part-00000.parquet", empty)])
    return run


def test_with_a_hundred_thousand_parts_of_the_store(run: RunFolder) -> None:
    config = RunConfig()
    units = {
        f"{unit:016x}": Piece(f"gs://bucket/crawl/segments/{unit:09d}/warc/{unit:05d}.warc.gz") for unit in range(PARTS)
    }
    graphs = {
        "fetch": partial(fetch, pairs=run.selected, run=run, config=config, asking=object),
        "answer": partial(answer_from_archives, run=run, config=config),
        "read": partial(read_archives, units=units, run=run, config=config, name="read warc"),
    }
    for name, build in graphs.items():
        root = beam.Pipeline(options=PipelineOptions(["--no_pipeline_type_check"]))
        build(root)
        shutil.rmtree(root.local_tempdir)
        assert root.to_runner_api().ByteSize() < MOST, name
