"""The worker processes of a local run, which Beam starts and nobody else can reach: how they are started, and what ends
them.

In: a folder of the graph's own. Out: the command for Beam. Ctrl-C in a terminal goes to every process. A worker is deaf
to it from its first instruction on, for it may still be importing and would show a traceback; it ends when a file has
gone, which this process deletes. Beam itself would wait for a worker that is busy or has only begun.
"""

import contextlib
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator

__all__ = ["worker_command"]

SIGN = "working"


@contextlib.contextmanager
def worker_command(folder: str) -> Iterator[str]:
    """The command line that starts a worker of the graph that runs in the block."""
    sign = os.path.join(folder, SIGN)
    with open(sign, "w"):
        pass
    command = f"trap '' INT; exec {shlex.join([sys.executable, '-m', 'pipeline.engines.worker', sign])}"
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
