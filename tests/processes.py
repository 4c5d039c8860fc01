"""The child processes of a process, as Linux tells them."""

import contextlib
from pathlib import Path

__all__ = ["children"]


def children(process: int) -> set[int]:
    """The process ids of the children of process ``process`` now; none of one that has ended."""
    found: set[int] = set()
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        # A thread that ends between the listing and the reading takes its file along.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.update(map(int, file.read_text().split()))
    return found
