"""``pipeline remove RUN``: takes pairs out of finished shards, and keeps them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from webimagetext.deciding import CONTENTS
from webimagetext.errors import UserError
from webimagetext.flags import split_words
from webimagetext.ranges import Ranged

__all__ = ["RemoveFlags", "remove_listed"]

USAGE = "FOLDER [options]"
ABOUT = """Takes pairs out of the shards of a run, or of a folder of shards of any program, such as img2dataset: only
shards that hold one are written anew, and what counts them follows. Tombstones keep them out of later steps and of the
image store; removed/ logs what was done. A list is a text file with an entry a line, or a Parquet file with the column
of our shards. Without a list it finishes a removal that was cut short."""


@dataclass(frozen=True)
class RemoveFlags(Ranged):
    """The options of ``remove``; each names a list, path or URL."""

    urls: Annotated[str, CONTENTS] = ""
    """Addresses of images."""
    keys: Annotated[str, CONTENTS] = ""
    """Keys of pairs: the names of a sample's files in its tar."""
    hashes: Annotated[str, CONTENTS] = ""
    """SHA-256 of images as they were received."""
    hosts: Annotated[str, CONTENTS] = ""
    """Hosts, each with those below it: pairs whose image or page is there."""
    pages: Annotated[str, CONTENTS] = ""
    """Addresses of pages: the pairs that were found there."""


def remove_listed(args: Sequence[str], prog: str) -> int:
    """The verb: says what was taken out; returns the exit status."""
    words = split_words(RemoveFlags(), args, prog=f"{prog} remove", usage=USAGE, about=ABOUT)
    if len(words.files) != 1:
        raise UserError(f"{prog} remove: give one folder", f"usage: {prog} remove {USAGE}")
    flags = words.apply(RemoveFlags())

    from pipeline.removing.lists import read_list
    from pipeline.removing.remove import remove
    from pipeline.removing.tombstones import Kind

    given: dict[Kind, str] = {"url": flags.urls, "key": flags.keys, "hash": flags.hashes}
    given |= {"host": flags.hosts, "page": flags.pages}
    done = remove(words.files[0], [read_list(kind, file) for kind, file in given.items() if file])
    anew = f"{done.rewritten:,} of {done.shards:,} shards and {done.pictures:,} parts of the image store written anew"
    print(f"{done.pairs:,} pairs taken out; {anew}; {done.log} says what was done")
    return 0
