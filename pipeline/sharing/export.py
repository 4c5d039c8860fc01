"""``pipeline export``: a finished run as a dataset to hand on: for the Hugging Face hub, for img2dataset, and for
whoever is to have the links alone.

In: a run. Out: a folder: ``data/`` (pictures), ``links/`` with what it takes to have them again, README.md,
croissant.json. An export that was cut short goes on by the same command.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.keeping.folder import MANIFEST_FILE, RunFolder, today
from pipeline.keeping.manifest import is_complete, iter_batches, manifest_digest, read_success, stored_settings
from pipeline.removing.pending import refuse_pending
from pipeline.sharing.card import render_card, render_croissant
from pipeline.sharing.recipe import HELD, QUERIES, RECIPE, recipe
from pipeline.sharing.tables import SPLITS, write_data, write_links
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.progress import Progress
from webimagetext.settings import fingerprint

__all__ = ["Exported", "export"]

OPEN = "_EXPORTING"  # there while an export is not finished
STEPS = ("candidates", "matched", "selected", "images", "joined", "shards")


@dataclass(frozen=True)
class Exported:
    """The pairs of each split, and how many files hold pictures."""

    counts: dict[str, int]
    tables: int


def export(root: str, output: str, pictures: bool = True) -> Exported:
    """Writes the export. Raises UserError for a run that is not finished, and where something else is in ``output``."""
    run = RunFolder(root)
    if not is_complete(run.shards):
        raise UserError(
            f"{root}: holds no finished run", "give the folder (--output) of a run; `pipeline run` finishes it"
        )
    refuse_pending(root)
    parts = {split: run.path(folder) for split, folder in SPLITS.items()}
    parts = {split: folder for split, folder in parts.items() if files.exists(files.join(folder, MANIFEST_FILE))}
    _begin(output, fingerprint({split: manifest_digest(folder) for split, folder in parts.items()}, pictures))
    counts = {split: count for split, folder in parts.items() if (count := write_links(folder, output, split))}
    if not counts:
        raise UserError(f"{root}: its shards hold no pair", "there is nothing to export")
    tables = 0
    with Progress("export", "pairs", sum(counts.values())) as progress:
        for split in counts if pictures else ():
            for _, rows in write_data(parts[split], output, split):
                tables += 1
                progress.advance(rows)
    settings = stored_settings(map(run.path, STEPS))
    _write(output, f"links/{QUERIES}", _lines({name for split in counts for name in _queries(parts[split])}))
    if "test" in counts:
        _write(output, f"links/{HELD}", _lines(set(_contents(parts["test"]))))
    _write(output, f"links/{RECIPE}", recipe(settings, counts))
    name = output.rstrip("/").rpartition("/")[2] or os.path.basename(os.path.abspath(output))
    day = (read_success(run.shards) or {}).get("day") or today()
    described = render_croissant(name, counts, day, pictures)
    _write(output, "croissant.json", json.dumps(described, indent=1, ensure_ascii=False) + "\n")
    _write(output, "README.md", render_card(name, counts, settings, pictures))
    files.remove_file(files.join(output, OPEN))
    return Exported(counts, tables)


def _begin(output: str, mark: str) -> None:
    """Says that an export is under way; one of the same is gone on with."""
    url = files.join(output, OPEN)
    if files.is_folder(output) and files.below(output):
        begun = files.read(url)
        if begun is None:
            raise UserError(f"{output}: is not empty", "give a new folder with --output")
        if begun.decode() != mark:
            raise UserError(f"{output}: an export of something else was cut short there", "remove it, or give another")
    with files.write_atomic(url, "w", safe=True) as stream:
        stream.write(mark)


def _queries(folder: str) -> Iterable[str]:
    for batch in iter_batches(folder, ["queries"]):
        yield from batch.column("queries").flatten().unique().to_pylist()


def _contents(folder: str) -> Iterable[str]:
    for batch in iter_batches(folder, ["sha256"]):
        yield from batch.column("sha256").drop_null().to_pylist()


def _lines(values: Iterable[str]) -> str:
    return "".join(f"{value}\n" for value in sorted(values))


def _write(output: str, name: str, content: str) -> None:
    with files.write_atomic(files.join(output, name), "w") as stream:
        stream.write(content)
