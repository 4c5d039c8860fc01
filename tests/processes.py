"""The processes that belong to a process, as Linux tells them."""

import contextlib
from pathlib import Path

__all__ = ["children", "of_group"]

STATE, GROUP = 0, 2  # fields behind the name of a process in its stat file


def children(process: int) -> set[int]:
    """The process ids of the children of process ``process`` now; none of one that has ended."""
    found: set[int] = set()
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        # A thread that ends between the listing and the reading takes its file along.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.update(map(int, file.read_text().split()))
    return found


def of_group(group: int) -> list[int]:
    """The processes of a process group that run or wait now; none that have ended and are not yet collected."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = file.read_text().rpartition(")")[2].split()
            if int(fields[GROUP]) == group and fields[STATE] not in "ZX":
                found.append(int(file.parent.name))
    return sorted(found)
