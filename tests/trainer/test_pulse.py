"""Signs of life between processes: who is silent or keeps others waiting is named, who is slow is not."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from trainer.pulse import OVER, Lookout, Note, Pulse
from webimagetext.errors import UserError

HERE = socket.gethostname()
LIMIT = 30.0


def note(beat: int, place: int, doing: str = "inside one step") -> Note:
    return Note(beat, place, doing, 4711, "elsewhere")


def watch(seen: Callable[[int], Note | None], place: Callable[[int], int], seconds: int = 200) -> tuple[int, str]:
    """When, in seconds of a clock of its own that looks once a second, process 1 is found wrong, and what is said; -1
    for never."""
    lookout = Lookout(1, LIMIT, 0.0)
    for second in range(1, seconds):
        if found := lookout.wrong(seen(second), place(second), float(second)):
            return second, str(found)
    return -1, ""


def test_a_silent_one_is_named() -> None:
    when, said = watch(lambda second: note(min(second, 50), 3), lambda second: 3)
    assert when == 81 and "process 1 of the run (4711 on elsewhere) has given no sign of life for 30 s" in said
    assert "the same command goes on" in said


def test_one_that_never_came_is_named() -> None:
    when, said = watch(lambda second: None, lambda second: 0)
    assert when == 31 and "process 1 of the run has given no sign of life" in said


def test_one_that_keeps_the_others_waiting_is_named_with_what_it_does() -> None:
    when, said = watch(lambda second: note(second, 7, "waiting for data"), lambda second: 7 + (second >= 20))
    assert when == 51 and "(4711 on elsewhere) has kept the others waiting for 30 s: waiting for data" in said
    assert "--rank-seconds" in said


@pytest.mark.parametrize("theirs", [7, 8, 99])
def test_who_works_along_or_waits_for_this_one_is_left_alone(theirs: int) -> None:
    assert watch(lambda second: note(second, theirs), lambda second: 7) == (-1, "")


def test_a_slow_one_that_gets_on_is_waited_for() -> None:
    # A step takes 29 seconds, and this process waits for nearly all of them.
    assert watch(lambda second: note(second, second // 29), lambda second: second // 29 + 1) == (-1, "")
    # So does one whose signs come late.
    assert watch(lambda second: note(second // 29, 5), lambda second: 5) == (-1, "")


def test_one_that_has_done_its_part_is_not_waited_for() -> None:
    assert watch(lambda second: note(min(second, 5), 8, OVER), lambda second: 9) == (-1, "")


class Notes(dict[str, str]):
    """A store in memory; one that is ``broken`` answers nothing."""

    broken = False

    def set(self, key: str, value: str) -> None:
        if self.broken:
            raise RuntimeError("Connection reset by peer")
        self[key] = value

    def check(self, keys: list[str]) -> bool:
        return all(key in self for key in keys)

    def get(self, key: str) -> bytes:  # type: ignore[override]
        return self[key].encode()


def of(notes: Notes, rank: int) -> Note:
    return Note(**json.loads(notes[f"pulse/0/{rank}"]))


def until(reached: Callable[[], bool]) -> None:
    while not reached():
        time.sleep(0.005)


@pytest.mark.parametrize("broken", [False, True])
def test_two_that_look_after_each_other(broken: bool) -> None:
    notes, told, over = Notes(), list[UserError](), threading.Event()

    def end(found: UserError) -> None:
        told.append(found)
        over.set()

    first, second = (Pulse(rank, 2, 2.0, notes, end) for rank in (0, 1))
    first.place, first.doing = 5, lambda: "waiting for data"
    until(lambda: len(notes) == 2 and of(notes, 0).place == 5 and of(notes, 1).beat > 3)
    assert (of(notes, 0).doing, of(notes, 0).process, of(notes, 0).host) == ("waiting for data", os.getpid(), HERE)
    first.place, second.place = 6, 6
    assert not told
    if broken:
        notes.broken = True
        assert over.wait(60) and "no sign of life" in str(told[0])
    second.close()
    first.close()
    assert broken or ({of(notes, 0).doing, of(notes, 1).doing} == {OVER} and not told)


def test_who_has_ended_is_looked_up() -> None:
    notes, told = Notes(), list[UserError]()
    pulse = Pulse(0, 3, LIMIT, notes, told.append)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        about = Note(1, 1, "inside one step", process.pid, HERE)
        notes["pulse/0/2"] = json.dumps(asdict(about))
        pulse.end_without()
        process.kill()
        state = Path(f"/proc/{process.pid}/stat")
        until(lambda: state.read_text().rpartition(")")[2].split()[0] == "Z")
        pulse.end_without()  # it has not been collected yet
    pulse.end_without()
    notes["pulse/0/2"] = json.dumps({**asdict(about), "host": "elsewhere"})
    pulse.end_without()
    pulse.close()
    named = f"process 2 of the run ({process.pid} on {HERE}) has ended"
    assert [named in str(each) for each in told] == [False, True, True, False]
    assert all("another process of the run has ended" in str(told[number]) for number in (0, 3))
