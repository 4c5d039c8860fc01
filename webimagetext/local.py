"""Copies on this machine of what lies on an object store, for the parts that must map or seek in a file.

In: a URL. Out: a path. :func:`fetched` is for one use and leaves nothing behind; :func:`kept` shares a copy between
processes and runs, under a name that tells its content, in a folder of this user's alone. What nothing has used for a
week is deleted.
"""

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator

from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["copy", "fetched", "folder", "kept", "sweep"]

UNUSED_SECONDS = 7 * 24 * 3600.0


def folder() -> str:
    """The folder for copies, below the machine's temporary one (TMPDIR moves it). Raises UserError when another user
    has it."""
    path = os.path.join(tempfile.gettempdir(), f"webimagetext-{os.getuid()}")
    os.makedirs(path, mode=0o700, exist_ok=True)
    about = os.lstat(path)
    if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode):
        raise UserError(f"{path}: belongs to another user", "remove it, or set TMPDIR to a folder of your own")
    return path


def sweep(place: str, unused: float = UNUSED_SECONDS) -> None:
    """Deletes the files of a folder that have not been used for ``unused`` seconds; a process that has one mapped keeps
    it."""
    oldest = time.time() - unused
    for entry in os.scandir(place):
        with contextlib.suppress(OSError):
            if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < oldest:
                os.unlink(entry.path)


def copy(url: str, path: str) -> None:
    """Copies the file at ``url`` to ``path``, which is there whole or not at all. Raises UserError when it came
    short."""
    with files.open_input(url) as source, files.write_hashed(path) as target:
        shutil.copyfileobj(source, target, 1 << 20)
        if target.size != files.size(url):
            raise UserError(
                f"{url}: {target.size} bytes of {files.size(url)} were received", "run the same command again"
            )


@contextlib.contextmanager
def fetched(url: str) -> Iterator[str]:
    """A path to the content of ``url`` while the block runs: itself, or a copy that is deleted afterwards."""
    if not files.is_url(url):
        files.open_input(url).close()  # which says in words what cannot be read
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="webimagetext-") as place:
        path = os.path.join(place, url.rstrip("/").rpartition("/")[2])
        copy(url, path)
        yield path


def kept(url: str, is_whole: Callable[[str], bool]) -> str:
    """A copy of ``url``, whose name tells its content, that later calls find again. Raises UserError unless
    ``is_whole(path)``."""
    place = folder()
    path = os.path.join(place, url.rpartition("/")[2])
    if not os.path.exists(path):
        sweep(place)
        partial = f"{path}.{os.getpid()}.part"
        try:
            copy(url, partial)
            if not is_whole(partial):
                raise UserError(f"{url}: its content is not what its name says", "delete it: it is then made anew")
            os.replace(partial, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
    os.utime(path)
    return path
