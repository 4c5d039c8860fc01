"""Making sure that what a damaged part of the image store held is asked for again.

In: the name of a file of the store. Out: a store without that part, whose addresses are open again; without a manifest
that is whole, one of the parts that are.
"""

from pipeline.fetch.part import entries_of_part
from pipeline.fetch.store import SETTINGS_FILE, claim_form, stated_form
from pipeline.keeping.folder import MANIFEST_FILE, RunFolder
from pipeline.keeping.manifest import Entry, read_manifest, write_manifest
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.parquet import UNREADABLE

__all__ = ["mend_store"]


def mend_store(run: RunFolder, name: str) -> bool:
    """Takes a damaged file out of the store. Always True: the store is then not finished."""
    if name == SETTINGS_FILE:
        restore_form(run)
    elif name == MANIFEST_FILE:
        write_manifest(run.images, _entries_found(run.images))
    else:
        part = name.rpartition(".")[0]
        lost = {f"{part}.tar", f"{part}.parquet"}
        try:
            entries = read_manifest(run.images).to_pylist()
        except UserError:
            entries = _entries_found(run.images)
        write_manifest(run.images, [entry for entry in entries if entry["file"] not in lost])
        for file in sorted(lost):
            files.remove_file(files.join(run.images, file))
    return True


def _entries_found(folder: str) -> list[Entry]:
    """The manifest rows of all parts that can be read: a part's table is written last."""
    found: list[Entry] = []
    for url in files.listing("[!_]*.parquet", folder):
        try:
            found += entries_of_part(folder, url.rpartition("/")[2].removesuffix(".parquet"))
        except (UserError, *UNREADABLE):
            files.remove_file(url)
    return found


def restore_form(run: RunFolder) -> None:
    """Writes the form of the store's pictures anew from the marker of the step that filled it; nothing where none says
    it."""
    form = stated_form(run)
    if form is not None:
        claim_form(run, form)
