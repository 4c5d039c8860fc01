"""The one exception that means "the user can mend this".

A mistake of the user's (a missing file, a wrong option, a corrupt input) is raised as :class:`UserError` with what is
wrong and what to do; ``run_command`` (command.py) prints it without a traceback. Anything else is a defect of ours and
keeps its traceback.
"""

import contextlib
import errno
import os
import re
from collections.abc import Iterator

__all__ = ["UserError", "full_disk_names", "is_full_disk", "is_out_of_files", "is_out_of_memory"]

# As NumPy, Arrow and torch word it, for processors, for GPUs, and for the libraries that torch calls.
_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|Unable to allocate|_ALLOC_FAILED", re.I)
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")


class UserError(Exception):
    """Something the user can mend: ``problem`` names the file or option, ``remedy`` says what to do about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.remedy}" if self.remedy else self.problem


def is_full_disk(error: OSError) -> bool:
    """Whether an error says that there is no space; NumPy's says so in words alone."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or (error.errno is None and bool(_SHORT_WRITE.match(str(error))))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is too little memory, the GPU's or the machine's."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(_MEMORY.search(str(error))))


def is_out_of_files(error: BaseException | None) -> bool:
    """Whether an error says, itself or by its cause, that the process may not open another file; some libraries say it
    in words alone."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE) or os.strerror(errno.EMFILE) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def full_disk_names(path: str) -> Iterator[None]:
    """Makes the error of a full disk name the file or folder that is written in the block, also across processes."""
    try:
        yield
    except OSError as error:
        if not is_full_disk(error) or error.filename:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path) from error
