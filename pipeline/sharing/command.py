"""``pipeline export RUN``: a finished run as a dataset to hand on."""

from collections.abc import Sequence
from dataclasses import dataclass

from webimagetext.errors import UserError
from webimagetext.flags import split_words
from webimagetext.ranges import Ranged

__all__ = ["ExportFlags", "export_run"]

USAGE = "RUN --output FOLDER [options]"
ABOUT = """Writes a finished run as a dataset to hand on: Parquet files with the pictures as the Hugging Face hub shows
and loads them, lists of links that img2dataset reads and `import` makes the set of again, a card and a description in
Croissant 1.1. A trained model is exported by the command export-model."""


@dataclass(frozen=True)
class ExportFlags(Ranged):
    """The options of ``export``."""

    output: str = ""
    """Folder for the dataset, path or URL, which is new or empty; needed."""
    pictures: bool = True
    """Write the pictures; without, the links alone are shared."""


def export_run(args: Sequence[str], prog: str) -> int:
    """The verb: says what was written; returns the exit status."""
    if any(word.startswith("--checkpoint") for word in args):
        raise UserError(f"{prog} export: hands on a dataset", "`webimagetext export-model` writes a trained model")
    words = split_words(ExportFlags(), args, prog=f"{prog} export", usage=USAGE, about=ABOUT)
    flags = words.apply(ExportFlags())
    if len(words.files) != 1 or not flags.output:
        raise UserError(f"{prog} export: give a run and --output", f"usage: {prog} export {USAGE}")

    from pipeline.sharing.export import export

    done = export(words.files[0], flags.output, flags.pictures)
    splits = ", ".join(f"{count:,} in {split}" for split, count in done.counts.items())
    held = f"{done.tables:,} files with pictures and the links" if flags.pictures else "links alone"
    print(f"{flags.output}: {splits}: {held}")
    return 0
