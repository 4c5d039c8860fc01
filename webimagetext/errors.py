"""The one exception that means "the user can mend this", and the wrapper every command runs in.

A mistake of the user's (a missing file, a wrong option, a corrupt input) is raised as :class:`UserError` with what is wrong
and what to do; :func:`run_command` prints it without a traceback. Anything else is a defect of ours and keeps its traceback.
"""

import errno
import sys
from collections.abc import Callable

__all__ = ["UserError", "run_command"]


class UserError(Exception):
    """Something the user can mend: ``problem`` names the file or option, ``remedy`` says what to do about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.remedy}" if self.remedy else self.problem


def run_command(command: Callable[[], int | None]) -> int:
    """Runs a command's body and turns its ending into an exit status.

    Returns 0 or what the body returned; 2 after a :class:`UserError` or a full disk; 130 after Ctrl-C; 141 after a closed pipe.
    """
    try:
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
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"error: no space left while writing {error.filename or 'a file'}", file=sys.stderr)
        print("  free some disk space, then run the same command again: finished work is kept", file=sys.stderr)
        return 2
