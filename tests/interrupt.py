"""Ctrl-C as a terminal sends it, SIGINT to every process of a command at once; SIGTERM as a scheduler does, to the
first."""

import functools
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.processes import children

__all__ = ["SAID", "interrupted"]

ROOT = Path(__file__).resolve().parents[1]
SAID = "\ninterrupted; the same command again takes up where this one stopped\n"


def interrupted(
    command: Sequence[str], workers: int, then: float, number: signal.Signals = signal.SIGINT
) -> tuple[int, str]:
    """Exit status and standard error of a command that is interrupted ``then`` seconds after it has so many child
    processes.

    Waits for the end of all its processes, however long that takes.
    """
    environment = {**os.environ, "WEBIMAGETEXT_QUIET": "1"}
    # A shell that runs these tests in the background has told them to ignore the signal, and children inherit that.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed
    ) as process:
        while len(children(process.pid)) < workers and process.poll() is None:
            time.sleep(0.001)
        time.sleep(then)
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        assert process.stderr is not None
        said = process.stderr.read()  # the last one closes it
    return process.returncode, said
