"""Engines outside Python, reached through Beam's job service: what can go wrong on the way, told in a line.

In: Beam's options, the errors it raises. Out: UserErrors for an address where nobody answers and for a job that failed
there. The engine's own account of a failure is longer than a screen; it goes into a file, and the line says what to
look for.
"""

import contextlib
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.engines.console import SAID, console
from webimagetext.errors import UserError

__all__ = ["LostWorkerError", "check_address", "check_endpoint", "told_as_failed_job"]

_CONNECT_SECONDS = 10
_FAILED = re.compile(r"failed in state (FAILED|CANCELLED|STOPPED|UNKNOWN)|^Pipeline failed|Service failed to start up")
_STATE = re.compile(r"^Pipeline \S+ failed in state \w+: ")
_TRACEBACK = "Traceback (most recent call last)"
_OURS = f"IllegalStateException: {SAID}"  # what our job server has found wrong, and another try would not mend
# How a Python traceback or a Java stack trace ends: the type of an exception and what it says.
_CAUSE = re.compile(r"^(?:Caused by: )?((?:\w+\.)*[A-Z]\w*): *(\S.*)$", re.MULTILINE)


def check_endpoint(options: Mapping[str, Any]) -> None:
    """Raises UserError when nobody answers at ``--job_endpoint``: Beam itself would wait for minutes, or for ever."""
    endpoint = str(options.get("job_endpoint") or "embed")
    if endpoint == "embed":
        return
    check_address(
        f"--job_endpoint={endpoint}",
        endpoint,
        "start the job server there, or leave the option out to have it started here",
    )


def check_address(option: str, address: str, remedy: str) -> None:
    """Raises UserError when nobody answers at ``address``, HOST:PORT or several with commas between them, of which one
    is enough; ``option`` is what the user gave."""
    failed = ""
    for each in address.split(","):
        host, _, port = each.rpartition(":")
        if not host or not port.isdecimal():
            raise UserError(f"{option} is not an address of the form HOST:PORT")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
        except OSError as error:
            failed = error.strerror or str(error)
        else:
            return
    raise UserError(f"{option}: nobody answers there ({failed})", remedy)


class LostWorkerError(UserError):
    """A job failed by the loss of workers, not by what they did: worth another try, which goes on from what is
    finished.

    Spark tries a task again in the same Java process; where that has lost its Python, every try fails alike.
    """


@contextlib.contextmanager
def told_as_failed_job(name: str, runner: str) -> Iterator[None]:
    """Raises UserError, a LostWorkerError if it is one, when ``runner`` could not do the job ``name``; other errors
    pass."""
    with console() as heard:
        try:
            yield
        except RuntimeError as error:
            text = str(error)
            if not _FAILED.search(text):
                raise
            heard.lines.extend(text.splitlines())
            found = _CAUSE.findall(text)
            cause = ": ".join(found[-1]) if found else _STATE.sub("", text.strip().splitlines()[0])
            lost = "failed in state" in text and _TRACEBACK not in text and _OURS not in cause
            raise (LostWorkerError if lost else UserError)(
                f"{name}: the job failed on {runner}: {cause.partition(_OURS)[2] or cause}",
                f"{heard.write(name)} has all that it said; the same command again goes on from what is finished",
            ) from None
