"""Random access to the rows of a Parquet file that holds pictures as bytes.

In: a local Parquet file with a column of bytes (or structs with "bytes") and one of captions. Out: a row's picture,
caption and other columns by number. Row groups are decoded when first needed and the last few stay in memory.
"""

import threading
from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from trainer.data.captions import texts_in
from webimagetext.errors import UserError
from webimagetext.files import open_input
from webimagetext.parquet import UNREADABLE

__all__ = ["ParquetReader", "rows_of"]

GROUPS_IN_MEMORY = 8
CAPTION_NAMES = ("caption", "text", "TEXT", "txt")
IMAGE_NAMES = ("image", "jpg", "image_bytes", "png", "webp")


def _column(schema: pa.Schema, wanted: str, usual: tuple[str, ...], path: str, what: str) -> str:
    """The column called ``wanted``, else the first of the usual names."""
    for name in (wanted, *usual):
        if name in schema.names:
            return name
    raise UserError(f"{path}: no column '{wanted}' with the {what}", f"it has: {', '.join(schema.names)}")


def rows_of(url: str) -> int:
    """The number of rows of a Parquet file, by path or URL. Raises UserError when it is none."""
    with open_input(url) as stream:
        try:
            return int(pq.read_metadata(stream).num_rows)
        except UNREADABLE as error:
            raise _damaged(url, error) from None


def _damaged(url: str, error: Exception) -> UserError:
    told = " ".join(str(error).split())[:200]
    return UserError(f"{url}: not a Parquet file: {told}", "get the file again, or leave it out")


class ParquetReader:
    """Reads rows of a local Parquet file by number; many threads may read at once."""

    def __init__(self, path: str, image_column: str, caption_column: str) -> None:
        try:
            self._file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
        except UNREADABLE as error:
            raise _damaged(path, error) from None
        schema = self._file.schema_arrow
        self.image = _column(schema, image_column, IMAGE_NAMES, path, "pictures")
        self.caption = _column(schema, caption_column, CAPTION_NAMES, path, "captions")
        kind = schema.field(self.image).type
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_struct(kind)):
            raise UserError(f"{path}: the column '{self.image}' holds {kind}, not the bytes of pictures")
        rows = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        self._first = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
        self._lock = threading.Lock()
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()

    def __len__(self) -> int:
        return int(self._first[-1])

    def read(self, number: int, with_metadata: bool) -> tuple[bytes, str, dict[str, Any]]:
        """Picture, caption and, if wanted, the other columns of a row. Raises IndexError behind the last."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        group = int(np.searchsorted(self._first, number, side="right")) - 1
        table = self._group(group)
        row = number - int(self._first[group])
        picture = table.column(self.image)[row].as_py()
        if isinstance(picture, dict):
            picture = picture.get("bytes")
        caption = table.column(self.caption)[row].as_py()
        names = [name for name in table.column_names if name != self.image] if with_metadata else []
        return picture or b"", next(texts_in(caption), ""), {name: table.column(name)[row].as_py() for name in names}

    def numbers(self, field: str) -> npt.NDArray[np.float32]:
        """A column of numbers; NaN for null."""
        if field not in self._file.schema_arrow.names:
            return np.full(len(self), np.nan, dtype=np.float32)
        column = self._file.read([field]).column(field)
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float32)

    def close(self) -> None:
        """Gives the file and the decoded row groups back."""
        with self._lock:
            self._groups.clear()
            self._file.close()

    def _group(self, index: int) -> pa.Table:
        with self._lock:
            if index not in self._groups:
                while len(self._groups) >= GROUPS_IN_MEMORY:
                    self._groups.popitem(last=False)
                try:
                    self._groups[index] = self._file.read_row_group(index)
                except UNREADABLE as error:
                    raise ValueError(f"row group {index}: {error}") from None
            self._groups.move_to_end(index)
            return self._groups[index]
