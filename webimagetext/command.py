"""The wrapper that every command runs in: in which encoding it speaks, how its ending is told, and with which exit
status."""

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from webimagetext.endings import Terminated, heard, user_error
from webimagetext.extras import needed_by
from webimagetext.foreign import shown
from webimagetext.handles import raise_limit

__all__ = ["leave", "run_command"]

_PROGRAMS = ("webimagetext", "pipeline", "query_builder", "trainer")


def run_command(command: Callable[[], int | None]) -> int:
    """Runs a command's body and turns its ending into an exit status.

    Returns 0 or what the body returned; 2 after a :class:`UserError`, after what a user can mend otherwise (a full or
    read-only disk, a permission, a limit, memory) or an import of what an extra brings; 130 after Ctrl-C, 143 after
    SIGTERM, 141 after a closed pipe.
    """
    _take_names_as_utf_8()
    _print_any_text()
    raise_limit()
    try:
        with needed_by("this command"), heard():
            return command() or 0
    except KeyboardInterrupt as error:
        how, status = ("terminated", 143) if isinstance(error, Terminated) else ("interrupted", 130)
        print(f"\n{how}; the same command again takes up where this one stopped", file=sys.stderr)
        return status
    except BrokenPipeError:
        # Python flushes stdout once more at exit; without a reader that would print a second error.
        sys.stdout = None
        return 141
    except Exception as error:
        told = user_error(error)
        if told is None:
            raise
        print(shown(f"error: {told}"), file=sys.stderr)
        return 2


def _take_names_as_utf_8() -> None:
    """Begins the program anew in Python's UTF-8 mode where it would take names of files and words for ASCII: without a
    locale that says otherwise they are UTF-8, and so are those of its worker processes."""
    if codecs.lookup(sys.getfilesystemencoding()).name != "ascii" or os.environ.get("PYTHONUTF8") == "1":
        return
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    package = spec.name.partition(".")[0] if spec else os.path.basename(sys.argv[0])
    if package in _PROGRAMS:  # and not a program of somebody else's that calls ours
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _print_any_text() -> None:
    """Lets a terminal or file of another encoding show what it cannot hold as \\u2026, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def leave(status: int) -> NoReturn:
    """Ends the process of a program that uses torch, when all is saved and closed.

    Libraries' native threads may still be at work, such as those between the processes of a group, and tearing the
    interpreter down under them aborts the process now and then, which would hide the status.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, BrokenPipeError):  # where nobody reads what is printed
            stream.flush()
    os._exit(status)
