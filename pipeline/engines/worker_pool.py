"""A pool of Python workers: starts a worker process whenever an engine outside Python asks for one.

In: Beam's protocol for external workers, on one port. Out: processes of ``pipeline.engines.worker``, forked by a
nursery (nursery.py) of the pool's own: an engine asks for new ones for each graph, and to import what they need takes
two seconds of a core each time. Beam has a pool too; this one starts its workers with the Python that it runs in,
listens on this machine alone, and its workers end with the engine that asked for them instead of working on for nobody.
"""

import contextlib
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from pipeline.engines.local_workers import FORKS, nursery
from webimagetext.errors import UserError

__all__ = ["start_pool"]


class _Threads(ThreadPoolExecutor):
    """Takes a call that comes while the interpreter ends, without doing it: an error would leave a server that cannot
    stop."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Begins a call; after the end the future is never done."""
        try:
            return super().submit(function, *args, **named)
        except RuntimeError:
            return Future()


class _Forked:
    """A worker that the nursery forked."""

    def __init__(self, *arguments: str) -> None:
        self._connection = nursery().fork(*arguments)

    def is_over(self) -> bool:
        if not select.select([self._connection], [], [], 0)[0]:
            return False
        self._connection.close()  # its status has come, which nobody asks for
        return True

    def end(self) -> None:
        with contextlib.suppress(OSError), self._connection:
            self._connection.shutdown(socket.SHUT_WR)
            self._connection.recv(8)


class _Started:
    """A worker that was started where processes may not be forked."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", "pipeline.engines.worker", *arguments])

    def is_over(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


class _Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Beam's protocol for a pool."""

    def __init__(self) -> None:
        self._workers: list[_Forked | _Started] = []
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Starts a process for the engine at the address that the request names."""
        with self._lock:
            self._workers = [worker for worker in self._workers if not worker.is_over()]
            self._workers.append((_Forked if FORKS else _Started)(request.control_endpoint.url, request.worker_id))
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing to do: a worker ends by itself when its engine hangs up.

        The name in the request is no use: two executors on one machine both call their first worker 1-1.
        """
        return beam_fn_api_pb2.StopWorkerResponse()

    def close(self) -> None:
        """Ends all workers, whatever they do: manifests and journals are there for that."""
        for worker in self._workers:
            worker.end()


def start_pool(port: int = 0, host: str = "127.0.0.1") -> tuple[str, grpc.Server, _Pool]:
    """Starts a pool in this process; returns its address. ``port`` 0 takes a free one. Raises UserError when it is
    taken."""
    server = grpc.server(_Threads(4))
    pool = _Pool()
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    try:
        port = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        raise UserError(
            f"port {port} of {host} cannot be used", "stop the program that holds it, or name another --port"
        ) from None
    server.start()
    return f"{host}:{port}", server, pool
