"""One training at a time in a folder.

In: the output folder. Out: a file ``lock`` in it that says who is at work: host, process, start. The system's own lock
on that file decides, and it goes with the process however that ends: what a killed process leaves is taken over.
"""

import contextlib
import json
import os
import socket
import time
from typing import IO

from webimagetext.errors import UserError
from webimagetext.files import is_url, join, make_folder, read
from webimagetext.lock import take

__all__ = ["Hold"]


class Hold:
    """The right to train into ``output``; no more than a wish on an object store, which has no such locks."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._path = join(output, "lock")
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Takes the right, unless it is held already. Raises UserError that names who has it."""
        if self._file is not None or is_url(self._output):
            return
        make_folder(self._output)
        try:
            handle = take(self._path)
        except OSError as error:
            if error.filename is not None:
                raise
            return  # a file system without locks
        if handle is None:
            raise self._taken()
        self._file = os.fdopen(handle, "w", encoding="utf-8")
        self._file.truncate(0)
        about = {"host": socket.gethostname(), "pid": os.getpid(), "started": time.strftime("%Y-%m-%d %H:%M:%S")}
        self._file.write(json.dumps(about) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Gives the right back."""
        if self._file is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            self._file.close()
            self._file = None

    def _taken(self) -> UserError:
        try:
            about = json.loads(read(self._path) or b"")
            who = f"process {about['pid']} on {about['host']}, since {about['started']}"
        except (ValueError, KeyError, TypeError):
            who = "another process"
        return UserError(
            f"{self._output}: is being trained into by {who}", "wait for its end or stop it, or name another --output"
        )
