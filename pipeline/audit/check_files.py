"""Files against what vouches for them: manifests, markers, and the checksums that files carry themselves.

In: a folder and the names of all files below it. Out: a :class:`Finding` for each file that is not what was written.
Reads every byte once.
"""

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipeline.fetch.store import SETTINGS_FILE
from pipeline.keeping.damage import NOTE
from pipeline.keeping.folder import MANIFEST_FILE, OPEN_FILE, SUCCESS_FILE, RunFolder
from pipeline.keeping.manifest import parse_manifest, read_made
from query_builder.schema import is_whole
from webimagetext import files
from webimagetext.sealed import unseal

__all__ = ["Finding", "Seen", "check_files"]

Told = Callable[[float], None]
SEALED = (".npy", ".npz", SETTINGS_FILE)
OWN_QUERIES = RunFolder("").own_queries.lstrip("/")
BINARY = ".bin"  # a compiled query list, whose name ends in the first digits of its SHA-256


@dataclass(frozen=True)
class Finding:
    """A file, by its place in the folder that was looked at, and what is wrong with it."""

    file: str
    problem: str


@dataclass
class Seen:
    """The files of a folder; each is read once."""

    root: str
    listed: list[str]
    digests: dict[str, tuple[int, str]] = field(default_factory=dict)

    @cached_property
    def names(self) -> set[str]:
        """Of all files."""
        return set(self.listed)

    def about(self, name: str, told: Told) -> tuple[int, str]:
        """The bytes and the SHA-256 of a file."""
        if name not in self.digests:
            url = files.join(self.root, name)
            size = files.size(url)
            self.digests[name] = size, files.digest(url)
            told(size)
        return self.digests[name]


def check_files(seen: Seen, told: Told) -> list[Finding]:
    """Every finding, each file's first; ``told`` of the bytes that were read."""
    found: dict[str, Finding] = {}
    for finding in _findings(seen, told):
        found.setdefault(finding.file, finding)
    return list(found.values())


def _findings(seen: Seen, told: Told) -> Iterator[Finding]:
    for name in seen.listed:
        folder, _, file = name.rpartition("/")
        if file.startswith(NOTE):
            damaged = f"{folder}/{file.removeprefix(NOTE)}".lstrip("/")
            yield Finding(damaged, "was found damaged before, and not made anew yet")
        elif file == MANIFEST_FILE:
            yield from _of_manifest(seen, folder, told)
        elif file in (SUCCESS_FILE, OPEN_FILE):
            yield from _of_marker(seen, folder, file, told)
        elif file == "config.toml":
            yield from _of_configuration(seen, name)
        elif file.endswith(SEALED):
            if unseal(files.read(files.join(seen.root, name)) or b"") is None:
                yield Finding(name, "its content is not what was written")
        elif name == OWN_QUERIES and not is_whole(files.join(seen.root, name)):
            yield Finding(name, "its content is not what was written")
        elif file.endswith(BINARY) and seen.about(name, told)[1][:16] not in file:
            yield Finding(name, "its content is not what its name says")


def _place(seen: Seen, folder: str) -> str:
    return files.join(seen.root, folder) if folder else seen.root


def _of_manifest(seen: Seen, folder: str, told: Told) -> Iterator[Finding]:
    prefix = f"{folder}/" if folder else ""
    table = parse_manifest(files.read(files.join(_place(seen, folder), MANIFEST_FILE)) or b"")
    if table is None:
        yield Finding(f"{prefix}{MANIFEST_FILE}", "its content is not what was written")
        return
    for entry in table.to_pylist():
        name = f"{prefix}{entry['file']}"
        yield from _compare(seen, name, [entry["bytes"], entry["sha256"]], told)


def _compare(seen: Seen, name: str, stated: list[Any], told: Told) -> Iterator[Finding]:
    if name not in seen.names:
        yield Finding(name, "it is missing")
        return
    size, digest = seen.about(name, told)
    if size != stated[0]:
        yield Finding(name, f"it has {size:,} bytes and should have {stated[0]:,}")
    elif digest != stated[1]:
        yield Finding(name, "its content is not what was written")


def _of_marker(seen: Seen, folder: str, file: str, told: Told) -> Iterator[Finding]:
    """A step's marker names what no manifest does, by its place in the run folder; shards may lie in a folder of their
    own."""
    made = read_made(_place(seen, folder))
    if made is None:
        yield Finding(f"{folder}/{file}".lstrip("/"), "it is not the marker that was written")
        return
    for name, stated in (made.get("files") or {}).items():
        if not folder:
            continue
        if stated is not None:
            yield from _compare(seen, name, stated, told)
        elif name not in seen.names:
            yield Finding(name, "it is missing")


def _of_configuration(seen: Seen, name: str) -> Iterator[Finding]:
    try:
        tomllib.loads((files.read(files.join(seen.root, name)) or b"").decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        yield Finding(name, f"not valid TOML: {error}")
