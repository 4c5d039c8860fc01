"""What a program costs: processor time, wall time and peak memory, of it and all its children.

In: a command. Out: :class:`Cost`. Processor time is the kernel's, of the whole tree that was waited for; memory is the
proportional set size (shared pages are divided among those who share them), sampled twice a second.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "measure"]

_SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Cost:
    """``cpu`` and ``wall`` in seconds, ``memory`` in bytes."""

    cpu: float
    wall: float
    memory: int


def measure(
    command: Sequence[str], *, timeout: float, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Cost:
    """Runs a command in ``folder`` to its end. Raises subprocess.CalledProcessError, with its output in a note, if it
    fails."""
    began = time.monotonic()
    process = subprocess.Popen(
        list(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environment) if environment is not None else None,
        cwd=folder,
        text=True,
        start_new_session=True,
    )
    watch = _MemoryWatch(process.pid)
    watch.start()
    # The group, for a program's own children outlive it otherwise.
    killer = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
    killer.start()
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    killer.cancel()
    watch.over.set()
    watch.join()
    process.stdout.close()
    if process.returncode:
        error = subprocess.CalledProcessError(process.returncode, list(command))
        error.add_note(output[-4000:])
        raise error
    return Cost(usage.ru_utime + usage.ru_stime, wall, watch.peak)


class _MemoryWatch(threading.Thread):
    """Samples the memory of a process and its descendants until ``over`` is set; ``peak`` is in bytes."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self.over = threading.Event()
        self.peak = 0

    def run(self) -> None:
        while not self.over.wait(_SAMPLE_SECONDS):
            self.peak = max(self.peak, sum(_proportional_set_size(pid) for pid in _tree(self._root)))


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                found.extend(map(int, (task / "children").read_text().split()))
        except OSError:
            continue  # it has just ended
    return found


def _proportional_set_size(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
