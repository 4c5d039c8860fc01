"""Samples of what was dropped: the first rows of each reason, whatever is read of the files on the way."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.audit import summary
from pipeline.audit.summary import SAMPLE_REJECTS, _add_rejected, _rejected
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import file_batches, iter_batches, write_manifest
from pipeline.tables.schema import REJECTS
from pipeline.tables.sink import write_part

# Of each ledger, the reasons in its files' rows: some often, some in one file, one below what a sample takes.
LEDGERS = {
    "match": (["short"] * 5 + ["link"] * 2, ["short"] * 9, ["link"] * 3 + ["short"], []),
    "balance": (["not_drawn"] * 8, ["not_drawn"] * 8, ["not_drawn", "once"]),
}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(str(tmp_path))
    for stage, parts in LEDGERS.items():
        entries = []
        for part, reasons in enumerate(parts):
            rows = [
                {"key": f"{part}-{row}", "subject": "pair", "stage": stage, "reason": reason, "url": f"u{part}-{row}"}
                for row, reason in enumerate(reasons)
            ]
            entries.append(write_part(run.rejects(stage), part_name(part), pa.Table.from_pylist(rows, schema=REJECTS)))
        write_manifest(run.rejects(stage), entries)
    return run


def test_they_are_the_first_rows_of_each_reason(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    expected: dict[str, list[object]] = {}
    for stage in LEDGERS:
        _add_rejected(expected, iter_batches(run.rejects(stage), summary.REJECT_COLUMNS))  # type: ignore[arg-type]
    read: list[tuple[str, int]] = []

    def noting(folder: str, entry: dict[str, object], columns: list[str]) -> object:
        read.append((f"{folder.rpartition('/')[2]} {entry['file']}", len(columns)))
        return file_batches(folder, entry, columns)

    monkeypatch.setattr(summary, "file_batches", noting)
    found = _rejected(run)
    assert found == expected and list(found) == list(expected)
    assert {reason: len(rows) for reason, rows in found.items()} == {
        **dict.fromkeys(("short", "link", "not_drawn"), SAMPLE_REJECTS),
        "once": 1,
    }
    whole = [name for name, columns in read if columns > 1]
    assert whole == [
        "match part-00000.parquet",
        "match part-00002.parquet",  # for more of "link"
        "balance part-00000.parquet",
        "balance part-00002.parquet",  # for "once"
    ]
