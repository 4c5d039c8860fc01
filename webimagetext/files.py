"""Files by path or fsspec URL (local, ``s3://``, ``gs://``…): reading, listing, and writing that is never half done.

A local file is written under a temporary name and renamed when it is whole. On an object store an upload appears under
its name only when it is complete, and one that fails is taken back; nothing is ever renamed there. What a store raises
is put into words by :mod:`webimagetext.stores`. A file counts as read or written as soon as the call returns: the
stores are consistent in that.
"""

import contextlib
import glob
import hashlib
import io
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, Literal

from webimagetext.errors import UserError, full_disk_names
from webimagetext.stores import is_url, missing, open_store, patiently
from webimagetext.streams import BLOCK, HashedStream, Input, Output
from webimagetext.temporary import temporary_name

__all__ = [
    "WHOLE",
    "HashedStream",
    "below",
    "digest",
    "digest_of",
    "exists",
    "is_folder",
    "is_url",
    "join",
    "listing",
    "make_folder",
    "open_input",
    "read",
    "read_ranges",
    "remove",
    "remove_file",
    "size",
    "sizes",
    "sync",
    "version",
    "write_atomic",
    "write_hashed",
]

WHOLE = 8 << 20  # a file up to this size is read by one request
GAP = 64 << 10  # two ranges this near to each other are one request


def join(folder: str, *names: str) -> str:
    """``folder/name…``, for paths and URLs alike."""
    return "/".join([folder.rstrip("/"), *names])


def exists(url: str) -> bool:
    """Whether a file or folder is there."""
    if not is_url(url):
        return os.path.exists(url)
    return _about(url) is not None


def is_folder(url: str) -> bool:
    """Whether a folder is there; on an object store, whether files lie below that name."""
    if not is_url(url):
        return os.path.isdir(url)
    about = _about(url)
    return about is not None and about["type"] == "directory"


def size(url: str) -> int:
    """Bytes in a file. Raises UserError when it is missing."""
    if not is_url(url):
        try:
            return os.path.getsize(url)
        except FileNotFoundError:
            raise missing(url) from None
    about = _about(url)
    if about is None:
        raise missing(url)
    return int(about["size"])


def version(url: str) -> str:
    """A word that is another one when a remote file's content is: the store's own mark, else its size and time."""
    about = _about(url)
    if about is None:
        raise missing(url)
    names = ("etag", "ETag", "md5Hash", "generation", "size", "LastModified", "mtime", "created")
    mark = about.get("ETag") or about.get("etag") or [str(about[name]) for name in names if name in about]
    return hashlib.sha256(str(mark).encode()).hexdigest()[:16]


def _about(url: str) -> dict[str, Any] | None:
    filesystem, path = open_store(url)
    try:
        found: dict[str, Any] = patiently(url, lambda: filesystem.info(path))
    except FileNotFoundError:
        return None
    return found


def listing(pattern: str, folder: str = "") -> list[str]:
    """The files that match a glob pattern, sorted by name; with ``folder``, below it, whatever characters its own name
    has."""
    if folder:
        pattern = join(glob.escape(folder), pattern)
    filesystem, path = open_store(pattern)
    try:
        found = sorted(map(str, patiently(pattern, lambda: filesystem.glob(path))))
    except FileNotFoundError:
        return []
    return [str(filesystem.unstrip_protocol(name)) for name in found] if is_url(pattern) else found


def sizes(folder: str) -> dict[str, int]:
    """The bytes of each file that lies in a folder itself, by name; none where there is no such folder."""
    if not is_url(folder):
        try:
            with os.scandir(folder) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            return {}
    filesystem, path = open_store(folder)
    try:
        found = patiently(folder, lambda: filesystem.ls(path, detail=True))
    except FileNotFoundError:
        return {}
    return {about["name"].rpartition("/")[2]: int(about["size"] or 0) for about in found if about["type"] == "file"}


def below(folder: str) -> list[str]:
    """The names of all files in a folder and in those below it, sorted, with the folders in between."""
    if not is_url(folder):
        found = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
        return sorted(os.path.relpath(path, folder).replace(os.sep, "/") for path in found)
    filesystem, path = open_store(folder)
    found = patiently(folder, lambda: filesystem.find(path))
    return sorted(str(name)[len(path.rstrip("/")) + 1 :] for name in found)


def make_folder(url: str) -> None:
    """Creates a folder and its parents; nothing to do on an object store."""
    if not is_url(url):
        os.makedirs(url, exist_ok=True)


def remove(url: str) -> None:
    """Deletes a file or a whole folder; no error when it is not there."""
    filesystem, path = open_store(url)

    def remove_all() -> None:
        if found := filesystem.find(path):
            filesystem.rm(found)
            # A store that deletes many files by one request may refuse some of them without an error.
            if filesystem.find(path):
                raise PermissionError("some files could not be deleted")

    with contextlib.suppress(FileNotFoundError):
        if is_url(url):
            patiently(url, remove_all)
        else:
            filesystem.rm(path, recursive=True)


def remove_file(url: str) -> None:
    """Deletes one file by one request; no error when it is not there."""
    with contextlib.suppress(FileNotFoundError):
        if not is_url(url):
            os.unlink(url)
            return
        filesystem, path = open_store(url)
        patiently(url, lambda: filesystem.rm_file(path))


def open_input(url: str) -> IO[bytes]:
    """Opens a file for binary reading. Raises UserError when it is missing or may not be read.

    A small file on an object store is fetched at once; of a large one, only what is read, in blocks.
    """
    if is_url(url):
        return _open_remote(url)
    try:
        _refuse_other_kinds(url)
        return open(url, "rb")
    except (FileNotFoundError, NotADirectoryError):
        raise missing(url) from None
    except PermissionError as error:
        raise UserError(f"{url}: cannot be read: {error.strerror or error}") from None


def _refuse_other_kinds(path: str) -> None:
    """Raises UserError for what is no file on this machine: a folder, or a pipe or device, which may have no end and
    cannot be read twice."""
    kind = os.stat(path).st_mode
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "a pipe or a device"
        raise UserError(f"{path}: is {what}, not a file", "give a file")


def _open_remote(url: str) -> IO[bytes]:
    filesystem, path = open_store(url)
    try:
        if path.rstrip("/") == path.partition("/")[0]:
            raise IsADirectoryError  # a bucket alone
        stream = patiently(url, lambda: filesystem.open(path, "rb", block_size=BLOCK, cache_type="readahead"))
        if (getattr(stream, "size", None) or BLOCK) <= WHOLE:
            with stream:
                return io.BytesIO(patiently(url, stream.read))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{url}: is a folder") if is_folder(url) else missing(url) from None
    return io.BufferedReader(Input(url, stream), 1 << 18)


def read(url: str) -> bytes | None:
    """A small file's whole content by one request; None where there is no such file."""
    if not is_url(url):
        try:
            _refuse_other_kinds(url)
            with open(url, "rb") as stream:
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
    filesystem, path = open_store(url)
    # s3fs would ask for the length first, to fetch a large file in parts.
    options = {"max_concurrency": 1} if "s3" in filesystem.protocol else {}
    try:
        return bytes(patiently(url, lambda: filesystem.cat_file(path, **options)))
    except FileNotFoundError:
        return None


def read_ranges(url_of: Sequence[str], starts: Sequence[int], ends: Sequence[int]) -> list[bytes]:
    """The bytes ``start`` to ``end`` of files of one store, in the order asked; near ranges share a request.

    A range beyond a file's end is cut short. Raises UserError for a missing file.
    """
    if not url_of:
        return []
    from fsspec.utils import merge_offset_ranges

    filesystem, _ = open_store(url_of[0])
    paths = [filesystem._strip_protocol(url) for url in url_of]
    pieces = merge_offset_ranges(list(paths), list(starts), list(ends), max_gap=GAP, max_block=BLOCK)
    try:
        fetched = patiently(url_of[0], lambda: filesystem.cat_ranges(*map(list, pieces), on_error="raise"))
    except FileNotFoundError:
        raise missing(next((url for url in dict.fromkeys(url_of) if not exists(url)), url_of[0])) from None
    held: dict[str, list[tuple[int, int, bytes]]] = {}
    for path, start, end, data in zip(*pieces, fetched, strict=True):
        held.setdefault(path, []).append((start, end, data))
    found = []
    for path, start, end in zip(paths, starts, ends, strict=True):
        first, _, data = next(piece for piece in held[path] if piece[0] <= start and end <= piece[1])
        found.append(data[start - first : end - first])
    return found


@contextlib.contextmanager
def _upload(url: str) -> Iterator[IO[bytes]]:
    output = Output(url)
    try:
        yield output  # type: ignore[misc]
        output.commit()
    except BaseException:
        output.discard()
        raise


def sync(urls: Iterable[str]) -> None:
    """Waits until local files, and their names in their folders, are on the disk; those that are not there are passed
    over. A file on an object store is safe once it is written."""
    local = [url for url in urls if not is_url(url)]
    for path in [*local, *dict.fromkeys(os.path.dirname(path) or "." for path in local)]:
        with contextlib.suppress(FileNotFoundError):
            _sync(path)


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems refuse it of folders
            os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _local(path: str, safe: bool) -> Iterator[IO[bytes]]:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = temporary_name(path)
    try:
        with full_disk_names(path), open(temporary, "wb") as stream:
            yield stream
            if safe:
                stream.flush()
                os.fsync(stream.fileno())
        os.replace(temporary, path)
        if safe:
            _sync(os.path.dirname(path) or ".")
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


@contextlib.contextmanager
def write_atomic(url: str, mode: Literal["wb", "w"] = "wb", *, safe: bool = False) -> Iterator[IO[Any]]:
    """A stream whose contents appear under ``url`` only when the block ends without an error; folders are made as
    needed.

    Mode "w" takes text and writes UTF-8. ``safe`` waits until the file is on the disk before it gets its name: for
    markers, and for what takes the place of something that is then removed.
    """
    with _upload(url) if is_url(url) else _local(url, safe) as stream:
        if mode == "wb":
            yield stream
            return
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="\n", write_through=True)
        yield text
        text.detach()


@contextlib.contextmanager
def write_hashed(url: str, *, safe: bool = False) -> Iterator[HashedStream]:
    """:func:`write_atomic` with the size and the SHA-256 of what was written."""
    with write_atomic(url, safe=safe) as stream:
        yield HashedStream(stream)


def digest_of(content: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest(url: str) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open_input(url) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
