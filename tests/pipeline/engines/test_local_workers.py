"""The process that local workers are forked from: one for many graphs, replaced when it is killed, and nobody else's
servant."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import apache_beam as beam
import pytest

from pipeline.engines import local_workers
from pipeline.engines.engine import Engine
from pipeline.keeping.folder import RunFolder

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
    nursery = local_workers._nursery(os.getpid())
    assert {nursery.process.pid} == first
    os.kill(nursery.process.pid, signal.SIGKILL)
    nursery.process.wait()
    second = _parents(tmp_path)
    assert len(second) == 1 and second != first


def test_a_stranger_gets_no_worker(tmp_path: Path) -> None:
    port = local_workers._nursery(os.getpid()).port
    for secret in ("", "guessed"):
        request = {"secret": secret, "arguments": [str(tmp_path / "sign")], "environment": {}, "folder": str(tmp_path)}
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            assert connection.recv(8) == b""


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    _parents(tmp_path)
    nursery = local_workers._nursery(os.getpid())
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
