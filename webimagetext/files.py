"""Files by path or fsspec URL (local, ``s3://``, ``gs://``…): reading, listing, and writing that is never half done.

A file is written under a temporary name and renamed when it is whole; on an object store, where an upload appears only when it
is complete, it is written under its own name.
"""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator
from typing import IO, Any, Literal

from webimagetext.errors import UserError, full_disk_names

__all__ = ["digest", "exists", "join", "listing", "make_folder", "open_input", "remove", "size", "write_atomic"]


def _split(url: str) -> tuple[Any, str]:
    """The fsspec file system of ``url`` and the path within it."""
    import fsspec.core

    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UserError(f"{url}: this kind of address cannot be opened: {error}") from None
    return filesystem, path


def _is_local(url: str) -> bool:
    return "://" not in url


def join(folder: str, *names: str) -> str:
    """``folder/name…``, for paths and URLs alike."""
    return "/".join([folder.rstrip("/"), *names])


def exists(url: str) -> bool:
    """Whether a file or folder is there."""
    if _is_local(url):
        return os.path.exists(url)
    filesystem, path = _split(url)
    return bool(filesystem.exists(path))


def size(url: str) -> int:
    """Bytes in a file."""
    if _is_local(url):
        return os.path.getsize(url)
    filesystem, path = _split(url)
    return int(filesystem.size(path))


def listing(pattern: str) -> list[str]:
    """The files that match a glob pattern, sorted by name."""
    filesystem, path = _split(pattern)
    found = sorted(str(name) for name in filesystem.glob(path))
    return found if _is_local(pattern) else [str(filesystem.unstrip_protocol(name)) for name in found]


def make_folder(url: str) -> None:
    """Creates a folder and its parents; nothing to do on an object store."""
    if _is_local(url):
        os.makedirs(url, exist_ok=True)


def remove(url: str) -> None:
    """Deletes a file or a whole folder; no error when it is not there."""
    filesystem, path = _split(url)
    with contextlib.suppress(FileNotFoundError):
        filesystem.rm(path, recursive=True)


def open_input(url: str) -> IO[bytes]:
    """Opens a file for binary reading. Raises UserError when it is missing or may not be read."""
    try:
        if _is_local(url):
            return open(url, "rb")
        filesystem, path = _split(url)
        stream: IO[bytes] = filesystem.open(path, "rb")
        return stream
    except FileNotFoundError:
        raise UserError(f"{url}: no such file") from None
    except (PermissionError, IsADirectoryError) as error:
        raise UserError(f"{url}: cannot be read: {error.strerror or error}") from None


@contextlib.contextmanager
def write_atomic(url: str, mode: Literal["wb", "w"] = "wb") -> Iterator[IO[Any]]:
    """A stream whose contents appear under ``url`` only when the block ends without an error; folders are made as needed."""
    if not _is_local(url):
        filesystem, path = _split(url)
        with filesystem.open(path, mode) as stream:
            yield stream
        return
    os.makedirs(os.path.dirname(url) or ".", exist_ok=True)
    temporary = f"{url}.{uuid.uuid4().hex[:12]}.tmp"
    try:
        with full_disk_names(url), open(temporary, mode, encoding=None if mode == "wb" else "utf-8") as stream:
            yield stream
        os.replace(temporary, url)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def digest(url: str) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open_input(url) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
