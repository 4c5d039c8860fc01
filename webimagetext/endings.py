"""What ends a program from outside, in a user's words: a signal, a disk, a permission, a limit, memory.

In: exceptions, or the last line of a traceback that came from another process. Out: a UserError with a remedy, or None
for what is a defect of ours and keeps its traceback.
"""

import errno
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from webimagetext.errors import UserError, is_full_disk

__all__ = ["Terminated", "heard", "user_error", "user_error_of_text"]

AGAIN = "run the same command again: finished work is kept"
MEMORY = UserError(
    "out of memory", f"use fewer --workers, a smaller batch, or a machine with more memory; then {AGAIN}"
)
# What to say of an error of the system, and what to do about it.
_SYSTEM = {
    errno.ENOSPC: ("no space left while writing {}", f"free some disk space, then {AGAIN}"),
    errno.EDQUOT: ("the quota of this user is spent: {}", f"free some disk space, then {AGAIN}"),
    errno.EROFS: ("{}: this file system may only be read", "give a folder that may be written"),
    errno.EACCES: ("{}: permission is denied", "change its owner or its permissions, or give another folder"),
    errno.EPERM: ("{}: the system does not permit this", "change its owner or its permissions, or give another folder"),
    errno.EFBIG: ("{}: the file would be larger than this system allows", "look at `ulimit -f` and the file system"),
    errno.EMFILE: ("too many open files, the last {}", f"raise the limit (`ulimit -n 4096`), then {AGAIN}"),
    errno.ENFILE: ("too many open files on this machine, the last {}", f"close other programs, then {AGAIN}"),
    errno.ENOMEM: (MEMORY.problem, MEMORY.remedy),
    errno.EIO: ("{}: the disk could not read or write", "look at the machine's log: a disk or a network mount fails"),
    errno.ESTALE: ("{}: the network mount has lost it", f"mount it anew, then {AGAIN}"),
}
# The last line of a traceback: its type, the number of the system's error, its words, and the file's name.
_OS_ERROR = re.compile(r"^(?:\w+\.)*\w*Error: \[Errno (\d+)\] [^\n:]*(?:: '([^'\n]*)')?", re.MULTILINE)
_MEMORY_ERROR = re.compile(r"^(?:\w+\.)*(?:_Array|Arrow)?MemoryError\b", re.MULTILINE)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which unwinds a program as Ctrl-C does."""


def user_error(error: BaseException) -> UserError | None:
    """What a user is told of ``error``; None where it says nothing that they could mend."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError) or type(error).__name__ == "ArrowMemoryError":
        return MEMORY
    if not isinstance(error, OSError):
        return None
    if is_full_disk(error):
        return _of_system(errno.ENOSPC, error.filename)
    return _of_system(error.errno, error.filename)


def user_error_of_text(text: str) -> UserError | None:
    """The same of an error that another process raised, from the text of its traceback."""
    if _MEMORY_ERROR.search(text):
        return MEMORY
    found = list(_OS_ERROR.finditer(text))
    return _of_system(int(found[-1][1]), found[-1][2]) if found else None


def _of_system(number: int | None, path: object) -> UserError | None:
    if number not in _SYSTEM:
        return None
    problem, remedy = _SYSTEM[number]
    return UserError(problem.format(path or "a file"), remedy)


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated


@contextmanager
def heard() -> Iterator[None]:
    """Raises Terminated in the block when SIGTERM comes, where nobody else listens for it and this is the main
    thread."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
