"""A program that is killed where a test wants it: at a file operation of one of its stages, by any signal, itself, one
of its workers, or all of them.

In: a command, its stages (which operations open and close each), and the kills in order. Out: an :class:`Ended`. What
happens in the program's processes is in hook/sitecustomize.py; the kills are done from here, from outside.
"""

import functools
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.processes import of_group

__all__ = ["MOMENTS", "ROOT", "Counts", "Ended", "Kill", "Stage", "Watched", "operation_at", "seed"]

ROOT = Path(__file__).resolve().parents[3]
HOOK = Path(__file__).parent / "hook"
MOMENTS = {"starting": (0.0, 0.15), "working": (0.15, 0.85), "ending": (0.85, 1.1)}  # shares of a stage's operations
GONE_SECONDS = 30.0  # for what is left of a killed program to notice
LONGEST_SECONDS = 180.0

Counts = dict[str, int]  # operations by ``STAGE.any`` and, those of its workers alone, ``STAGE.worker``


def seed() -> int:
    """What every draw of these tests hangs on: WEBIMAGETEXT_SEED, or 7."""
    return int(os.environ.get("WEBIMAGETEXT_SEED", "7"))


@dataclass(frozen=True)
class Stage:
    """A stage of a program, and patterns of the operations (such as ``rename selected/_SUCCESS``) that open and close
    it."""

    name: str
    begins: str
    ends: str


@dataclass(frozen=True)
class Kill:
    """One signal: when the open stage has come to an ``operation``, and ``delay`` seconds later."""

    stage: str
    moment: str
    target: str  # driver, worker, group
    operation: int
    delay: float = 0.0
    signal: int = signal.SIGKILL


@dataclass(frozen=True)
class Ended:
    """How a program ended: its status, what it said, at which operation each kill came, and what it counted."""

    status: int
    said: str
    reached: dict[int, str]
    counts: Counts
    left: list[int] = field(default_factory=list)  # processes that were still there long after


def operation_at(draw: random.Random, moment: str, count: int) -> int:
    """An operation of a stage that has ``count``, counted from 1, in the part of it that ``moment`` names."""
    low, high = (share * count for share in MOMENTS[moment])
    return max(1, round(draw.uniform(low, high)))


class Watched:
    """Runs one command again and again, with all files that decide where it is killed in ``folder``."""

    def __init__(
        self, command: Sequence[str], root: Path, folder: Path, stages: Sequence[Stage], passed_over: str = "^$"
    ) -> None:
        self.command, self.root, self.folder = list(command), root, folder
        self.stages, self.passed_over = stages, passed_over

    def run(
        self, kills: Sequence[Kill] = (), *more: str, meanwhile: Callable[[int], object] = lambda first: None
    ) -> Ended:
        """Runs the command, with ``more`` words, until it ends; does the ``kills`` in their order, and calls
        ``meanwhile`` with the first process again and again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="start-", dir=self.folder))
        stages = [(stage.name, stage.begins, stage.ends) for stage in self.stages]
        plan = {"root": str(self.root), "stages": stages, "kills": [asdict(kill) for kill in kills]}
        (folder / "plan.json").write_text(json.dumps({**plan, "passed_over": self.passed_over}))
        os.mkfifo(folder / "told")
        environment = {**os.environ, "WEBIMAGETEXT_WATCHED": str(folder), "WEBIMAGETEXT_QUIET": "1"}
        environment["PYTHONPATH"] = f"{HOOK}{os.pathsep}{ROOT}"
        # A shell that runs these tests in the background has told them to ignore the signal, and children inherit that.
        heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        pipe = os.open(folder / "told", os.O_RDWR | os.O_NONBLOCK)
        with (folder / "said").open("w+") as said:
            process = subprocess.Popen(
                [*self.command, *more],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
                preexec_fn=heed,
            )
            try:
                reached = self._kill(process, folder, pipe, kills, meanwhile)
                left = _left(process.pid)
            finally:
                os.close(pipe)
                for number in of_group(process.pid):
                    os.kill(number, signal.SIGKILL)
                process.wait()
            said.seek(0)
            words = said.read()
        counts = {path.name: path.stat().st_size for path in folder.glob("*.*") if path.suffix in (".any", ".worker")}
        return Ended(process.returncode, words, reached, counts, left)

    def _kill(
        self,
        process: "subprocess.Popen[bytes]",
        folder: Path,
        pipe: int,
        kills: Sequence[Kill],
        meanwhile: Callable[[int], object],
    ) -> dict[int, str]:
        """Does the kills while the program runs; gives at which operation each came."""
        reached: dict[int, str] = {}
        until, told = time.monotonic() + LONGEST_SECONDS, b""
        while process.poll() is None and time.monotonic() < until:
            meanwhile(process.pid)
            try:
                told += os.read(pipe, 65536)
            except BlockingIOError:
                time.sleep(0.002)
                continue
            *lines, told = told.split(b"\n")
            for line in map(json.loads, lines):
                kill = kills[line["kill"]]
                if line["process"]:
                    time.sleep(kill.delay)
                    _send(kill, process.pid, line["process"])
                    reached[line["kill"]] = line["operation"]
                (folder / f"done.{line['kill']}").touch()
        return reached


def _send(kill: Kill, first: int, teller: int) -> None:
    if kill.target == "group":
        os.killpg(first, kill.signal)
    else:
        os.kill(teller if kill.target == "worker" else first, kill.signal)


def _left(group: int) -> list[int]:
    """The processes of a group that are still there when all should have noticed that the first one has gone."""
    until = time.monotonic() + GONE_SECONDS
    while (left := of_group(group)) and time.monotonic() < until:
        time.sleep(0.02)
    return left
