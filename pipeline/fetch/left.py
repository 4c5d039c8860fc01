"""What an interrupted fetch left in the image store, taken over by a fetch of something else, so that nothing is asked
twice.

A fetch that goes on with the same pairs finds its parts by their names. One that wants other pairs would not: here the
parts that no manifest names yet, and the journals of parts that were in work, become parts of the store before the new
fetch is planned.
"""

import os

from pipeline.fetch.journals import left_journals
from pipeline.fetch.part import entries_of_part, finish_part, is_of_archive, open_spool
from pipeline.image.config import ImageConfig
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import read_manifest, write_manifest
from pipeline.reasons import NOT_REACHED
from webimagetext import files

__all__ = ["adopt_parts"]


def adopt_parts(run: RunFolder, image: ImageConfig) -> int:
    """Adds whole parts to the manifest of the store; returns how many there were."""
    entries = read_manifest(run.images).to_pylist()
    known = {entry["file"] for entry in entries}
    for part in left_journals(run.images):
        with open_spool(run.images, part, image) as spool:
            if f"{part}.parquet" in known or not len(spool):
                spool.delete()
            else:
                finish_part(run.images, part, list(spool), spool, NOT_REACHED)
    found = [os.path.basename(url) for url in files.listing("*.parquet", run.images)]
    # A part's table is written after its tar, so where the table is the part is whole.
    left = [name for name in found if name not in known and not is_of_archive(name)]
    if left:
        added = [entry for name in left for entry in entries_of_part(run.images, name.removesuffix(".parquet"))]
        write_manifest(run.images, [*entries, *added])
    return len(left)
