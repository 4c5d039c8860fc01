"""What the manifest beside shards says of them, so that one that is not what was written is noticed before it is used.

In: addresses of shards. Out: the bytes and the SHA-256 of those that a ``_MANIFEST`` beside them names; shards of other
programs have none, and are taken as they are. A local shard is read through once in a process, which costs a small part
of decoding its pictures.
"""

import io
import os
from typing import NamedTuple

from pipeline.keeping.folder import MANIFEST_FILE
from webimagetext.contents import identity
from webimagetext.errors import UserError
from webimagetext.files import is_url, read, size
from webimagetext.parquet import UNREADABLE, read_parquet
from webimagetext.sealed import is_broken_parquet

__all__ = ["OTHER", "Manifests", "Vouched", "damaged", "prove"]

# A larger shard is not read through for this alone; training knows its shards by what they hold, whatever their size.
PROVED_BYTES = 512 << 20
OTHER = "its content is not what was written"


class Vouched(NamedTuple):
    """What a manifest says of a file."""

    bytes: int
    sha256: str


def damaged(url: str, problem: str) -> UserError:
    """The error for a file that is not what its manifest says."""
    folder = url.rpartition("/")[0] or "."
    remedy = f"`pipeline check {folder}` looks at all; `pipeline run` makes those of a run anew, or copy it again"
    changed = f"if you changed it yourself, delete {folder}/{MANIFEST_FILE}"
    return UserError(f"{url}: is damaged: {problem}", f"{remedy}; {changed}")


class Manifests:
    """The manifests of folders of shards, each read when it is first asked for."""

    def __init__(self) -> None:
        self._read: dict[str, dict[str, Vouched]] = {}

    def of(self, folder: str) -> dict[str, Vouched]:
        """The files that the manifest of a folder names; none where there is no manifest. Raises UserError for one that
        is not whole."""
        if folder not in self._read:
            self._read[folder] = _read_manifest(f"{folder}/{MANIFEST_FILE}" if folder else MANIFEST_FILE)
        return self._read[folder]

    def about(self, url: str) -> Vouched | None:
        """What is said of a file; None where nothing is."""
        folder, _, name = url.rpartition("/")
        return self.of(folder).get(name)


def _read_manifest(url: str) -> dict[str, Vouched]:
    content = read(url)
    if content is None:
        return {}
    try:
        if is_broken_parquet(content):
            raise ValueError(OTHER)
        rows = read_parquet(io.BytesIO(content), ["file", "bytes", "sha256"]).to_pylist()
        return {str(row["file"]): Vouched(int(row["bytes"]), str(row["sha256"])) for row in rows}
    except (*UNREADABLE, TypeError) as error:
        told = " ".join(str(error).split())[:120]
        remedy = "copy it once more, or delete it: the shards are then taken as they are"
        raise UserError(f"{url}: is damaged: {told}", remedy) from None


def prove(path: str, url: str, about: Vouched) -> None:
    """Raises UserError where the file at ``path``, which is that at ``url`` or a copy of it, is not what is said of
    it."""
    if not is_url(path) and not os.path.exists(path):
        return  # which is said where it is opened
    if (length := size(path)) != about.bytes:
        raise damaged(url, f"it has {length:,} bytes and should have {about.bytes:,}")
    if length <= PROVED_BYTES and identity(path) != about.sha256:
        raise damaged(url, OTHER)
