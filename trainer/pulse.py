"""Signs of life between the processes of a run, so that one that hangs or has gone ends the run, with its name.

In: which process this is, and how far it has come: the exchanges between the processes that it has entered, and what it
does. Each process notes that in the store of the launcher, and looks at the notes of the next one. Out: nothing while
all goes well; else a line, and the end of this process. Its main thread waits within a library for the other, where
nothing reaches it; the launcher then ends the rest. A process that is only slow is waited for.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, NoReturn, Protocol, cast

from webimagetext.errors import UserError

__all__ = ["OVER", "Lookout", "Note", "Notes", "Pulse", "store_of_launcher"]

MOST_SECONDS = 10.0  # between two notes
STATUS = 2
OVER = "over"
AGAIN = "the same command goes on from the newest checkpoint"


class Notes(Protocol):
    """The part of a store that is used here."""

    def set(self, key: str, value: str, /) -> None: ...
    def check(self, keys: list[str], /) -> bool: ...
    def get(self, key: str, /) -> bytes: ...


@dataclass(frozen=True)
class Note:
    """What a process says of itself: how often it has, the exchanges it has entered, what it does now."""

    beat: int
    place: int
    doing: str
    process: int
    host: str


def store_of_launcher(seconds: float) -> Any:
    """A line of its own to the store that torchrun, or the first process, keeps; a question may take so long."""
    import torch.distributed

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    # It is a public name, which the package's own list of them lacks.
    return cast(Any, torch.distributed).TCPStore(address, port, None, False, timedelta(seconds=seconds))


class Lookout:
    """What is wrong with process ``rank``, by its notes: no sign of life, or waited for in vain, for ``limit``
    seconds."""

    def __init__(self, rank: int, limit: float, now: float) -> None:
        self._rank, self._limit = rank, limit
        self._beat, self._since = -1, now  # its newest beat, and when that came
        self._here, self._waiting = -1, now  # where this process is, and since when

    def wrong(self, note: Note | None, place: int, now: float) -> UserError | None:
        """What to say at the moment ``now`` by its newest note, of which this process is at ``place``; None while all
        is well."""
        if note is not None and (note.doing == OVER or note.beat != self._beat):
            self._beat, self._since = note.beat, now
        if place != self._here:
            self._here, self._waiting = place, now
        who = f"process {self._rank} of the run" + (f" ({note.process} on {note.host})" if note is not None else "")
        if now - self._since > self._limit:
            return UserError(
                f"{who} has given no sign of life for {self._limit:g} s: it hangs, was stopped, or its machine is lost",
                f"look at that process or machine, then run again: {AGAIN}",
            )
        if note is None or note.doing == OVER or note.place >= place or now - self._waiting <= self._limit:
            return None
        return UserError(
            f"{who} has kept the others waiting for {self._limit:g} s: {note.doing}",
            f"where that is no fault, raise --rank-seconds; {AGAIN}",
        )


class Pulse:
    """Notes this process's life every few seconds and looks after the next one of ``size``, until it is closed.

    What is wrong for ``limit`` seconds is given to ``end``, which as a rule ends this process.
    """

    def __init__(
        self, rank: int, size: int, limit: float, store: Notes, end: Callable[[UserError], Any] | None = None
    ) -> None:
        self.place = 0
        self.doing: Callable[[], str] = lambda: "starting"
        self._rank, self._size, self._limit, self._store, self._end = rank, size, limit, store, end or _leave
        self._attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._over, self._beats = threading.Event(), 0
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Says that this process has done its part: nobody waits for it any more."""
        self._over.set()
        self._thread.join(self._limit)
        self.doing = lambda: OVER
        with contextlib.suppress(RuntimeError):
            self._beat()

    def end_without(self) -> None:
        """Ends this process, which has lost its line to another one, with the name of one that has ended."""
        who = "another process of the run"
        with contextlib.suppress(RuntimeError):
            for rank in range(self._size):
                note = self._note_of(rank)
                if note is not None and note.host == socket.gethostname() and _has_ended(note.process):
                    who = f"process {rank} of the run ({note.process} on {note.host})"
        self._end(UserError(f"{who} has ended", f"what it said stands above, where it could say anything; {AGAIN}"))

    def _watch(self) -> None:
        following = (self._rank + 1) % self._size
        lookout, pause = Lookout(following, self._limit, time.monotonic()), min(MOST_SECONDS, self._limit / 6)
        note = None
        while not self._over.wait(pause):
            with contextlib.suppress(RuntimeError):  # of the store, which has gone or does not answer
                self._beat()
                note = self._note_of(following)
            found = lookout.wrong(note, self.place, time.monotonic())
            if found is not None and not self._over.is_set():
                self._end(found)
                return

    def _beat(self) -> None:
        self._beats += 1
        note = Note(self._beats, self.place, self.doing(), os.getpid(), socket.gethostname())
        self._store.set(self._key(self._rank), json.dumps(asdict(note)))

    def _note_of(self, rank: int) -> Note | None:
        key = self._key(rank)
        return Note(**json.loads(self._store.get(key))) if self._store.check([key]) else None

    def _key(self, rank: int) -> str:
        return f"pulse/{self._attempt}/{rank}"


def _has_ended(process: int) -> bool:
    """Whether a process of this machine is no more, or was killed and is not collected yet."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return os.path.isdir("/proc/self")  # elsewhere nobody can tell


def _leave(found: UserError) -> NoReturn:
    """Ends this process with a line; the main thread cannot be told."""
    print(f"\nerror: {found}", file=sys.stderr, flush=True)
    os._exit(STATUS)
