"""What a list is made from, known by what it holds: a moved or touched input is the same, a changed one is not.

In: addresses of files. Out: what a glance tells, and names, sizes and SHA-256 sums as a list states them.
"""

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from query_builder.kept import read_note, write_note
from webimagetext.files import digest, is_url, open_input, read_ranges, size, version
from webimagetext.progress import Progress

__all__ = ["checksum", "described", "glance", "hold_the_same"]

ENDS = 1 << 16


def described(url: str, sha256: str = "") -> dict[str, Any]:
    """Name, size and SHA-256 of an input, which is read where the sum is not given."""
    return {"name": os.path.basename(url), "bytes": size(url), "sha256": sha256 or digest(url)}


def checksum(task: tuple[str, str]) -> dict[str, Any]:
    """What :func:`described` gives; ``task`` is the address and where a former run noted the sum, or this one will."""
    url, note = task
    value = (read_note(note) or b"").decode()
    if not value:
        value = digest(url)
        write_note(note, value.encode())
    return described(url, value)


def glance(url: str) -> tuple[int, str, str]:
    """Tells a changed file without reading all of it: size, time of the last change (on an object store the mark of
    its contents), and a hash of both its ends. A file that was only moved gives the same."""
    length = size(url)
    if is_url(url):
        changed = version(url)
        ends = b"".join(read_ranges([url, url], [0, max(0, length - ENDS)], [min(ENDS, length), length]))
    else:
        changed = str(os.stat(url).st_mtime_ns)
        with open_input(url) as stream:
            ends = stream.read(ENDS)
            stream.seek(max(0, length - ENDS))
            ends += stream.read(ENDS)
    return length, changed, hashlib.sha256(ends).hexdigest()


def hold_the_same(made_from: Sequence[dict[str, Any]], urls: Sequence[str]) -> bool:
    """Whether the files hold what :func:`described` said of others; they are read where their sizes are equal."""
    known = [(entry["bytes"], entry["sha256"]) for entry in made_from]
    if [number for number, _ in known] != [size(url) for url in urls]:
        return False
    with Progress("compare inputs", "B", sum(number for number, _ in known)) as progress:
        for url, (number, value) in zip(urls, known, strict=True):
            if digest(url) != value:
                return False
            progress.advance(number)
    return True
