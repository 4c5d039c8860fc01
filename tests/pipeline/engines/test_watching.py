"""Notes of progress: all workers' are added up, and a note is parsed only once it has changed."""

import json
import os
from pathlib import Path

import pytest

from pipeline.engines import watching
from pipeline.engines.watching import Beacon, _Notes
from pipeline.keeping.folder import RunFolder


def test_notes_are_added_up_and_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(str(tmp_path))
    os.makedirs(run.path(".progress", "some-work"))
    beacons = [Beacon(run, "some work") for _ in range(3)]
    for number, beacon in enumerate(beacons):
        beacon.advance(10**number, note=f"file {number}" if number < 2 else None)
        beacon.flush()
    parsed = []

    def load(stream: object) -> object:
        parsed.append(stream)
        return json.loads(stream.read())  # type: ignore[attr-defined]

    monkeypatch.setattr(watching.json, "load", load)
    notes = _Notes(run.path(".progress", "some-work"))
    done, word = notes.read()
    assert (done, len(parsed)) == (111, 3) and word in ("file 0", "file 1")
    assert notes.read() == (done, word) and len(parsed) == 3
    for _ in range(3):  # a file that is replaced may come to lie where one before it lay
        beacons[2].advance(1)
        beacons[2].flush()
        done, _ = notes.read()
    assert (done, len(parsed)) == (114, 6)
    Path(run.path(".progress", "some-work", "torn.json")).write_text('{"done": 5')
    assert notes.read()[0] == 114


def test_what_is_done_twice_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder(str(tmp_path))
    with watching.watch(run, "some work", 30, "images"):
        for _ in range(2):  # the second goes on for a worker that was lost
            beacon = Beacon(run, "some work")
            beacon.advance(20)
            beacon.flush()
    assert "some work: 30 images in" in capsys.readouterr().err
