"""The worker processes of a local run, which Beam starts and nobody else can reach: how they are started, and what ends
them.

In: a folder of the graph's own. Out: the command for Beam, which has the nursery (nursery.py) fork a worker, and lasts
as long as it. Ctrl-C in a terminal goes to every process. A worker is deaf to it from its first instruction on, for it
may still be importing and would show a traceback; it ends when a file has gone, which this process deletes. Beam itself
would wait for a worker that is busy or has only begun. A worker that dies ends the graph with a LostWorkerError: it is
worth another try.
"""

import atexit
import contextlib
import functools
import json
import logging
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    BeamFnControlServicer,
    SubprocessSdkWorkerHandler,
    WorkerHandler,
)
from apache_beam.runners.portability.local_job_service import SubprocessSdkWorker

from pipeline.engines.portable import LostWorkerError
from webimagetext.cores import OWN_CORES
from webimagetext.endings import Terminated

__all__ = ["FORKS", "Nursery", "nursery", "worker_command"]

SIGN = "working"
# Elsewhere a forked process may not use the system's libraries.
FORKS = sys.platform == "linux" and hasattr(os, "pidfd_open")
# What the command does: it asks for a worker, and ends with it. Begun anew for each, so it imports next to nothing.
ASK = """
import json, os, socket, sys
port, sign = sys.argv[1:]
secret, environment = os.environ.pop("WEBIMAGETEXT_NURSERY"), dict(os.environ)
asked = {"secret": secret, "arguments": [sign], "environment": environment, "folder": os.getcwd()}
status = b""
try:
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        connection.sendall(json.dumps(asked).encode() + b"\\n")
        status = connection.recv(8)
except OSError:  # the nursery was killed, and with it whoever wanted a worker
    pass
sys.exit(int(status or b"1"))
"""


_LOST: list[str] = []  # how workers of the graph that runs have ended
_NOTICED = threading.Event()
NOTICED_SECONDS = 5.0


@dataclass
class Nursery:
    """A nursery that runs."""

    process: "subprocess.Popen[str]"
    port: int
    secret: str

    def fork(self, *arguments: str) -> socket.socket:
        """Has it fork a worker, which ends when the connection that is given back is shut; its status comes through
        that."""
        asked = {"secret": self.secret, "arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.sendall(json.dumps(asked).encode() + b"\n")
        return connection


@functools.cache
def _nursery(_process: int) -> Nursery:
    """The nursery of this process, which lasts as long as it."""
    secret = secrets.token_hex(16)
    command = f"trap '' INT; exec {shlex.join([sys.executable, '-m', 'pipeline.engines.nursery'])}"
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{secret}\n")
    process.stdin.flush()
    atexit.register(_end, process)
    return Nursery(process, int(process.stdout.readline()), secret)


def _end(process: "subprocess.Popen[str]") -> None:
    """Ends a nursery, and with it what is left of its workers."""
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        with contextlib.suppress(OSError):
            stream.close()
    process.wait()


def nursery() -> Nursery:
    """The nursery of this process that lives."""
    found = _nursery(os.getpid())
    if found.process.poll() is not None:  # somebody has killed it
        _nursery.cache_clear()
        found = _nursery(os.getpid())
    return found


def _command(sign: str) -> list[str]:
    if not FORKS:
        return [sys.executable, "-m", "pipeline.engines.worker", sign]
    ours = nursery()
    os.environ["WEBIMAGETEXT_NURSERY"] = ours.secret  # not among the arguments, which every user of a machine can read
    return [sys.executable, "-I", "-S", "-c", ASK, str(ours.port), sign]


@contextlib.contextmanager
def worker_command(folder: str, threads: int) -> Iterator[str]:
    """The command line that starts a worker of the graph that runs in the block. Libraries that start threads of their
    own, as a model's do, start ``threads`` in each, unless the environment says otherwise."""
    sign = os.path.join(os.path.abspath(folder), SIGN)
    with open(sign, "w"):
        pass
    own = f"export {OWN_CORES}=${{{OWN_CORES}:-{threads}}}"
    command = f"trap '' INT; {own}; exec {shlex.join(_command(sign))}"
    if threading.current_thread() is not threading.main_thread():  # Ctrl-C never comes to another
        with _without_hang_ups():
            yield command
        return

    def end(number: int, frame: object) -> None:
        logging.disable()  # what Beam says of workers that went, and its threads
        threading.excepthook = lambda failure: None
        with contextlib.suppress(OSError):
            os.unlink(sign)
        raise KeyboardInterrupt

    def terminate(number: int, frame: object) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            end(number, frame)
        raise Terminated

    before = [signal.signal(signal.SIGINT, end), signal.signal(signal.SIGTERM, terminate)]
    try:
        with _without_hang_ups():
            yield command
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)


def _lost(how: str) -> LostWorkerError:
    return LostWorkerError(
        f"a worker process {how}", "where the machine was out of memory, the usual cause, use fewer --workers"
    )


def _is_hang_up(error: BaseException | None) -> bool:
    """Whether an error of Beam's says that the line to a worker has broken."""
    return isinstance(error, grpc.RpcError) or "Channel closed" in str(error)


@contextlib.contextmanager
def _without_hang_ups() -> Iterator[None]:
    """Leaves out what Beam's threads say when a worker hangs up, in the block, and raises a LostWorkerError for it."""

    def tell(thread: threading.ExceptHookArgs) -> None:
        if not _is_hang_up(thread.exc_value):
            before(thread)

    before, threading.excepthook = threading.excepthook, tell
    _LOST.clear()
    _NOTICED.clear()
    try:
        yield
    except RuntimeError as error:
        if not _is_hang_up(error):
            raise
        _NOTICED.wait(NOTICED_SECONDS)  # the process's end comes a moment after that of its line
        raise _lost(_LOST[0] if _LOST else "has gone") from None
    finally:
        if threading.excepthook is tell:
            threading.excepthook = before


class _WatchedWorker(SubprocessSdkWorkerHandler):
    """Beam's handle on a worker process, which notices that it has died: Beam waits for its answers for ever."""

    _dismissed = False  # whether the worker may go

    def close(self) -> None:
        self._dismissed = True
        super().close()

    def start_worker(self) -> None:
        self.worker = SubprocessSdkWorker(
            self._worker_command_line, self.control_address, self.provision_info, self.worker_id
        )
        self.worker_thread = threading.Thread(name="run_worker", target=self._run)
        self.worker_thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except RuntimeError as error:
            number = re.search(r"return code (-?\d+)", str(error))
            self._tell_lost(_how(int(number[1])) if number else str(error))
        else:
            if not self._dismissed:  # as when its line to this process broke
                self._tell_lost("ended before its work did")

    def _tell_lost(self, how: str) -> None:
        """Ends every wait for an answer of this worker, now and later."""
        lost = _lost(how)
        _LOST.append(how)
        _NOTICED.set()

        def push(request: object) -> object:
            if request is BeamFnControlServicer._DONE_MARKER:
                return pushed(request)
            raise lost

        pushed, self.control_conn.push = self.control_conn.push, push
        self.control_conn.abort(lost)
        self.data_conn._exception = lost


def _how(status: int) -> str:
    """How a process ended, by the status that a shell gives."""
    if status <= 128:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(status - 128).name}"
    except ValueError:
        return f"ended with status {status}"


WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)(_WatchedWorker)
