"""Every stage that may take long says how far it is: in the end, all that it had."""

import re

import pytest

from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import rows_in
from pipeline.stages.join import key_rows
from tests.pipeline.small_job import Job


def test_a_line_for_each_stage(
    job: Job, first: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WEBIMAGETEXT_QUIET", raising=False)
    job.copy(first, "lines")
    options = ("--balance.mode", "capped", "--package.near-duplicates", "2", "--package.holdout-distance", "2")
    run = job.run("lines", *options)
    lines = re.findall(r"^(.+): ([\d,]+) (\w+) in [\d:]+", capsys.readouterr().err, re.MULTILINE)
    told = {name: (int(done.replace(",", "")), unit) for name, done, unit in lines}
    matched, reserve, pictures = (rows_in(folder) for folder in (run.matched, run.reserve, run.packing(0, "pictures")))
    drawn = rows_in(run.selected) + reserve
    rounds = [run.packing(number, "pairs") for number in range(1, 10)]
    later = sum(rows_in(folder) for folder in rounds if f"join images, round {rounds.index(folder) + 1}" in told)
    expected = {
        "count owned pairs": (matched, "pairs"),
        "find cutoffs of t = 2": (matched, "pairs"),
        "draw pairs": (matched, "pairs"),
        "join images, round 0": (rows_in(run.selected), "pairs"),
        "hold out pictures": (rows_in(run.joined) + key_rows([run.joined], 2), "rows"),
        "count losses": (drawn + later, "pairs"),
    }
    assert {name: told.get(name) for name in expected} == expected
    assert told["find duplicates"][0] >= pictures + key_rows([run.packing(0, "pictures")], 2)
    assert min(expected.values()) > (0, "")
