"""Tells a test what a program does to its files, and holds it before the operation at which the test wants to kill.

Python imports this module by itself in every process that has its folder in PYTHONPATH, so nothing of the program is
changed. In: a folder that ``WEBIMAGETEXT_WATCHED`` names, with ``plan.json`` as tests/faults/kills/watched.py writes
it. Out, in that folder: how many operations each stage has made, and, in the pipe ``told``, a line when the one that
the plan names is reached. The process then waits, before the operation, for the test to do its work.

A stage is open between two operations of the program's first process, such as reading ``_STARTED`` and giving
``_SUCCESS`` its name; what workers do in between counts for it too.
"""

import json
import os
import re
import sys
import threading
import time
from typing import Any

# Every operation that is looked at, with the place of its path among its arguments.
PATHS = {"open": 0, "os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "shutil.rmtree": 0}
PATIENCE = 20.0  # seconds until a process goes on although nobody has answered


class _Watch:
    """Python's audit hook: it is called before each operation of any library."""

    def __init__(self, folder: str) -> None:
        with open(os.path.join(folder, "plan.json"), encoding="utf-8") as stream:
            plan = json.load(stream)
        self.folder, self.root, self.kills = folder, plan["root"], plan["kills"]
        self.passed_over = re.compile(plan["passed_over"])
        self.stages = {name: (re.compile(begins), re.compile(ends)) for name, begins, ends in plan["stages"]}
        self.own = threading.local()

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        place = PATHS.get(event)
        if place is None or getattr(self.own, "busy", False):
            return
        path = os.fsdecode(args[place]) if isinstance(args[place], bytes) else args[place]
        if not isinstance(path, str) or not path.startswith(self.root):
            return
        operation = f"{event.rpartition('.')[2]} {path[len(self.root) :].lstrip('/')}"
        if self.passed_over.search(operation):
            return
        self.own.busy = True  # what follows are operations too
        try:
            self.see(operation)
        finally:
            self.own.busy = False

    def see(self, operation: str) -> None:
        """Counts an operation for the stage that is open, and for the one that it opens; lets the test kill where it
        wants to."""
        first = os.getpid() == os.getpgrp()  # the test starts it as the leader of a group
        stage = self.read("stage")
        if stage:
            ends = first and bool(self.stages[stage][1].search(operation))
            self.reach(stage, operation, first, ends)
            if ends:
                self.write("stage", "")
        begun = next((name for name, (begins, _) in self.stages.items() if first and begins.search(operation)), stage)
        if begun != stage:
            self.write("stage", begun)
            self.reach(begun, operation, first, False)

    def reach(self, stage: str, operation: str, first: bool, ends: bool) -> None:
        """Counts an operation of a stage; ``ends`` says that it is the last one."""
        done = {"any": self.count(f"{stage}.any"), "worker": self.count(f"{stage}.worker", 0 if first else 1)}
        while (number := self.next_kill(stage)) is not None:
            kill = self.kills[number]
            of_worker = kill["target"] == "worker"
            reached = done["worker" if of_worker else "any"] >= kill["operation"] and not (of_worker and first)
            if (reached or ends) and self.claim(number):
                # The last chance of a stage; for a worker it is gone.
                self.tell(
                    {"kill": number, "operation": operation, "process": 0 if of_worker and first else os.getpid()}
                )
                if not kill["delay"]:
                    self.wait(number)
            if not ends:
                break
            self.wait(number)  # the stage stays open for a kill that is on its way

    def next_kill(self, stage: str) -> int | None:
        """The first kill that is not done, if this stage is its own."""
        number = next((n for n in range(len(self.kills)) if not self.is_there(f"done.{n}")), None)
        return number if number is not None and self.kills[number]["stage"] == stage else None

    def wait(self, number: int) -> None:
        """Until a kill that was told of has been done."""
        until = time.monotonic() + PATIENCE
        while self.is_there(f"claim.{number}") and not self.is_there(f"done.{number}") and time.monotonic() < until:
            time.sleep(0.001)

    def claim(self, number: int) -> bool:
        """Whether this process is the first to reach a kill."""
        try:
            os.close(os.open(self.path(f"claim.{number}"), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        return True

    def tell(self, said: dict[str, Any]) -> None:
        """A line for the test."""
        handle = os.open(self.path("told"), os.O_WRONLY)
        os.write(handle, json.dumps(said).encode() + b"\n")
        os.close(handle)

    def count(self, name: str, more: int = 1) -> int:
        """Counts so many more, and gives how many there are now, of all processes."""
        handle = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, b"." * more)
        size = os.fstat(handle).st_size
        os.close(handle)
        return size

    def path(self, name: str) -> str:
        """A file of the folder."""
        return os.path.join(self.folder, name)

    def is_there(self, name: str) -> bool:
        """Whether a file is in the folder."""
        return os.path.exists(self.path(name))

    def read(self, name: str) -> str:
        """A file of the folder, empty where it is not there."""
        try:
            with open(self.path(name), encoding="utf-8") as stream:
                return stream.read()
        except FileNotFoundError:
            return ""

    def write(self, name: str, text: str) -> None:
        """Replaces a file of the folder."""
        with open(self.path(f"{name}.new"), "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(self.path(f"{name}.new"), self.path(name))


if "WEBIMAGETEXT_WATCHED" in os.environ:
    sys.addaudithook(_Watch(os.environ["WEBIMAGETEXT_WATCHED"]))
