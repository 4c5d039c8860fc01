"""Names of files that are being written, and the removal of those that a killed program has left.

In: the path that a file will have when it is whole. Out: the name that it has until then. A program that has a folder
for itself (webimagetext/lock.py) removes what is found there under such a name.
"""

import contextlib
import os
import re
import uuid
from collections.abc import Iterable

__all__ = ["final_name", "remove_temporary", "remove_temporary_of", "temporary_name"]

_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.tmp$")


def temporary_name(path: str) -> str:
    """A name beside ``path`` that nobody else takes."""
    return f"{path}.{uuid.uuid4().hex[:12]}.tmp"


def final_name(path: str) -> str:
    """The name that a file will have when it is whole; ``path`` itself where it is no temporary one."""
    return _TEMPORARY.sub("", path)


def remove_temporary(folder: str) -> None:
    """Removes what lies under a temporary name in a local folder or below it."""
    for place, _, names in os.walk(folder):
        for name in names:
            if _TEMPORARY.search(name):
                _remove(os.path.join(place, name))


def remove_temporary_of(paths: Iterable[str]) -> None:
    """Removes what was to become one of these local files."""
    for path in paths:
        folder, name = os.path.split(path)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for found in os.listdir(folder or "."):
                if found != name and final_name(found) == name:
                    _remove(os.path.join(folder, found))


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
