"""One training at a time in a folder.

In: the output folder. Out: a file ``lock`` in it that says who is at work: host, process, start. The system's own lock
on that file decides, and it goes with the process however that ends: what a killed process leaves is taken over.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from typing import IO

from webimagetext.errors import UserError
from webimagetext.files import is_url, join, make_folder

__all__ = ["Hold"]


class Hold:
    """The right to train into ``output``; no more than a wish on an object store, which has no such locks."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._path = join(output, "lock")
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Takes the right, unless it is held already. Raises UserError that names who has it."""
        while self._file is None and not is_url(self._output):
            make_folder(self._output)
            file = open(self._path, "a+", encoding="utf-8")  # noqa: SIM115
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                with file:
                    if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                        raise self._taken(file) from None
                    return  # a file system without locks
            if not self._is_there(file):
                file.close()  # whoever had it has just removed it
                continue
            self._file = file
            file.truncate(0)
            about = {"host": socket.gethostname(), "pid": os.getpid(), "started": time.strftime("%Y-%m-%d %H:%M:%S")}
            file.write(json.dumps(about) + "\n")
            file.flush()

    def close(self) -> None:
        """Gives the right back."""
        if self._file is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            self._file.close()
            self._file = None

    def _is_there(self, file: IO[str]) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file.fileno()), os.stat(self._path))
        return False

    def _taken(self, file: IO[str]) -> UserError:
        file.seek(0)
        try:
            about = json.loads(file.read())
            who = f"process {about['pid']} on {about['host']}, since {about['started']}"
        except (ValueError, KeyError, TypeError):
            who = "another process"
        return UserError(
            f"{self._output}: is being trained into by {who}", "wait for its end or stop it, or name another --output"
        )
