"""One training at a time in a folder.

In: the output folder. Out: a file ``lock`` in it that says who is at work: host, process, start. The system's own lock
on that file decides, and it goes with the process however that ends: what a killed process leaves is taken over, and
what it had half written is removed. On an object store, which has no such locks, a lease does the same
(webimagetext/lock.py).
"""

import contextlib
import json
import os
import socket
import time

from webimagetext.errors import UserError, full_disk_names
from webimagetext.files import is_url, join, make_folder, read
from webimagetext.lock import locked, take
from webimagetext.temporary import remove_temporary, remove_temporary_of

__all__ = ["Hold"]

WRITTEN = ("config.toml", "tokenizer.json", "summary.json")  # beside the checkpoints


class Hold:
    """The right to train into ``output``."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._path = join(output, "lock")
        self._handle: int | None = None
        self._lease: contextlib.ExitStack | None = None

    def take(self) -> None:
        """Takes the right, unless it is held already. Raises UserError that names who has it."""
        if self._handle is not None or self._lease is not None:
            return
        if is_url(self._output):
            with contextlib.ExitStack() as lease:
                lease.enter_context(locked(self._output, "training"))
                self._lease = lease.pop_all()
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
        self._handle = handle
        about = {"host": socket.gethostname(), "pid": os.getpid(), "started": time.strftime("%Y-%m-%d %H:%M:%S")}
        with full_disk_names(self._path):
            os.ftruncate(handle, 0)
            os.write(handle, f"{json.dumps(about)}\n".encode())
        remove_temporary(join(self._output, "checkpoints"))
        remove_temporary_of(join(self._output, name) for name in WRITTEN)

    def close(self) -> None:
        """Gives the right back. Raises UserError where another process has taken a lease over."""
        if self._lease is not None:
            lease, self._lease = self._lease, None
            lease.close()
        if self._handle is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            os.close(self._handle)
            self._handle = None

    def _taken(self) -> UserError:
        try:
            about = json.loads(read(self._path) or b"")
            who = f"process {about['pid']} on {about['host']}, since {about['started']}"
        except (ValueError, KeyError, TypeError):
            who = "another process"
        return UserError(
            f"{self._output}: is being trained into by {who}", "wait for its end or stop it, or name another --output"
        )
