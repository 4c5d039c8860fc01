"""What ends a program from outside, in a user's words: a signal, a disk, a permission, a limit, memory.

In: exceptions, or the last line of a traceback that came from another process. Out: a UserError with a remedy, or None
for what is a defect of ours and keeps its traceback.
"""

import errno
import os
import re
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from webimagetext.errors import UserError, is_full_disk, is_out_of_files, is_out_of_memory
from webimagetext.temporary import final_name

__all__ = ["Terminated", "heard", "out_of_files", "user_error", "user_error_of_text"]

AGAIN = "run the same command again: finished work is kept"
MEMORY = f"use fewer --workers, a smaller batch, or a machine with more memory; then {AGAIN}"
NO_THREAD = "can't start new thread"  # Python's words
THREADS = UserError(
    "this machine lets the program start no further thread",
    f"raise the limits on memory (`ulimit -v`) and processes (`ulimit -u`), or use fewer --workers; then {AGAIN}",
)
NO_ROOM = "failed to map segment from shared object"  # the system's words, where a library is loaded
ANOTHER = "change that, or name another place"
# What to say of an error of the system, and what to do about it.
_SYSTEM = {
    errno.ENOSPC: ("no space left while writing {}", f"free some disk space, then {AGAIN}"),
    errno.EDQUOT: ("the quota of this user is spent: {}", f"free some disk space, then {AGAIN}"),
    errno.EROFS: ("{}: this file system may only be read", "give a folder that may be written"),
    errno.EACCES: ("{}: permission is denied", "change its owner or its permissions, or give another folder"),
    errno.EPERM: ("{}: the system does not permit this", "change its owner or its permissions, or give another folder"),
    errno.EFBIG: ("{}: the file would be larger than this system allows", "look at `ulimit -f` and the file system"),
    errno.EIO: ("{}: the disk could not read or write", "look at the machine's log: a disk or a network mount fails"),
    errno.ESTALE: ("{}: the network mount has lost it", f"mount it anew, then {AGAIN}"),
}
# The same of a place that an option names: only where the error says which one it is.
_PLACE = {
    errno.ENOENT: ("{}: is not there, or not any more", f"if another program moved or deleted it: {AGAIN}"),
    errno.ENOTDIR: ("{}: a part of this path is a file, not a folder", ANOTHER),
    errno.EISDIR: ("{}: is a folder, not a file", ANOTHER),
    errno.EEXIST: ("{}: is a file where a folder has to be", ANOTHER),
    errno.ENOTEMPTY: ("{}: this folder is not empty", ANOTHER),
    errno.ENAMETOOLONG: ("{}: the name is too long", ANOTHER),
    errno.ELOOP: ("{}: links lead in a circle", ANOTHER),
}
# The last line of a traceback: its type, the number of the system's error, its words, and the file's name.
_OS_ERROR = re.compile(r"^(?:\w+\.)*\w*Error: \[Errno (\d+)\] [^\n:]*(?:: '([^'\n]*)')?", re.MULTILINE)
_MEMORY_ERROR = re.compile(r"^(?:\w+\.)*(?:_Array|Arrow)?MemoryError\b", re.MULTILINE)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which unwinds a program as Ctrl-C does."""


def user_error(error: BaseException, memory: str = MEMORY) -> UserError | None:
    """What a user is told of ``error``, with what to do about too little ``memory``; None where it says nothing that
    they could mend."""
    if isinstance(error, UserError):
        return error
    if is_out_of_memory(error):
        return _out_of_memory(str(error), memory)
    if is_out_of_files(error):
        return out_of_files()
    if isinstance(error, RuntimeError) and str(error) == NO_THREAD:
        return THREADS
    if isinstance(error, ImportError) and NO_ROOM in str(error):
        return UserError(
            f"out of memory: a library finds no room ({str(error).partition(':')[0]})",
            "raise the limit before the command (`ulimit -v unlimited`), or use a machine with more memory",
        )
    if not isinstance(error, OSError):
        return None
    return _of_system(error.errno or (errno.ENOSPC if is_full_disk(error) else None), error.filename)


def user_error_of_text(text: str) -> UserError | None:
    """The same of an error that another process raised, from the text of its traceback."""
    if _MEMORY_ERROR.search(text):
        return _out_of_memory(text, MEMORY)
    if f"RuntimeError: {NO_THREAD}" in text:
        return THREADS
    found = list(_OS_ERROR.finditer(text))
    return _of_system(int(found[-1][1]), found[-1][2]) if found else None


def _out_of_memory(text: str, remedy: str) -> UserError:
    where = "the GPU" if "CUDA" in text or "CUBLAS" in text else "this machine"
    return UserError(f"out of memory on {where}", remedy)


def out_of_files() -> UserError:
    """The error for a process that may not open another file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(hard, 65536) if hard > soft else 65536
    remedy = f"raise the limit before the command (ulimit -n {most}), or close other programs; then {AGAIN}"
    return UserError(f"too many open files: this process may have {soft:,}", remedy)


def _of_system(number: int | None, path: object) -> UserError | None:
    if number == errno.ENOMEM:
        return _out_of_memory("", MEMORY)
    if number in (errno.EMFILE, errno.ENFILE):
        return out_of_files()
    words = _SYSTEM.get(number or 0) or (_PLACE.get(number or 0) if path else None)
    if words is None:
        return None
    name = final_name(os.fsdecode(path) if isinstance(path, (str, bytes)) else str(path or "a file"))
    return UserError(words[0].format(name), words[1])


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
