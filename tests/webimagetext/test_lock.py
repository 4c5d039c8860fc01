"""One program at a time in a folder: on a disk, and on an object store."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from webimagetext import files, lock
from webimagetext.command import run_command
from webimagetext.errors import UserError
from webimagetext.lock import locked, take

HOLD = """
import sys, time
from webimagetext.lock import locked
with locked(sys.argv[1], "a run"):
    print("held", flush=True)
    time.sleep(100)
"""


def holder(folder: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_is_the_first(tmp_path: Path) -> None:
    with holder(tmp_path / "run") as process:
        said = f"a run is under way there \\(process {process.pid} on .* since 20"
        with pytest.raises(UserError, match=said), locked(str(tmp_path / "run"), "a run"):
            pytest.fail("both have it")
        process.kill()
    with locked(str(tmp_path / "run"), "a run"):  # a killed one lets it go
        pass
    assert os.listdir(tmp_path / "run") == []


def test_a_lock_whose_holder_deleted_it_is_no_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first = take(path)
    assert first is not None and take(path) is None
    waiting = os.open(path, os.O_RDWR)
    os.unlink(path)
    os.close(first)
    os.close(waiting)
    second = take(path)
    assert second is not None and os.fstat(second).st_ino == os.stat(path).st_ino
    os.close(second)


def test_a_lease_on_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(lock, "RENEWED_SECONDS", 0.05)
    monkeypatch.setattr(lock, "WATCHED_SECONDS", 0.1)
    url = "memory://lease/run"
    name = files.join(url, lock.NAME)
    with locked(url, "a run"):
        first = json.loads(files.read(name) or b"")
        with pytest.raises(UserError, match=f"process {os.getpid()} on"), locked(url, "a run"):
            pytest.fail("both have it")
        time.sleep(0.5)
        assert json.loads(files.read(name) or b"")["renewed"] > first["renewed"]
    assert files.read(name) is None
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = [
        {**first, "renewed": time.time() - lock.STALE_SECONDS - 1},  # one that was killed, long ago
        {**first, "process": ended.pid},  # one that was killed on this machine
        {"lease": "of another program"},
    ]
    for owner in gone:
        with files.write_atomic(name, "w") as stream:
            stream.write(json.dumps(owner))
        with locked(url, "a run"):
            assert json.loads(files.read(name) or b"")["lease"] != first["lease"]
    with files.write_atomic(name, "w") as stream:  # on another machine nobody can tell
        stream.write(json.dumps({**first, "host": "another", "process": ended.pid}))
    with pytest.raises(UserError, match="on another since"), locked(url, "a run"):
        pytest.fail("both have it")


def test_of_two_who_write_the_later_one_has_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "memory://both/run"

    def other_writes(seconds: float) -> None:
        with files.write_atomic(files.join(url, lock.NAME), "w") as stream:
            stream.write(json.dumps({"what": "a run", "lease": "other", "process": 7, "renewed": time.time()}))

    monkeypatch.setattr(lock.time, "sleep", other_writes)
    with pytest.raises(UserError, match="process 7"), locked(url, "a run"):
        pytest.fail("both have it")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that are renewed, and watched, within a second."""
    monkeypatch.setattr(lock, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(lock, "RENEWED_SECONDS", 0.02)
    monkeypatch.setattr(lock, "WATCHED_SECONDS", 0.5)


@pytest.mark.parametrize("jump", [24 * 3600.0, -3600.0])
def test_a_clock_that_jumps_takes_no_lease_away(quick: None, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    """By another machine's clock a lease is old, or of a time to come: while it is renewed, its owner has it."""
    url, now, turns = f"memory://clock{jump:.0f}/run", time.time, []

    def jumping() -> float:  # of the second alone: the owner's thread renews by a clock that is right
        mine = threading.current_thread() is threading.main_thread() and bool(turns)
        return now() + (jump if mine else 0.0)

    monkeypatch.setattr(lock.time, "time", jumping)
    with locked(url, "a run"):
        turns.append(1)
        with pytest.raises(UserError, match="is under way there"), locked(url, "a run"):
            pytest.fail("both have it")
    # One that nobody renews is taken, whatever the clock says.
    with files.write_atomic(files.join(url, lock.NAME), "w") as stream:
        stream.write(json.dumps({"what": "a run", "host": "other", "process": 1, "lease": "x", "renewed": now()}))
    with locked(url, "a run"):
        assert json.loads(files.read(files.join(url, lock.NAME)) or b"")["process"] == os.getpid()


TAKE_OVER = {"what": "`run`", "host": "another", "process": 8, "lease": "another's", "since": "2026"}


def test_who_lost_a_lease_ends_and_leaves_it_to_the_other(quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    url = "memory://lost/run"
    name, done = files.join(url, lock.NAME), []

    def body() -> int:
        with locked(url, "a run"):
            with files.write_atomic(name, "w") as stream:
                stream.write(json.dumps({**TAKE_OVER, "renewed": time.time()}))
            for _ in range(300):  # no signal ends a long sleep
                time.sleep(0.1)
            done.append(1)
        return 0

    assert run_command(body) == 2
    assert not done, "it went on although another has the folder"
    assert f"error: {url}: `run` is under way there (process 8 on another since 2026): it took over" in (
        capsys.readouterr().err
    )
    assert json.loads(files.read(name) or b"")["lease"] == "another's"
    # Where no signal is heard, the end tells.
    files.remove_file(name)
    with pytest.raises(UserError, match="it took over"), locked(url, "a run"), files.write_atomic(name, "w") as stream:
        stream.write(json.dumps({**TAKE_OVER, "renewed": time.time()}))


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_an_unreadable_lock_is_nobodys(tmp_path: Path, content: bytes) -> None:
    (tmp_path / lock.NAME).write_bytes(content)
    with locked(str(tmp_path), "a run"):
        pass


def test_two_runs_and_two_builds(tmp_path: Path) -> None:
    """The commands refuse in a line, and leave what the first one does alone."""
    from pipeline.__main__ import main as pipeline_main
    from query_builder.cli import main as build_main
    from tests.pipeline.small_job import serve_job

    with serve_job(tmp_path) as job, holder(tmp_path / "run") as process:
        assert pipeline_main(["run", str(job.config), "--output", str(tmp_path / "run")]) == 2
        assert os.listdir(tmp_path / "run") == [lock.NAME]
        process.send_signal(signal.SIGKILL)
    dump = tmp_path / "dump.xml"
    dump.write_text(
        "<mediawiki><page><title>A</title><ns>0</ns><revision><text>a b</text></revision></page></mediawiki>"
    )
    with holder(tmp_path / "list.parquet.work") as process:
        assert build_main(["build", "--dump", str(dump), "--output", str(tmp_path / "list.parquet")]) == 2
        process.send_signal(signal.SIGKILL)
