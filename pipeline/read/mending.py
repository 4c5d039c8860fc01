"""Making sure that a damaged file of what extraction keeps between its rounds or inputs is made anew.

In: the folder and name of a file in ``crawl/``, ``sources/`` or the image store. Out: what vouched for it is gone, and
with it the files of the same bucket of hosts, or of the same input, which is then crawled, or read, once more.
"""

from collections.abc import Sequence

from pipeline.keeping.folder import MANIFEST_FILE, SUCCESS_FILE, RunFolder
from pipeline.keeping.manifest import read_manifest
from webimagetext import files
from webimagetext.errors import UserError

__all__ = ["mend_round", "mend_source"]


def mend_round(folder: str, name: str, tables: Sequence[str], marker: str) -> None:
    """``folder`` is a table of a round: one of ``tables``, with the round's marker in ``marker``, or its frontier."""
    around, _, table = folder.rpartition("/")
    if table not in tables:
        files.remove_file(files.join(folder, SUCCESS_FILE))
        return
    folders = [files.join(around, each) for each in tables]
    lost = {name, *(file for each in folders for file in _not_whole(each))}
    for each in folders:
        for file in sorted(lost):
            if file.endswith(".parquet"):
                files.remove_file(files.join(each, file))
    files.remove_file(files.join(around, marker, SUCCESS_FILE))


def _not_whole(folder: str) -> list[str]:
    """The files that are not what the manifest says: the round is going to be vouched for once more, as it lies."""
    if not files.exists(files.join(folder, MANIFEST_FILE)):
        return []  # the round was interrupted before
    try:
        entries = read_manifest(folder).to_pylist()
    except UserError:
        return []
    held = files.sizes(folder)
    names = [(entry["file"], entry) for entry in entries]
    return [
        name
        for name, entry in names
        if held.get(name) != entry["bytes"] or files.digest(files.join(folder, name)) != entry["sha256"]
    ]


def mend_source(run: RunFolder, name: str, tables: Sequence[str], archive: str) -> None:
    """``name`` is a file of one input in a table of ``sources/``, or a part of the image store (``archive`` and the
    input's name)."""
    unit = name.removeprefix(archive).removeprefix("part-").rpartition(".")[0]
    if unit:
        for table in tables:
            files.remove_file(run.path("sources", table, f"part-{unit}.parquet"))
        for ending in (".parquet", ".tar"):
            files.remove_file(files.join(run.images, f"{archive}{unit}{ending}"))
