"""One program at a time in a folder: a lock that names its owner, so that two can't write into each other's work.

In: a folder, by path or URL. Out: the lock while a block runs, or a UserError that says who has it. On a local disk the
system holds the lock and lets it go when its process ends, however that ends. On an object store it is a lease: an
object that its owner renews, and that another takes over when it has not been renewed for three minutes, or at once
where the owner was a process of the same machine. Clocks may be wrong, and jump: a lease that looks old is watched
before it is taken, and an owner who finds his taken ends.
"""

import _thread
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from webimagetext import files
from webimagetext.errors import UserError, full_disk_names

__all__ = ["locked", "take"]

NAME = ".lock"
RENEWED_SECONDS = 30.0
STALE_SECONDS = 180.0  # without being renewed
POLL_SECONDS = 0.1
WATCHED_SECONDS = 75.0  # a lease that looks old must stay as it is for so long: its owner renews it twice in that time
SETTLED_SECONDS = 1.0  # after which a lease that was written is read again: of two who write, the later one has it


@contextlib.contextmanager
def locked(folder: str, what: str) -> Iterator[None]:
    """Holds the lock of a folder for ``what`` (such as "a run") while the block runs; makes the folder.

    Raises UserError, naming the owner, when another process holds it.
    """
    with _leased(folder, what) if files.is_url(folder) else _locked(folder, what):
        yield


def _owner(what: str) -> dict[str, Any]:
    return {
        "what": what,
        "host": socket.gethostname(),
        "process": os.getpid(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def _refuse(folder: str, owner: dict[str, Any]) -> UserError:
    who = f"process {owner.get('process', '?')} on {owner.get('host', '?')} since {owner.get('since', '?')}"
    return UserError(
        f"{folder}: {owner.get('what', 'another program')} is under way there ({who})",
        "wait for its end, stop it, or give another folder",
    )


def _read(content: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def take(path: str, patience: float = 0.0) -> int | None:
    """A handle of the local file ``path``, made where it is not there and locked for this process; None when another
    process holds it beyond ``patience`` seconds. Closing it lets it go; its holder may delete the file before."""
    deadline = time.monotonic() + patience
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            if time.monotonic() >= deadline:
                return None
            time.sleep(POLL_SECONDS)
            continue
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == os.stat(path).st_ino:
                return handle
        os.close(handle)  # its last holder has deleted it in the meantime


@contextlib.contextmanager
def _locked(folder: str, what: str) -> Iterator[None]:
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, NAME)
    handle = take(path)
    if handle is None:
        raise _refuse(folder, _read(files.read(path)))
    with open(handle, "wb", buffering=0) as stream:
        try:
            with full_disk_names(path):
                stream.truncate(0)
                stream.write(json.dumps(_owner(what)).encode())
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


@contextlib.contextmanager
def _leased(folder: str, what: str) -> Iterator[None]:
    url, mine = files.join(folder, NAME), uuid.uuid4().hex
    before = _read(files.read(url))
    if before and not _is_gone(url, before):
        raise _refuse(folder, before)
    owner = {**_owner(what), "lease": mine}
    _renew(url, owner)
    time.sleep(SETTLED_SECONDS)
    now = _read(files.read(url))
    if now.get("lease") != mine:
        raise _refuse(folder, now)
    over = threading.Event()
    other: list[dict[str, Any]] = []  # who has taken the lease from this process

    def is_mine() -> bool:
        now = _read(files.read(url))
        if now.get("lease", mine) != mine:
            other.append(now)
        return not other

    def renew() -> None:
        while not over.wait(RENEWED_SECONDS):
            with contextlib.suppress(OSError, UserError):  # the next time will do: a lease outlasts several
                if not is_mine():
                    _thread.interrupt_main(signal.SIGTERM)  # where the program hears it; else its end tells
                    return
                _renew(url, owner)

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    except KeyboardInterrupt:
        if other:
            raise _taken(folder, other[0]) from None
        raise
    finally:
        over.set()
        thread.join()
        with contextlib.suppress(OSError, UserError):
            if not other and is_mine():
                files.remove_file(url)
    if other:
        raise _taken(folder, other[0])


def _taken(folder: str, other: dict[str, Any]) -> UserError:
    """The error for an owner whose lease another has: this machine slept, or was cut off from the store."""
    return UserError(
        f"{_refuse(folder, other).problem}: it took over, for nothing was heard of this process for minutes",
        "leave the folder to it; the same command again, after its end, takes up where it stopped",
    )


def _is_gone(url: str, owner: dict[str, Any]) -> bool:
    """Whether whoever holds a lease has gone: it has not renewed it, or was a process of this machine that has ended.

    By the clocks alone, his and ours, nobody is taken for gone: a lease that looks old, or is of a time to come, must
    also stay as it is while it is watched.
    """
    renewed, process = owner.get("renewed"), owner.get("process")
    if not isinstance(renewed, int | float):
        return True
    if owner.get("host") == socket.gethostname() and isinstance(process, int):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # another user's
    if abs(time.time() - renewed) < STALE_SECONDS:
        return False
    print(f"{url}: looks left behind; it is watched for {WATCHED_SECONDS:.0f} s", file=sys.stderr)
    end = time.monotonic() + WATCHED_SECONDS
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, RENEWED_SECONDS / 4))
        if _read(files.read(url)) != owner:
            return False
    return True


def _renew(url: str, owner: dict[str, Any]) -> None:
    with files.write_atomic(url, "w") as stream:
        stream.write(json.dumps({**owner, "renewed": time.time()}))
