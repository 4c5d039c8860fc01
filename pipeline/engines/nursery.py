"""Where the worker processes of a local run come from: a process that has imported all they need, and forks one for
each request.

Importing Beam and the pipeline takes two seconds of a core, for each worker of each graph; a fork takes milliseconds,
and shares the memory. Started by local_workers.py, never by hand. It is deaf to Ctrl-C like the workers, and ends with
the process that started it.

In: a secret on standard input; then connections from this machine, each with one line of JSON: the secret, the worker's
arguments, environment and working folder. Out: the port; then workers, each of which ends when its connection does and
answers with its status.
"""

import contextlib
import json
import os
import select
import socket
import sys
import threading
from typing import Any

__all__ = ["main"]

LONGEST = 1 << 22  # bytes of a request


def _line(connection: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\n") and len(found) < LONGEST:
        more = connection.recv(65536)
        if not more:
            return b""
        found += more
    return found


def _end_with(connection: socket.socket) -> None:
    """Ends this process when whoever asked for it has gone."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    os._exit(1)


def _work(connection: socket.socket, request: dict[str, Any]) -> None:
    """The life of a worker; does not return."""
    status = 1
    try:
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        added = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path not in sys.path]
        sys.path[:0] = [request["folder"], *added]
        threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
        from pipeline.engines import worker

        worker.main(request["arguments"])
        status = 0
    finally:
        os._exit(status)


def _answer(connection: socket.socket, process: int) -> None:
    """Tells how a worker ended: its status, or, as a shell does, 128 and the number of the signal that killed it."""
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(OSError), connection:
        connection.sendall(str(status if status >= 0 else 128 - status).encode())


def main() -> None:
    """Serves until standard input ends, which is when the process that started this one does."""
    secret = sys.stdin.readline().strip()
    workers: dict[int, tuple[socket.socket, int]] = {}  # connection and process, by a handle that tells of its end
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        try:
            print(server.getsockname()[1], flush=True)
        except BrokenPipeError:  # it was interrupted and has gone
            os._exit(0)
        import apache_beam.runners.worker.sdk_worker_main  # noqa: F401

        import pipeline.run  # noqa: F401

        while True:
            ready, _, _ = select.select([server, sys.stdin, *workers], [], [])
            if sys.stdin in ready:
                return
            for handle in workers.keys() & set(ready):
                _answer(*workers.pop(handle))
                os.close(handle)
            if server in ready:
                connection, _ = server.accept()
                line = _line(connection)
                request = json.loads(line) if line else {}
                if not secret or request.get("secret") != secret:
                    connection.close()
                elif (process := os.fork()) == 0:
                    server.close()
                    for other, _ in workers.values():
                        other.close()
                    _work(connection, request)
                else:
                    workers[os.pidfd_open(process)] = (connection, process)


if __name__ == "__main__":
    main()
