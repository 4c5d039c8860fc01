"""The wrapper that every command runs in: how its ending is told, and with which exit status."""

import contextlib
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from webimagetext.errors import UserError, is_full_disk
from webimagetext.extras import needed_by

__all__ = ["leave", "run_command"]


def run_command(command: Callable[[], int | None]) -> int:
    """Runs a command's body and turns its ending into an exit status.

    Returns 0 or what the body returned; 2 after a :class:`UserError`, a full disk or an import of what an extra
    brings; 130 after Ctrl-C; 141 after a closed pipe.
    """
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
        if not is_full_disk(error):
            raise
        print(f"error: no space left while writing {error.filename or 'a file'}", file=sys.stderr)
        print("  free some disk space, then run the same command again: finished work is kept", file=sys.stderr)
        return 2


def leave(status: int) -> NoReturn:
    """Ends the process of a program that uses torch, when all is saved and closed.

    Libraries' native threads may still be at work, such as those between the processes of a group, and tearing the
    interpreter down under them aborts the process now and then, which would hide the status.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, BrokenPipeError):  # where nobody reads what is printed
            stream.flush()
    os._exit(status)
