"""The verb ``rules``: what would be dropped, alone and in order, with examples, and nothing written."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from pipeline.hashing import pair_ids
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import mark_complete, write_manifest
from pipeline.tables.schema import CANDIDATES
from pipeline.tables.sink import write_part

CAPTIONS = [
    *[f"a red fox in field number {number}" for number in range(80)],
    *["the same words under every picture"] * 11,
    *["IMG_1234.jpg"] * 3,
    *["Next"] * 4,
    "a dog <b>in bold</b> letters",
    "fox",
]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(str(tmp_path / "run"))
    urls = [f"https://a.example/{number}.png" for number in range(len(CAPTIONS))]
    ids = pair_ids(pa.array(urls), pa.array(CAPTIONS)).tolist()
    rows = [{"pair_id": ids[n], "url": urls[n], "caption": CAPTIONS[n]} for n in range(len(CAPTIONS))]
    entry = write_part(folder.candidates, part_name(0), pa.Table.from_pylist(rows, schema=CANDIDATES))
    write_manifest(folder.candidates, [entry])
    mark_complete(folder.candidates, "")
    queries = pa.table({"query": ["fox"], "surface": ["fox"], "id": pa.array([0], pa.uint32()), "sources": [["word"]]})
    pq.write_table(queries, tmp_path / "queries.parquet")
    (tmp_path / "run.toml").write_text(f'queries = "{tmp_path}/queries.parquet"\n[text]\ndetector = "off"\n')
    return folder


def test_every_rule_is_counted_alone_and_in_order(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in Path(run.root).rglob("*"))
    assert main(["rules", str(tmp_path / "run.toml"), "--output", run.root]) == 0
    said = capsys.readouterr().out
    assert "Of 100 candidate pairs the text rules would drop 10 (10.0%)" in said
    lines = {line.split()[0]: line.split()[1:] for line in said.splitlines() if len(line.split()) == 4}
    assert lines["repeated_text"] == ["1", "1", "1"]
    assert lines["file_name"] == ["3", "3", "3"]
    assert lines["boilerplate"] == ["4", "4", "0"]
    assert lines["length"] == ["5", "1", "1"]  # "Next" falls to an earlier rule
    assert "html_tag: a dog <b>in bold</b> letters" in said and "boilerplate: 4" in said
    assert sorted(path.name for path in Path(run.root).rglob("*")) == before


def test_a_sample_is_the_same_every_time(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for _ in range(2):
        assert main(["rules", str(tmp_path / "run.toml"), "--output", run.root, "--sample", "50"]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert 25 < int(told[0].split()[1]) < 75


def test_without_candidates_the_remedy_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "--output", str(tmp_path / "none")]) == 2
    assert "candidates/, which `pipeline extract` makes" in capsys.readouterr().err
