"""Reading pictures out of the image store, by (file, offset, length): in few, ordered reads, on a disk or an object
store.

In: columns of references. Out: the bytes, in the order asked. A file that is too short or missing is a named error.
"""

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["ImageReader"]

Reference = tuple[str, int, int]  # file in the store, offset, length
_MAX_OPEN = 128  # handles


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
        """The bytes of every reference. Raises UserError for a file that is missing or shorter than it should be."""
        by_place = sorted(range(len(references)), key=lambda index: references[index])
        found = [b""] * len(references)
        ordered = [references[index] for index in by_place]
        for index, data in zip(by_place, self._read_ordered(ordered), strict=True):
            file, offset, length = references[index]
            if len(data) != length:
                self._broken(file, f"ends before byte {offset + length}")
            found[index] = data
        return found

    def _read_ordered(self, references: Sequence[Reference]) -> list[bytes]:
        if not files.is_url(self._folder):
            return [os.pread(self._open(file), length, offset) for file, offset, length in references]
        urls = [files.join(self._folder, file) for file, _, _ in references]
        starts = [offset for _, offset, _ in references]
        return files.read_ranges(urls, starts, [offset + length for _, offset, length in references])

    def _open(self, file: str) -> int:
        if file not in self._handles:
            if len(self._handles) >= _MAX_OPEN:
                os.close(self._handles.pop(next(iter(self._handles))))
            try:
                self._handles[file] = os.open(files.join(self._folder, file), os.O_RDONLY)
            except FileNotFoundError:
                self._broken(file, "no such file")
        return self._handles[file]

    def _broken(self, file: str, problem: str) -> None:
        raise UserError(
            f"{files.join(self._folder, file)}: {problem}",
            "the image store is damaged: delete the Parquet file of that part and run `pipeline fetch` again",
        )
