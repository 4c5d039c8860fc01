"""What a list is made from, known by what it holds: a moved or touched input is the same, a changed one is not.

In: addresses of files. Out: what a glance tells, and names, sizes and SHA-256 sums as a list states them.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

from query_builder.clean.markup import LANGUAGES
from query_builder.kept import read_note, write_note
from webimagetext.errors import UserError
from webimagetext.files import digest, is_url, open_input, read_ranges, size, version
from webimagetext.progress import Progress

__all__ = ["check_language", "check_twice", "checksum", "described", "glance", "hold_the_same"]

ENDS = 1 << 16
RENAMED = {"be-x-old": "be-tarask"}  # languages whose database kept its old name


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
    """Tells a changed file without reading all of it: size, times of the last change (on an object store the mark of
    its contents), and a hash of both its ends. The time of a change to the inode is one of them, for nobody sets it: a
    file written to in its middle, whose time was set back, is another."""
    length = size(url)
    if is_url(url):
        changed = version(url)
        ends = b"".join(read_ranges([url, url], [0, max(0, length - ENDS)], [min(ENDS, length), length]))
    else:
        facts = os.stat(url)
        changed = f"{facts.st_mtime_ns} {facts.st_ctime_ns}"
        with open_input(url) as stream:
            ends = stream.read(ENDS)
            stream.seek(max(0, length - ENDS))
            ends += stream.read(ENDS)
    return length, changed, hashlib.sha256(ends).hexdigest()


def check_twice(urls: Sequence[str], glances: Sequence[tuple[int, str, str]]) -> None:
    """Raises UserError where an input is given twice, under one name or two: it would count twice. ``glances`` are what
    :func:`glance` gives of each."""
    known: dict[tuple[int, str], str] = {}
    for url, (length, _, ends) in zip(urls, glances, strict=True):
        other = known.get((length, ends))
        known[length, ends] = url
        if other is not None:
            problem = f"{url}: given twice" if other == url else f"{url}: holds the same as {other}"
            raise UserError(f"{problem}, so all in it would count twice", "give each file once")


def check_language(url: str, database: str, language: str, *, has_views: bool = False) -> None:
    """Raises UserError for the dump of another language's wiki than ``language``, and for one that is no Wikipedia's
    where there are page views, which are a Wikipedia's; what is no Wikimedia database by its name is let through."""
    found = re.fullmatch(r"([a-z_]+?)wik([a-z]*)", database)
    code = found[1].replace("_", "-") if found else ""
    if code in LANGUAGES and language not in (code, RENAMED.get(code)):
        raise UserError(
            f"{url}: a dump of {database}, and --language is {language}",
            f"name the dump's language, by which page views, lists and disambiguation are told: --language {code}",
        )
    if has_views and code in LANGUAGES and found and found[2] != "i":
        raise UserError(
            f"{url}: a dump of {database}, and the page views that are read are those of {language}.wikipedia",
            "leave --pageviews out, or give the dump of the Wikipedia",
        )


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
