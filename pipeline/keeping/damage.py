"""Damage: a file that is not what was written. Who finds it leaves a note beside it, by which the step that made it is
known to be unfinished.

In: a folder, the name of a file in it, and what is wrong. Out: the error to raise; and, for the driver of the next
command, the notes. A note is a small file ``_DAMAGED.NAME``: it outlives the worker that left it, and the same command
again makes anew what it names.
"""

import contextlib

from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.sealed import unseal

__all__ = ["NOTE", "REMEDY", "damaged", "forget", "read_sealed"]

NOTE = "_DAMAGED."
REMEDY = "`pipeline run`, with the settings and the --output of that run, makes it anew from what it was made of"


def damaged(folder: str, name: str, problem: str) -> UserError:
    """Notes that a file is damaged, where that can be written, and returns the error that says so."""
    with contextlib.suppress(OSError, UserError), files.write_atomic(files.join(folder, NOTE + name), "w") as stream:
        stream.write(problem)
    return UserError(f"{files.join(folder, name)}: is damaged: {problem}", REMEDY)


def forget(folder: str, name: str) -> None:
    """Removes the note of a file that is going to be made anew."""
    files.remove_file(files.join(folder, NOTE + name))


def read_sealed(url: str) -> bytes:
    """The content of a file that carries its own checksum (webimagetext/sealed.py). Raises UserError where it is
    damaged or missing."""
    sealed = files.read(url)
    content = unseal(sealed) if sealed is not None else None
    if content is None:
        folder, _, name = url.rpartition("/")
        raise damaged(folder, name, "it is missing" if sealed is None else "its content is not what was written")
    return content
