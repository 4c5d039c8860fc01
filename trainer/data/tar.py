"""Random access to the samples of a tar shard through an index of its headers.

In: the path of a local tar whose samples are adjacent members ``KEY.jpg KEY.txt KEY.json``, or ``KEY.cls`` with the
number of a class, as evaluation sets have. Out: a sample's bytes by its number. The index is made by hopping from
header to header; the pictures themselves are not read until they are wanted.
"""

import contextlib
import json
import os
import tarfile
import weakref
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pipeline.keeping.folder import CAPTION_SUFFIX, IMAGE_SUFFIXES, METADATA_SUFFIX

__all__ = ["CLASS", "TarReader", "fields_in", "members"]

CLASS = "cls"  # the member with a sample's class, and the field of its metadata that it becomes

BLOCK = 512
ABSENT = (0, -1) * 4  # offset and size of each part of a sample
TEXTS = {CAPTION_SUFFIX: 2, METADATA_SUFFIX: 4, f".{CLASS}": 6}
_REGULAR = (b"0", b"\0")
_SPECIAL = (b"x", b"g", b"L", b"K", b"S")


def _number(field: bytes) -> int:
    """A numeric header field: octal digits, or GNU's base 256."""
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
    return int(field.strip(b" \0") or b"0", 8)


def _size_in(header: bytes) -> int | None:
    """The size of the file behind a header; None when it is none, by its checksum."""
    try:
        size, expected = _number(header[124:136]), _number(header[148:156])
    except ValueError:
        return None
    return size if size >= 0 and sum(header[:148]) + sum(header[156:]) + 8 * 32 == expected else None


def members(stream: IO[bytes], length: int) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of each whole file in a tar.

    Behind a header that is broken the next good one is looked for. Plain headers are read directly; a tar with extended
    headers is left to the ``tarfile`` module, from there on.
    """
    position, lost = 0, False
    while position + BLOCK <= length:
        stream.seek(position)
        header = stream.read(BLOCK)
        if len(header) < BLOCK or (header[:1] == b"\0" and not lost):
            return
        size = _size_in(header)
        if size is None or position + BLOCK + size > length:
            position, lost = position + BLOCK, True
            continue
        lost = False
        kind = header[156:157]
        if kind in _SPECIAL:
            yield from _by_tarfile(stream, position, length)
            return
        if kind in _REGULAR:
            name = header[:100].split(b"\0", 1)[0]
            prefix = header[345:500].split(b"\0", 1)[0] if header[257:262] == b"ustar" else b""
            full = prefix + b"/" + name if prefix else name
            yield full.decode("utf-8", "replace"), position + BLOCK, size
        position += BLOCK + -(-size // BLOCK) * BLOCK


def _by_tarfile(stream: IO[bytes], position: int, length: int) -> Iterator[tuple[str, int, int]]:
    stream.seek(position)
    after = position
    # Broken extended headers come as nearly any exception, and a negative size would lead back to what was read before.
    with contextlib.suppress(Exception), tarfile.open(fileobj=stream, mode="r:") as archive:
        for member in archive:
            if member.size < 0 or member.offset_data < after or member.offset_data + member.size > length:
                return
            after = member.offset_data + member.size
            if member.isreg():
                yield member.name, member.offset_data, member.size


class TarIndex:
    """Where each complete sample of a tar lies.

    ``keys`` names the samples; ``places`` (samples, 8) holds offset and size of picture, caption, metadata and class
    (size -1 when absent). ``incomplete`` counts samples without a picture or without any text; ``cut`` tells that the
    tar ends early.
    """

    def __init__(self, path: str) -> None:
        self.keys: list[str] = []
        self.incomplete = 0
        rows: list[tuple[int, ...]] = []
        current, slots = "", list(ABSENT)
        length = os.path.getsize(path)
        end = 0

        def finish() -> None:
            if slots[1] >= 0 and max(slots[3::2]) >= 0:
                self.keys.append(current)
                rows.append(tuple(slots))
            elif current:
                self.incomplete += 1

        with open(path, "rb", buffering=0) as stream:
            for name, offset, size in members(stream, length):
                end = offset + -(-size // BLOCK) * BLOCK
                folder, _, base = name.rpartition("/")
                stem, _, extension = base.partition(".")
                key = f"{folder}/{stem}" if folder else stem
                if key != current:
                    finish()
                    current, slots = key, list(ABSENT)
                suffix = "." + extension.lower()
                slot = TEXTS.get(suffix, 0 if suffix in IMAGE_SUFFIXES else None)
                if slot is not None:
                    slots[slot : slot + 2] = [offset, size]
            stream.seek(end)
            self.cut = stream.read(BLOCK) != bytes(BLOCK)  # a whole tar ends with empty blocks
        finish()
        self.places: npt.NDArray[np.int64] = np.array(rows, dtype=np.int64).reshape(-1, len(ABSENT))

    def __len__(self) -> int:
        return len(self.keys)


class TarReader:
    """Reads samples of a local tar by number; many threads may read at once."""

    def __init__(self, path: str) -> None:
        self.index = TarIndex(path)
        self._file = os.open(path, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self.index)

    def read(self, number: int, with_metadata: bool) -> tuple[bytes, str, dict[str, Any]]:
        """Picture, caption and metadata of a sample. Raises IndexError behind the last, ValueError for broken text."""
        image, image_size, text, text_size, data, data_size, label, label_size = self.index.places[number].tolist()
        picture = os.pread(self._file, image_size, image)
        caption = os.pread(self._file, text_size, text).decode("utf-8") if text_size >= 0 else ""
        if caption and not with_metadata:
            return picture, caption, {}
        metadata = fields_in(os.pread(self._file, data_size, data)) if data_size >= 0 else {}
        if label_size >= 0:
            metadata.setdefault(CLASS, _class_in(os.pread(self._file, label_size, label)))
        return picture, caption, metadata

    def numbers(self, field: str) -> npt.NDArray[np.float32]:
        """A number of each sample's metadata; NaN where it is absent."""
        return np.array([self._value(number, field) for number in range(len(self))], dtype=np.float32)

    def _value(self, number: int, field: str) -> float:
        try:
            return float(self.read(number, True)[2].get(field, np.nan))
        except (ValueError, TypeError):  # null, no number, or metadata that cannot be read
            return np.nan

    def close(self) -> None:
        """Gives the file back, once."""
        self._close()


def _class_in(data: bytes) -> int | str:
    """A class as a member states it: a number, or a name."""
    text = data.decode("utf-8").strip()
    return int(text) if text.isdigit() else text


def fields_in(data: bytes) -> dict[str, Any]:
    """The metadata of a sample. Raises ValueError when it is no JSON."""
    try:
        metadata = json.loads(data)
    except RecursionError:
        raise ValueError("metadata too deep") from None
    return metadata if isinstance(metadata, dict) else {}
