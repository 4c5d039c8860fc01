"""The pool of Python workers: what it starts, and when that ends."""

import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, endpoints_pb2

from pipeline.engines.local_workers import nursery
from pipeline.engines.worker_pool import start_pool
from tests.processes import children
from webimagetext.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


class Engine(beam_fn_api_pb2_grpc.BeamFnControlServicer):
    """The engine's side of the control stream: it has no work, and keeps the line."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def Control(self, responses: object, context: grpc.ServicerContext) -> object:  # noqa: N802
        self.names.append(dict(context.invocation_metadata())["worker_id"])
        while context.is_active():
            time.sleep(0.05)
            yield from ()


def test_workers_of_two_engines_may_share_a_name_and_end_with_their_engine() -> None:
    address, server, pool = start_pool()
    before = children(nursery().process.pid)
    engines = []
    try:
        with grpc.insecure_channel(address) as channel:
            stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
            for _ in range(2):
                engine, control = Engine(), grpc.server(ThreadPoolExecutor(4))
                beam_fn_api_pb2_grpc.add_BeamFnControlServicer_to_server(engine, control)
                port = control.add_insecure_port("127.0.0.1:0")
                control.start()
                engines.append((engine, control))
                endpoint = endpoints_pb2.ApiServiceDescriptor(url=f"127.0.0.1:{port}")
                stub.StartWorker(beam_fn_api_pb2.StartWorkerRequest(worker_id="1-1", control_endpoint=endpoint))
            deadline = time.monotonic() + 120
            while not all(engine.names for engine, _ in engines) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert [engine.names for engine, _ in engines] == [["1-1"], ["1-1"]]
            assert len(running(before)) == 2
            stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="1-1"))
            engines[0][1].stop(None).wait()
            while len(running(before)) > 1 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert len(running(before)) == 1  # the other engine's
    finally:
        for _, control in engines:
            control.stop(None)
        pool.close()
        server.stop(None)
    assert running(before) == set()


def running(before: set[int]) -> set[int]:
    """Workers that have come since and have not ended."""
    forked = children(nursery().process.pid) - before
    states = {pid: Path(f"/proc/{pid}/stat").read_text().rsplit(") ")[1][0] for pid in forked}
    return {pid for pid, state in states.items() if state != "Z"}


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} of 127.0.0.1 cannot be used"):
            start_pool(port)
        command = [sys.executable, "-m", "pipeline.workers", "--port", str(port)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "cannot be used" in done.stderr


LAST_CALL = """
import atexit, contextlib
import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from pipeline.engines.worker_pool import start_pool

address, server, pool = start_pool()
channel = grpc.insecure_channel(address)
stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="1-1"), timeout=20)

def call() -> None:
    with contextlib.suppress(grpc.RpcError):
        stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id="1-1"), timeout=1)
    print("called", flush=True)

atexit.register(server.stop, None)
atexit.register(call)  # runs first
"""


def test_an_engine_that_calls_while_the_process_ends_does_not_hold_it_up() -> None:
    done = subprocess.run([sys.executable, "-c", LAST_CALL], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "called\n") and "Traceback" not in done.stderr, done.stderr
