"""What an interrupted build has left in its work folder, and whether it is what was written: only that is used again.

In: files and folders of counts. Out: those that are whole; one that is damaged is named, removed, and made anew by
whoever asked. A folder's note ``done.json`` says the bytes and the CRC-32 of each file in it, and each file that stands
alone, the notes included, ends in its own checksum (webimagetext/sealed.py). Asked once, when a build goes on.
"""

import json
import os
import shutil
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from webimagetext.files import write_atomic
from webimagetext.sealed import is_sealed, seal, unseal

__all__ = ["is_kept", "is_kept_folder", "read_done", "read_note", "write_done", "write_note"]

NOTE = "done.json"
_PIECE = 1 << 20


def write_note(path: str, content: bytes) -> None:
    """Writes a small file with its checksum."""
    with write_atomic(path) as stream:
        stream.write(seal(content))


def read_note(path: str) -> bytes | None:
    """What :func:`write_note` wrote; None where it is not there or not whole."""
    try:
        with open(path, "rb") as file:
            return unseal(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_sealed_file(path: str) -> bool:
    with open(path, "rb") as file:
        return is_sealed(file)


def is_kept(path: str, is_whole: Callable[[str], bool] = _is_sealed_file) -> bool:
    """Whether a file is there and whole; what is not is removed."""
    if not os.path.exists(path):
        return False
    if os.path.isfile(path) and is_whole(path):
        return True
    _tell(path)
    os.unlink(path)
    return False


def is_kept_folder(folder: str) -> bool:
    """Whether a folder is there with its note, and all files are what the note says; one that is not is removed."""
    if not os.path.exists(folder):
        return False
    done = _done_in(folder)
    if done is not None and done["files"] == _facts(folder):
        return True
    _tell(folder)
    shutil.rmtree(folder)
    return False


def _tell(path: str) -> None:
    print(f"{path}: is damaged: it is counted anew", file=sys.stderr)


def write_done(folder: str, content: Mapping[str, Any]) -> None:
    """Writes the note of a folder, last of its files: ``content``, and what the others are."""
    write_note(os.path.join(folder, NOTE), json.dumps({**content, "files": _facts(folder)}).encode())


def read_done(folder: str) -> dict[str, Any]:
    """What the note of a folder that is kept says."""
    done = _done_in(folder)
    assert done is not None, folder  # it was asked whether the folder is kept
    return done


def _done_in(folder: str) -> dict[str, Any] | None:
    content = read_note(os.path.join(folder, NOTE))
    done: dict[str, Any] | None = json.loads(content) if content is not None else None
    return done


def _facts(folder: str) -> dict[str, list[int]]:
    """The bytes and the CRC-32 of each file in a folder and below it, without the note."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if (inside := os.path.relpath(path, folder)) != NOTE:
                found[inside] = _about(path)
    return found


def _about(path: str) -> list[int]:
    size = crc = 0
    with open(path, "rb") as file:
        while data := file.read(_PIECE):
            size, crc = size + len(data), zlib.crc32(data, crc)
    return [size, crc]
