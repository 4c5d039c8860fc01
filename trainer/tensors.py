"""Files that torch writes: there whole or not at all, and refused when a byte in them is another one.

In: a structure of tensors and an address. Out: the file, and the structure again. What goes wrong with the disk comes
out as what the disk said: torch words a failed write as one of its own errors. Each part of such a file has a checksum
in it, which torch writes and does not look at when it reads.
"""

import hashlib
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import torch
from torch import Tensor

from trainer.convert.archive import is_archive, read_archive
from webimagetext.errors import UserError, is_out_of_files, is_out_of_memory
from webimagetext.files import open_input, write_atomic
from webimagetext.local import fetched

__all__ = ["DIGEST", "DamagedError", "digest", "load", "save"]

DIGEST = "sha256_of_tensors"  # in the metadata of a file


class DamagedError(UserError):
    """A file is not what was written once."""


class _Watched:
    """A stream that remembers what went wrong when it was written to."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.error: Exception | None = None

    def write(self, data: Any) -> int:
        try:
            return self._stream.write(data)
        except Exception as error:
            self.error = self.error or error
            raise

    def flush(self) -> None:
        self._stream.flush()


def save(content: Any, url: str) -> None:
    """Writes ``content``. Raises what the disk or the store raised, and leaves nothing then."""
    try:
        with write_atomic(url) as stream:
            watched = _Watched(stream)
            try:
                torch.save(content, watched)  # type: ignore[arg-type]
            except RuntimeError:
                if watched.error is None:
                    raise
                raise watched.error from None
    except OSError as error:
        if error.filename or not error.errno:
            raise
        raise OSError(error.errno, os.strerror(error.errno), url) from None  # a write alone does not name the file


def digest(states: Mapping[str, Tensor]) -> str:
    """A SHA-256 over tensors by their names: the checksum of a layout that has none."""
    found = hashlib.sha256()
    for name in sorted(states):
        found.update(name.encode())
        flat = states[name].detach().cpu().contiguous().reshape(-1)
        found.update(flat.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def load(url: str, what: str, remedy: str) -> Any:
    """Reads what :func:`save` or another program wrote by torch; tensors are on the CPU. Raises DamagedError, which
    says that it is not ``what``."""
    with fetched(url) as path, open_input(path) as stream:  # torch seeks in it, tensor by tensor
        try:
            _check(stream)
            if is_archive(stream):
                return read_archive(stream)
            stream.seek(0)
            return torch.load(stream, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file
            if isinstance(error, UserError) or is_out_of_memory(error) or is_out_of_files(error):
                raise
            told = " ".join(str(error).split())[:200] or type(error).__name__
            raise DamagedError(f"{url}: cannot be read as {what}: {told}", remedy) from None


def _check(stream: IO[bytes]) -> None:
    """Raises ValueError when a part does not have its checksum."""
    if zipfile.is_zipfile(stream):  # else torch's older format, without any
        with zipfile.ZipFile(stream) as parts:
            if wrong := parts.testzip():
                raise ValueError(f"the checksum of {wrong} is another one")
