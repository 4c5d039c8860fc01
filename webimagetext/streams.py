"""The streams of remote files: with errors in words, and with nothing half written.

In: a URL. Out: file objects for :mod:`webimagetext.files`, which opens them.
"""

import contextlib
import hashlib
import io
from collections.abc import Iterator
from typing import IO, Any

from webimagetext.stores import answers, missing, open_store, patiently

__all__ = ["BLOCK", "HashedStream", "Input", "Output"]

BLOCK = 16 << 20  # bytes of a request, reading or writing


class Input(io.RawIOBase):
    """A remote file that is read; its errors name the URL."""

    def __init__(self, url: str, stream: Any) -> None:
        self._url, self._stream = url, stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._stream.seekable())

    def seek(self, place: int, whence: int = 0, /) -> int:
        return int(self._stream.seek(place, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        data = patiently(self._url, lambda: self._stream.read(len(view)))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class Output(io.RawIOBase):
    """A remote file that is written; its errors name the URL. Only :meth:`commit` lets it appear.

    What fits one block is sent by one request; more goes up in parts meanwhile.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._filesystem, self._path = open_store(url)
        self._buffer = io.BytesIO()
        self._parts: Any = None

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            with answers(self._url):
                yield
        except FileNotFoundError:
            raise missing(self._url) from None

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        length = self._buffer.write(data)
        if self._buffer.tell() >= BLOCK:
            with self._named():
                if self._parts is None:
                    self._parts = self._filesystem.open(self._path, "wb", block_size=BLOCK)
                self._parts.write(self._buffer.getvalue())
            self._buffer = io.BytesIO()
        return length

    def commit(self) -> None:
        """Completes the upload."""
        with self._named():
            if self._parts is None:
                patiently(self._url, lambda: self._filesystem.pipe_file(self._path, self._buffer.getvalue()))
            else:
                self._parts.write(self._buffer.getvalue())
                self._parts.close()

    def discard(self) -> None:
        """Takes the upload back. fsspec would complete it when the stream is closed, or collected."""
        if self._parts is not None:
            with contextlib.suppress(Exception):
                patiently(self._url, self._parts.discard)
            self._parts.closed = True


class HashedStream(io.RawIOBase):
    """Counts and hashes what is written through it: reading a file back from a store would cost as much as writing
    it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Of what was written, in hexadecimal."""
        return self._hash.hexdigest()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._hash.update(data)
        self.size += memoryview(data).nbytes
        return self._stream.write(data)
