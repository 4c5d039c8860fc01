"""Which file each table of a source was read from: noted beside the tables, so that a pair can be followed back to its
list or archive.

In: the units of a source, by the names of their tables. Out: ``sources/inputs.json``, and the answer for one table.
"""

import json
from collections.abc import Mapping

from pipeline.keeping.folder import RunFolder
from pipeline.read.pieces import Piece
from webimagetext import files

__all__ = ["input_of", "note_inputs"]

INPUTS = "inputs.json"


def note_inputs(run: RunFolder, units: Mapping[str, Piece]) -> None:
    """Writes where each unit came from."""
    told = {unit: {"path": piece.path, "span": list(piece.span)} for unit, piece in sorted(units.items())}
    with files.write_atomic(run.path("sources", INPUTS), "w") as stream:
        json.dump({"format": 1, "units": told}, stream, indent=1)
        stream.write("\n")


def input_of(run: RunFolder, table: str) -> str:
    """The file, with the piece of it, that a table (``part-UNIT.parquet``) came from; "" where nobody noted it."""
    content = files.read(run.path("sources", INPUTS))
    unit = table.removeprefix("part-").removesuffix(".parquet")
    try:
        found = json.loads(content)["units"].get(unit) if content else None
    except ValueError:
        found = None  # damaged, which is told by `check`
    if found is None:
        return ""
    span = found["span"]
    return f"{found['path']}, {span[0]:,} to {span[1]:,}" if span else str(found["path"])
