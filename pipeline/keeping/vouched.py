"""What the marker of a step vouches for beside the files of its manifests, and whether all of it is still there.

In: the folders of a step. Out: the files that no manifest names, with their bytes and SHA-256, by their place in the
run folder; a manifest, which has a checksum of its own and may be added to later, stands there by its name alone. Asked
before a finished step is skipped: that needs the names and lengths of files, and reads none but the manifests.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.keeping.damage import NOTE, damaged
from pipeline.keeping.folder import MANIFEST_FILE, OPEN_FILE, SUCCESS_FILE
from pipeline.keeping.manifest import read_made, read_manifest
from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["STARTED_FILE", "Place", "lacking", "noted_below", "read_vouched", "vouched"]

STARTED_FILE = "_STARTED"
Place = tuple[str, str]  # a folder, and the name of a file in it
Facts = dict[str, Any]  # a file's place in the run folder: [bytes, SHA-256], None of a manifest
DATA = (".parquet", ".tar", ".json")  # named by a manifest where there is one, else the remains of a killed worker


def _place(root: str, name: str) -> Place:
    folder, _, file = files.join(root, name).rpartition("/")
    return folder, file


def vouched(root: str, output: str, folders: Sequence[str], single: Sequence[str]) -> Facts:
    """The files of a step whose marker lies in ``output``: all below ``folders``, and the ``single`` ones; these are on
    the disk then."""
    found = [files.join(folder, name) for folder in folders for name in files.below(folder)]
    listed = set(found)
    own = {files.join(output, name) for name in (SUCCESS_FILE, OPEN_FILE, STARTED_FILE)}
    facts: Facts = {}
    beside = files.sizes(root) if single else {}
    for url in [*found, *(url for url in single if url.rpartition("/")[2] in beside)]:
        folder, _, name = url.rpartition("/")
        named = name.endswith(DATA) and files.join(folder, MANIFEST_FILE) in listed
        if url in own or named or name.startswith(NOTE) or ".spool" in name or name.endswith(".tmp"):
            continue
        facts[url.removeprefix(f"{root}/")] = None if name == MANIFEST_FILE else _about(url)
    files.sync(files.join(root, name) for name, about in facts.items() if about is not None)
    return facts


def _about(url: str) -> list[Any]:
    """The bytes and the SHA-256 of a file, by one request where it lies on an object store."""
    if not files.is_url(url):
        return [files.size(url), files.digest(url)]
    content = files.read(url) or b""
    return [len(content), files.digest_of(content)]


def lacking(root: str, facts: Facts, within: Iterable[str]) -> list[Place]:
    """The files of a marker that are missing, or have another length, of those that lie in ``within`` (folders, or
    files themselves)."""
    places = [
        (*_place(root, name), about)
        for name, about in facts.items()
        if any(f"{files.join(root, name)}/".startswith(f"{part.rstrip('/')}/") for part in within)
    ]
    sizes: dict[str, dict[str, int]] = {}
    found = []
    for folder, name, about in places:
        held = sizes[folder] if folder in sizes else sizes.setdefault(folder, files.sizes(folder))
        if name not in held or (about is not None and held[name] != about[0]):
            found.append((folder, name))
        elif about is None:
            try:
                entries = read_manifest(folder).to_pylist()
            except UserError:
                found.append((folder, name))
                continue
            found += [(folder, entry["file"]) for entry in entries if held.get(entry["file"]) != entry["bytes"]]
    return found


def noted_below(folder: str) -> list[Place]:
    """The files in a folder and below it that somebody found damaged."""
    notes = [files.join(folder, name).rpartition("/") for name in files.below(folder) if NOTE in name]
    return [(place, name.removeprefix(NOTE)) for place, _, name in notes if name.startswith(NOTE)]


def read_vouched(root: str, output: str, name: str) -> bytes | None:
    """The content of a single file of the step whose marker lies in ``output``; None where there is none.

    Raises UserError where it is not what the marker says.
    """
    content = files.read(files.join(root, name))
    made = read_made(output)
    about = (made or {}).get("files", {}).get(name)
    if about is None:
        return content
    if content is None:
        raise damaged(root, name, "it is missing")
    if [len(content), files.digest_of(content)] != about:
        raise damaged(root, name, "its content is not what was written")
    return content
