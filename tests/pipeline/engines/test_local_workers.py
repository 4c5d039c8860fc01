"""The process that local workers are forked from: one for many graphs, replaced when it is killed, and nobody else's
servant."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import apache_beam as beam
import pytest

from pipeline.engines import local_workers
from pipeline.engines.engine import Engine
from pipeline.keeping.folder import RunFolder
from webimagetext.errors import UserError

pytestmark = pytest.mark.skipif(not local_workers.FORKS, reason="workers are forked on Linux alone")


def _parents(folder: Path) -> set[int]:
    """The parents of the processes that worked on a graph's elements."""
    engine = Engine(RunFolder(str(folder / "run")), workers=2)
    told = folder / "parents"

    def build(root: beam.Pipeline) -> None:
        numbers = root | beam.Create(list(range(100))) | beam.Reshuffle()
        numbers | beam.Map(_tell, str(told))

    engine.run("tell", build, heavy=True)
    found = {int(line) for line in told.read_text().split()}
    told.unlink()
    return found


def _tell(number: int, file: str) -> None:
    with open(file, "a") as stream:
        stream.write(f"{os.getppid()}\n")


def test_graphs_of_a_process_share_a_nursery_and_a_killed_one_is_replaced(tmp_path: Path) -> None:
    first = _parents(tmp_path)
    assert len(first) == 1 and os.getpid() not in first
    assert _parents(tmp_path) == first
    nursery = local_workers.nursery()
    assert {nursery.process.pid} == first
    os.kill(nursery.process.pid, signal.SIGKILL)
    nursery.process.wait()
    second = _parents(tmp_path)
    assert len(second) == 1 and second != first


def _die(number: int, mark: str, times: int, signal_number: int = signal.SIGKILL) -> int:
    """Kills this worker, or ends it without a word, for the first ``times`` times that anybody comes here."""
    done = len(os.listdir(mark))
    if done < times:
        Path(mark, str(done)).touch()
        if not signal_number:
            os._exit(0)
        os.kill(os.getpid(), signal_number)
    return number


@pytest.mark.parametrize(
    ("times", "signal_number", "words"),
    [
        (1, signal.SIGKILL, "was killed by SIGKILL"),
        (2, signal.SIGKILL, "was killed by SIGKILL"),
        (1, 0, "ended before its work did"),
    ],
)
def test_a_worker_that_goes_is_noticed_and_the_graph_tried_again(
    tmp_path: Path, times: int, signal_number: int, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    mark, written = tmp_path / "mark", tmp_path / "written"
    mark.mkdir()
    engine = Engine(RunFolder(str(tmp_path / "run")), workers=2)

    def build(root: beam.Pipeline) -> None:
        numbers = root | beam.Create(list(range(20))) | beam.Reshuffle()
        done = numbers | beam.Map(_die, str(mark), times, signal_number)
        done | beam.CombineGlobally(sum) | beam.Map(lambda total: written.write_text(str(total)) and None)

    engine.run("die", build, heavy=True)
    assert written.read_text() == str(sum(range(20)))
    said = capfd.readouterr().err
    assert f"a worker process {words}" in said and "trying again" in said and "Traceback" not in said


def test_workers_that_are_killed_again_and_again_end_the_graph_in_a_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(RunFolder(str(tmp_path / "run")), workers=2)
    with pytest.raises(UserError, match="a worker process was killed by SIGKILL") as caught:
        engine.run("die", lambda root: root | beam.Create([1]) | beam.Map(_die, str(tmp_path), 99), heavy=True)
    assert "fewer --workers" in caught.value.remedy and "Traceback" not in capfd.readouterr().err


def test_a_worker_that_is_killed_while_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command ends with a status of its own, as when the memory for it is not there."""
    ask = local_workers.ASK
    monkeypatch.setattr(local_workers, "ASK", "import sys; sys.exit(137)")
    engine = Engine(RunFolder(str(tmp_path / "run")), workers=2)
    with pytest.raises(UserError, match="was killed by SIGKILL"):
        engine.run("start", lambda root: root | beam.Create([1]) | beam.Map(str), heavy=True)
    monkeypatch.setattr(local_workers, "ASK", ask)
    assert _parents(tmp_path)


def test_a_stranger_gets_no_worker(tmp_path: Path) -> None:
    port = local_workers.nursery().port
    for secret in ("", "guessed"):
        request = {"secret": secret, "arguments": [str(tmp_path / "sign")], "environment": {}, "folder": str(tmp_path)}
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            assert connection.recv(8) == b""


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    _parents(tmp_path)
    nursery = local_workers.nursery()
    local_workers._end(nursery.process)
    assert nursery.process.returncode == 0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", nursery.port)).close()
        except ConnectionRefusedError:
            break
    else:
        pytest.fail("it still listens")


def test_who_asks_a_nursery_that_was_killed_ends_without_a_word() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", local_workers.ASK, port, "sign"],
        env={**os.environ, "WEBIMAGETEXT_NURSERY": "secret"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
