"""The journal gives back whole records, whatever happened to the file."""

import errno
import os
import threading
from pathlib import Path

import pytest

from pipeline.fetch.spool import Spool


def fill(path: str, count: int, fingerprint: str = "f") -> None:
    with Spool(path, fingerprint) as spool:
        for number in range(count):
            spool.add({"url": f"u{number}", "status": "success", "note": "ä"}, bytes([number]) * number * 100)


def test_records_come_back_in_a_later_process(tmp_path: Path) -> None:
    path = f"{tmp_path}/part.spool"
    fill(path, 10)
    with Spool(path, "f") as spool:
        assert len(spool) == 10 and "u9" in spool and "u10" not in spool
        assert spool.get("u7") == ({"url": "u7", "status": "success", "note": "ä"}, bytes([7]) * 700)
        spool.add({"url": "u10", "status": "http_404"}, b"")
    with Spool(path, "f") as spool:
        assert len(spool) == 11 and spool.get("u10") == ({"url": "u10", "status": "http_404"}, b"")
        spool.delete()
    assert not list(tmp_path.iterdir())


def test_a_record_cut_short_is_dropped_and_the_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "part.spool"
    fill(str(path), 5)
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) - 399, len(whole) - 410, len(whole) - 455):
        path.write_bytes(whole[:length])
        with Spool(str(path), "f") as spool:
            assert len(spool) == 4 and spool.get("u3")[1] == bytes([3]) * 300
            spool.add({"url": "new", "status": "success"}, b"bytes")
        with Spool(str(path), "f") as spool:
            assert len(spool) == 5 and spool.get("new")[1] == b"bytes"
    path.write_bytes(whole[:-200] + b"\0" * 200)
    with Spool(str(path), "f") as spool:
        assert len(spool) == 4


def test_other_settings_start_anew(tmp_path: Path) -> None:
    path = f"{tmp_path}/part.spool"
    fill(path, 5)
    with Spool(path, "g") as spool:
        assert len(spool) == 0
    with Spool(path, "g") as spool:
        assert len(spool) == 0


def test_two_processes_never_share_a_file(tmp_path: Path) -> None:
    path = f"{tmp_path}/part.spool"
    fill(path, 2)
    with Spool(path, "f") as first, Spool(path, "f") as second:
        second.add({"url": "x", "status": "success"}, b"second")
        first.add({"url": "x", "status": "success"}, b"first")
        assert (first.get("x")[1], second.get("x")[1], len(second)) == (b"first", b"second", 1)
        second.delete()
    assert [entry.name for entry in tmp_path.iterdir()] == ["part.spool"]


def test_a_second_process_waits_and_finds_what_the_first_wrote(tmp_path: Path) -> None:
    path = f"{tmp_path}/part.spool"
    first = Spool(path, "f")
    found: list[int] = []

    def second() -> None:
        with Spool(path, "f", patience=60) as spool:
            found.append(len(spool))

    thread = threading.Thread(target=second)
    thread.start()
    first.add({"url": "x", "status": "success"}, b"first")
    first.__exit__(None, None, None)
    thread.join()
    assert found == [1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["part.spool"]


def test_a_second_process_starts_a_file_anew_when_the_first_was_done_with_it(tmp_path: Path) -> None:
    path = f"{tmp_path}/part.spool"
    found: list[int] = []

    def second() -> None:
        with Spool(path, "f", patience=60) as spool:
            found.append(len(spool))
            spool.add({"url": "y", "status": "success"}, b"second")

    with Spool(path, "f") as first:
        thread = threading.Thread(target=second)
        thread.start()
        first.add({"url": "x", "status": "success"}, b"first")
        first.delete()
    thread.join()
    assert found == [0]
    with Spool(path, "f") as third:
        assert "y" in third


def test_a_journal_for_which_there_is_no_room_lets_the_file_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next try in the same process has it at once; a record that found no room leaves the ones around it whole."""
    path, write, room = str(tmp_path / "part.spool"), os.write, [3]

    def little(handle: int, data: bytes) -> int:
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= 1
        return write(handle, data[: len(data) // 2 + 1])  # a disk may take a part of it

    monkeypatch.setattr("pipeline.fetch.spool.os.write", little)
    with pytest.raises(OSError, match="No space left") as told:
        Spool(path, "made so")
    assert told.value.filename == path
    room[0] = 1000
    with Spool(path, "made so") as spool:
        spool.add({"url": "a", "status": "success"}, b"picture")
        room[0] = 2
        with pytest.raises(OSError, match="No space left"):
            spool.add({"url": "b", "status": "success"}, b"another picture")
        room[0] = 1000
        spool.add({"url": "c", "status": "success"}, b"a third")
        assert list(spool) == ["a", "c"] and spool.get("c")[1] == b"a third"
    with Spool(path, "made so") as spool:
        assert list(spool) == ["a", "c"] and spool.get("a")[1] == b"picture" and spool.get("c")[1] == b"a third"
