"""One file of named arrays that processes map into memory and share: no parsing, no copy, a few milliseconds to open.

Layout: 8 bytes of magic, the length of a JSON header as 8 bytes little-endian, the header (free-form ``about`` and, for
each array, its type, length and offset), then the arrays, each aligned to 64 bytes. A file's name carries the hash of
its bytes.
"""

import hashlib
import json
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from webimagetext.errors import UserError

__all__ = ["Arrays", "map_arrays", "pack"]

Arrays = dict[str, npt.NDArray[Any]]

MAGIC = b"WITARR01"
ALIGNMENT = 64


def pack(arrays: Arrays, about: dict[str, Any]) -> tuple[bytes, str]:
    """The bytes of a file that holds one-dimensional ``arrays``, and the first 16 hexadecimal digits of their
    SHA-256."""
    entries: dict[str, tuple[str, int, int]] = {}
    position = 0
    for name, array in arrays.items():
        entries[name] = (array.dtype.newbyteorder("<").str, len(array), position)
        position += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    header = json.dumps({"about": about, "arrays": entries}, sort_keys=True).encode()
    header += b" " * (-(len(MAGIC) + 8 + len(header)) % ALIGNMENT)
    parts = [MAGIC, len(header).to_bytes(8, "little"), header]
    for array in arrays.values():
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        parts += [data, bytes(-len(data) % ALIGNMENT)]
    content = b"".join(parts)
    return content, hashlib.sha256(content).hexdigest()[:16]


def map_arrays(path: str) -> tuple[Arrays, dict[str, Any]]:
    """The arrays of a local file as read-only views of mapped memory, and what the file says about itself.

    Raises UserError when the file is missing, of another kind, or cut short.
    """
    try:
        with open(path, "rb") as stream:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be mapped into memory: {error}") from None
    try:
        if mapped[: len(MAGIC)] != MAGIC:
            raise ValueError("it does not begin as one")
        start = len(MAGIC) + 8
        start += int.from_bytes(mapped[len(MAGIC) : start], "little")
        header = json.loads(mapped[len(MAGIC) + 8 : start])
        arrays: Arrays = {
            name: np.frombuffer(mapped, dtype=kind, count=length, offset=start + offset)
            for name, (kind, length, offset) in header["arrays"].items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not a whole automaton file: {error}", "run the same command again: it is made anew"
        ) from None
    return arrays, header["about"]
