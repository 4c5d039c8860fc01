"""How a program of the trainer ends when it cannot go on: in one line with the remedy, whatever library it was.

In: the body of a program. Out: its exit status. Too little memory, a place that may not be written and too many open
files become a UserError; SIGTERM ends the program with 143. Imports no torch, so that ``--help`` answers at once.
"""

import errno
import os
import re
import signal
import sys
from collections.abc import Callable

from webimagetext.endings import Terminated, heard
from webimagetext.errors import UserError, is_full_disk, is_out_of_files

__all__ = ["in_words", "is_out_of_memory", "out_of_files"]

# As torch words it for processors, for GPUs, and for the libraries that it calls.
_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|Unable to allocate|_ALLOC_FAILED", re.I)

_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.tmp$")  # of a file that is being written


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is too little memory, the GPU's or the machine's."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_MEMORY.search(str(error))))


def out_of_files() -> UserError:
    """The error for a process that may not open another file."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UserError(
        f"{os.strerror(errno.EMFILE)}: this process may have {soft}",
        f"raise the limit before the command: ulimit -n {min(hard, 65536) if hard > soft else 65536}",
    )


def in_words(body: Callable[[], int], memory: str) -> int:
    """Runs the body of a program; ``memory`` is the remedy when there is too little."""
    try:
        with heard():
            return body()
    except Terminated:
        print("stopped by SIGTERM", file=sys.stderr)
        return 128 + signal.SIGTERM
    except UserError:
        raise
    except Exception as error:
        found = _worded(error, memory)
        if found is None:
            raise
        raise found from None


def _worded(error: Exception, memory: str) -> UserError | None:
    """The error in words; None for a defect of ours, and for a full disk, which every program tells of."""
    if is_out_of_memory(error):
        where = "the GPU" if "CUDA" in str(error) or "CUBLAS" in str(error) else "this machine"
        return UserError(f"out of memory on {where}", memory)
    if is_out_of_files(error):
        return out_of_files()
    if isinstance(error, OSError) and error.errno and error.filename and not is_full_disk(error):
        name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else error.filename
        name = _TEMPORARY.sub("", name)
        return UserError(f"{name}: {os.strerror(error.errno)}", "change that, or name another place")
    return None
