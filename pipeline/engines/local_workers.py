"""The worker processes of a local run, which Beam starts and nobody else can reach: how they are started, and what ends
them.

In: a folder of the graph's own. Out: the command for Beam, which has the nursery (nursery.py) fork a worker, and lasts
as long as it. Ctrl-C in a terminal goes to every process. A worker is deaf to it from its first instruction on, for it
may still be importing and would show a traceback; it ends when a file has gone, which this process deletes. Beam itself
would wait for a worker that is busy or has only begun.
"""

import atexit
import contextlib
import functools
import logging
import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["worker_command"]

SIGN = "working"
FORKS = sys.platform == "linux"  # elsewhere a forked process may not use the system's libraries
# What the command does: it asks for a worker, and ends with it. Begun anew for each, so it imports next to nothing.
ASK = """
import json, os, socket, sys
port, sign = sys.argv[1:]
secret, environment = os.environ.pop("WEBIMAGETEXT_NURSERY"), dict(os.environ)
asked = {"secret": secret, "arguments": [sign], "environment": environment, "folder": os.getcwd()}
with socket.create_connection(("127.0.0.1", int(port))) as connection:
    connection.sendall(json.dumps(asked).encode() + b"\\n")
    sys.exit(int(connection.recv(8) or b"1"))
"""


@dataclass
class _Nursery:
    process: "subprocess.Popen[str]"
    port: int
    secret: str


@functools.cache
def _nursery(_process: int) -> _Nursery:
    """The nursery of this process, which lasts as long as it."""
    secret = secrets.token_hex(16)
    command = f"trap '' INT; exec {shlex.join([sys.executable, '-m', 'pipeline.engines.nursery'])}"
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{secret}\n")
    process.stdin.flush()
    atexit.register(_end, process)
    return _Nursery(process, int(process.stdout.readline()), secret)


def _end(process: "subprocess.Popen[str]") -> None:
    """Ends a nursery, and with it what is left of its workers."""
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        with contextlib.suppress(OSError):
            stream.close()
    process.wait()


def _command(sign: str) -> list[str]:
    if not FORKS:
        return [sys.executable, "-m", "pipeline.engines.worker", sign]
    nursery = _nursery(os.getpid())
    if nursery.process.poll() is not None:  # somebody has killed it
        _nursery.cache_clear()
        nursery = _nursery(os.getpid())
    os.environ["WEBIMAGETEXT_NURSERY"] = (
        nursery.secret
    )  # not among the arguments, which every user of a machine can read
    return [sys.executable, "-I", "-S", "-c", ASK, str(nursery.port), sign]


@contextlib.contextmanager
def worker_command(folder: str) -> Iterator[str]:
    """The command line that starts a worker of the graph that runs in the block."""
    sign = os.path.join(os.path.abspath(folder), SIGN)
    with open(sign, "w"):
        pass
    command = f"trap '' INT; exec {shlex.join(_command(sign))}"
    if threading.current_thread() is not threading.main_thread():  # Ctrl-C never comes to another
        yield command
        return

    def end(number: int, frame: object) -> None:
        logging.disable()  # what Beam says of workers that went, and its threads
        threading.excepthook = lambda failure: None
        with contextlib.suppress(OSError):
            os.unlink(sign)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, end)
    try:
        yield command
    finally:
        signal.signal(signal.SIGINT, before)
