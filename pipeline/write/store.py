"""Reading pictures out of the image store, by (file, offset, length, CRC-32): in few, ordered reads, on a disk or an
object store.

In: columns of references. Out: the bytes, in the order asked. A file that is too short or missing, or bytes that are
not those that were stored, are a named error.
"""

import os
import zlib
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn, Self

import pyarrow as pa

from pipeline.keeping.damage import damaged
from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["ImageReader", "Reference", "references_of"]

# File in the store, offset, length, and the checksum of the bytes, where one is known.
Reference = tuple[str, int, int] | tuple[str, int, int, int | None]
_MAX_OPEN = 128  # handles


def references_of(rows: pa.Table | pa.RecordBatch) -> list[Reference]:
    """Where the pictures of rows with an image (JOINED) lie."""
    columns = [rows.column(name).to_pylist() for name in ("file", "offset", "length", "crc32")]
    return list(zip(*columns, strict=True))


class ImageReader:
    """Reads from the image store in ``folder`` (path or URL); a context manager that keeps local files open."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._handles: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles.values():
            os.close(handle)
        self._handles.clear()

    def read(self, references: Sequence[Reference]) -> list[bytes]:
        """The bytes of every reference. Raises UserError for a file that is missing, shorter than it should be, or
        damaged."""
        by_place = sorted(range(len(references)), key=lambda index: references[index][:3])
        found = [b""] * len(references)
        ordered = [references[index] for index in by_place]
        for index, data in zip(by_place, self._read_ordered(ordered), strict=True):
            file, offset, length, *checksum = references[index]
            if len(data) != length:
                self._broken(file, f"it ends before byte {offset + length:,}")
            if checksum and checksum[0] not in (None, zlib.crc32(data)):
                self._broken(file, f"the picture at byte {offset:,} is not what was stored")
            found[index] = data
        return found

    def _read_ordered(self, references: Sequence[Reference]) -> list[bytes]:
        if not files.is_url(self._folder):
            return [os.pread(self._open(file), length, offset) for file, offset, length, *_ in references]
        urls = [files.join(self._folder, file) for file, *_ in references]
        starts = [offset for _, offset, *_ in references]
        try:
            return files.read_ranges(urls, starts, [offset + length for _, offset, length, *_ in references])
        except UserError:
            for file in dict.fromkeys(file for file, *_ in references):
                if not files.exists(files.join(self._folder, file)):
                    self._broken(file, "it is missing")
            raise

    def _open(self, file: str) -> int:
        if file not in self._handles:
            if len(self._handles) >= _MAX_OPEN:
                os.close(self._handles.pop(next(iter(self._handles))))
            try:
                self._handles[file] = os.open(files.join(self._folder, file), os.O_RDONLY)
            except FileNotFoundError:
                self._broken(file, "it is missing")
        return self._handles[file]

    def _broken(self, file: str, problem: str) -> NoReturn:
        raise damaged(self._folder, file, problem)
