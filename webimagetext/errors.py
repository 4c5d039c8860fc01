"""The one exception that means "the user can mend this", and the wrapper every command runs in.

A mistake of the user's (a missing file, a wrong option, a corrupt input) is raised as :class:`UserError` with what is wrong
and what to do; :func:`run_command` prints it without a traceback. Anything else is a defect of ours and keeps its traceback.
"""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Callable, Iterator

__all__ = ["UserError", "full_disk_names", "run_command"]

_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")


class UserError(Exception):
    """Something the user can mend: ``problem`` names the file or option, ``remedy`` says what to do about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.remedy}" if self.remedy else self.problem


def _is_full_disk(error: OSError) -> bool:
    """Whether an error says that there is no space; NumPy's says so in words alone."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or (error.errno is None and bool(_SHORT_WRITE.match(str(error))))


@contextlib.contextmanager
def full_disk_names(path: str) -> Iterator[None]:
    """Makes the error of a full disk name the file or folder that is written in the block, also across processes."""
    try:
        yield
    except OSError as error:
        if not _is_full_disk(error) or error.filename:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path) from error


def run_command(command: Callable[[], int | None]) -> int:
    """Runs a command's body and turns its ending into an exit status.

    Returns 0 or what the body returned; 2 after a :class:`UserError`, a full disk or an import of what an extra
    brings; 130 after Ctrl-C; 141 after a closed pipe.
    """
    from webimagetext.extras import needed_by  # here, since that module needs the error defined above

    try:
        with needed_by("this command"):
            return command() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted; the same command again takes up where this one stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Python flushes stdout once more at exit; without a reader that would print a second error.
        sys.stdout = None
        return 141
    except OSError as error:
        if not _is_full_disk(error):
            raise
        print(f"error: no space left while writing {error.filename or 'a file'}", file=sys.stderr)
        print("  free some disk space, then run the same command again: finished work is kept", file=sys.stderr)
        return 2
