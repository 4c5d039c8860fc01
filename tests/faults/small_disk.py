"""A small disk of a test's own, in a name space of its own, on which commands run while it is nearly full.

In, on the command line: the disk's folder, its kilobytes, and a JSON list of commands: their words (first the program),
and the pages of 4 KiB that are left free while they run; none fills nothing, "read-only" mounts the disk so. Out, on
standard error: what each command says, and behind it a line ``== STATUS``. Begun by :func:`on_small_disk`, which needs
neither root nor a loop device.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest

__all__ = ["FULL", "Command", "Told", "on_small_disk"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = 4096
FILLER = "filler"
FULL = re.compile(
    r"error: no space left while writing (?P<path>\S+)\n"
    r"  free some disk space, then run the same command again: finished work is kept\n"
)


class Command(NamedTuple):
    """A program's words, and how many pages are free while it runs."""

    words: Sequence[str]
    left: int | str | None = None


class Told(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    said: str


def on_small_disk(disk: Path, kilobytes: int, commands: Sequence[Command], timeout: float = 250) -> list[Told]:
    """Runs the commands one after the other on a new disk; skips the test where nobody may mount one."""
    disk.mkdir(exist_ok=True)
    mounted = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small disk of their own (unshare -rm mount)")
    words = [sys.executable, "-m", "tests.faults.small_disk", str(disk), str(kilobytes), json.dumps(commands)]
    environment = {**os.environ, "WEBIMAGETEXT_QUIET": "1"}
    done = subprocess.run(
        ["unshare", "-rm", *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout
    )
    pieces = re.split(r"^== (-?\d+)\n", done.stderr, flags=re.MULTILINE)
    assert len(pieces) == 2 * len(commands) + 1, done.stderr
    return [Told(int(status), said) for said, status in zip(pieces[::2], pieces[1::2], strict=False)]


def _program(name: str) -> Callable[[list[str]], int]:
    from webimagetext.command import run_command

    if name == "pipeline":
        from pipeline.__main__ import main as pipeline

        return pipeline
    if name == "query_builder":
        from query_builder.cli import main as query_builder

        return query_builder
    if name == "copy":  # the disk goes with the name space
        return lambda words: subprocess.run(["cp", "-r", *words]).returncode
    from trainer.run import main as train

    return lambda words: run_command(lambda: train(words))


def _fill(disk: str, left: int) -> None:
    about = os.statvfs(disk)
    size = about.f_bavail * about.f_frsize - left * PAGE
    if size > 0:
        with open(os.path.join(disk, FILLER), "wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, size)


def _mount(disk: str, *options: str) -> None:
    subprocess.run(["mount", *options, disk], check=True)


def _main(disk: str, kilobytes: str, commands: str) -> None:
    from pipeline import checks
    from pipeline.keeping.space import Need

    _mount(disk, "-t", "tmpfs", "-o", f"size={kilobytes}k", "none")
    # What is looked at before a run begins would see that the disk is nearly full; here it is to fill up later.
    with mock.patch.object(checks, "LEAST_SPACE", 0), mock.patch.object(checks, "guess", lambda *_: Need(0, 0)):
        for (name, *words), left in json.loads(commands):
            program = _program(name)
            if left == "read-only":
                _mount(disk, "-o", "remount,ro")
            elif left is not None:
                _fill(disk, int(left))
            status = program(words)
            if left == "read-only":
                _mount(disk, "-o", "remount,rw")
            elif left is not None:
                os.unlink(os.path.join(disk, FILLER))
            print(f"== {status}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
    sys.stderr.flush()
    os._exit(0)  # torch's threads may still be at work
