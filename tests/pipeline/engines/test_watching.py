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
