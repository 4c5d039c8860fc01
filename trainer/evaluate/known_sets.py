"""The evaluation sets that are known by name, and where a folder has which.

In: a folder with a folder for each set, laid out as it is usually got: a folder of pictures a class, below ``test``,
``val`` or at once, called by its name, a number or WordNet's number; or webdataset's shards with ``.cls`` members, with
or without ``classnames.txt`` beside. Out: the pictures with their classes, the names in their order, and the templates.
What is known of a set is a file of ``sets/``: class names are facts, the templates were written for this project.
"""

import functools
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from pipeline.keeping.folder import IMAGE_SUFFIXES
from trainer.data.tar import CLASS
from trainer.evaluate.features import samples
from trainer.evaluate.labelled import bytes_of, lines_of
from webimagetext.errors import UserError
from webimagetext.files import exists, is_folder, join, listing
from webimagetext.settings import from_dict

__all__ = ["Found", "KnownSet", "Picture", "find_sets", "known_sets", "read_set"]

SPLITS = ("test", "val", "validation", "valid")
NAMES, TEMPLATES = "classnames.txt", "zeroshot_classification_templates.txt"  # beside webdataset's evaluation shards
BEGINNINGS = ("wds", "vtab")  # of their folders' names
DEPTH = 2  # folders with nothing but one folder in them, as archives unpack to


@dataclass(frozen=True)
class KnownSet:
    """What is known of a set."""

    title: str
    folders: tuple[str, ...]
    """Names of its folder, without anything but letters and digits."""
    prompts: tuple[str, ...]
    classes: tuple[str, ...] = ()
    """In the order of their numbers; none: they are called as their folders are."""
    ids: tuple[str, ...] = ()
    """What the folders of the classes are called, where that is not their names."""
    metric: Literal["top1", "mean_per_class", "mean_top1_top5", "roc_auc"] = "top1"
    """What is usually stated of it."""
    numbered: bool = True
    """Whether numbers in shards are places in ``classes``."""

    def of_folders(self, folders: Sequence[str]) -> dict[str, int] | None:
        """The class of each folder, by name, id or number, from 0 or from 1 on; None unless all are known, and each is
        another one."""
        known = {_normal(name): place for place, name in enumerate(self.classes)}
        known |= {_normal(name): place for place, name in enumerate(self.ids)}
        if all(folder.isdigit() for folder in folders):
            numbers = [int(folder) for folder in folders]
            first = 1 if 0 not in numbers and max(numbers) == len(self.classes) else 0
            known |= {folder: number - first for folder, number in zip(folders, numbers, strict=True)}
        found = {folder: known.get(folder if folder.isdigit() else _normal(folder), -1) for folder in folders}
        right = set(range(len(self.classes)))
        return found if set(found.values()) <= right and len(set(found.values())) == len(found) else None


class Picture:
    """A picture of a set, whose bytes it gives once."""

    def __init__(self, source: str | bytes, name: str) -> None:
        self._source, self.name = source, name

    def take(self) -> bytes:
        """The bytes; from then on they are held no more."""
        source, self._source = self._source, b""
        return bytes_of((source, self.name))


@dataclass(frozen=True)
class Found:
    """A set in a folder."""

    name: str
    folder: str
    place: str  # where its shards, or the folders of its classes, lie
    shards: bool
    known: KnownSet | None


def _normal(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


@functools.cache
def known_sets() -> dict[str, KnownSet]:
    """All of them by the name of their file."""
    found = {}
    for file in resources.files("trainer.evaluate").joinpath("sets").iterdir():
        stated = tomllib.loads(file.read_text(encoding="utf-8"))
        found[file.name.removesuffix(".toml")] = from_dict(KnownSet, stated, where=file.name)
    return dict(sorted(found.items()))


def _known(name: str) -> KnownSet | None:
    word = _normal(name)
    for beginning in BEGINNINGS:
        word = word.removeprefix(beginning)
    for known in known_sets().values():
        if word in known.folders:
            return known
    return None


def _folders(folder: str) -> list[str]:
    return [path for path in listing("*", folder) if is_folder(path)]


def _place(folder: str, depth: int = 0) -> tuple[str, bool] | None:
    """Where the shards (true) or the folders of classes of a set lie; None where there are none."""
    for place in [*(join(folder, split) for split in SPLITS), folder]:
        if listing("*.tar", place):
            return place, True
        if any(path.lower().endswith(IMAGE_SUFFIXES) for path in listing("*/*", place)):
            return place, False
    inside = _folders(folder)
    return _place(inside[0], depth + 1) if len(inside) == 1 and depth < DEPTH else None


def find_sets(root: str) -> list[Found]:
    """The sets below a folder, by name. Raises UserError where there is none."""
    found = []
    for folder in _folders(root):
        if place := _place(folder):
            name = folder.rstrip("/").rpartition("/")[2]
            found.append(Found(name, folder, *place, _known(name)))
    if not found:
        raise UserError(
            f"{root}: there are no evaluation sets here",
            "give a folder with a folder for each set, of shards or of a folder of pictures a class",
        )
    return found


def read_set(found: Found, limit: int) -> tuple[Iterator[Picture] | list[Picture], list[str], Sequence[str]]:
    """The pictures of a set, at most ``limit`` (0: all), the names of its classes, and its templates, if it has some.
    Raises UserError where its pictures have no classes."""
    known = found.known
    prompts: Sequence[str] = known.prompts if known else ()
    if found.shards:
        if exists(beside := join(found.folder, TEMPLATES)):
            prompts = lines_of(beside)
        pictures, names = _of_shards(found, limit)
        return pictures, names, prompts
    paths = [path for path in listing("*/*", found.place) if path.lower().endswith(IMAGE_SUFFIXES)]
    folder_of = {path: path.rsplit("/", 2)[1] for path in paths}
    folders = sorted(set(folder_of.values()))
    places = known.of_folders(folders) if known and known.classes else None
    if known and places:
        shown = {folder: known.classes[place] for folder, place in places.items()}
        names = [known.classes[place] for place in sorted(places.values())]
    else:
        shown = {folder: folder.replace("_", " ") for folder in folders}
        names = list(shown.values())
    if limit and limit < len(paths):  # evenly from all, since they lie class by class
        paths = [paths[place * len(paths) // limit] for place in range(limit)]
    return [Picture(path, shown[folder_of[path]]) for path in paths], names, prompts


def _of_shards(found: Found, limit: int) -> tuple[Iterator[Picture] | list[Picture], list[str]]:
    known = found.known
    names = list(known.classes) if known and known.numbered else []
    if exists(beside := join(found.folder, NAMES)):
        names = lines_of(beside)
    stored = (
        (picture, metadata.get(CLASS, metadata.get("label")))
        for picture, _, metadata in samples((join(found.place, "*.tar"),), limit)
    )
    if names:
        return _numbered(stored, names, found.folder), names
    pictures = [Picture(picture, str(label)) for picture, label in stored if label is not None]
    if not pictures:
        raise UserError(f"{found.folder}: its samples have no classes")
    return pictures, sorted({picture.name for picture in pictures})


def _numbered(stored: Iterator[tuple[bytes, object]], names: Sequence[str], where: str) -> Iterator[Picture]:
    by_name = set(names)
    for picture, label in stored:
        if isinstance(label, int) and 0 <= label < len(names):
            yield Picture(picture, names[label])
        elif isinstance(label, str) and label in by_name:
            yield Picture(picture, label)
        else:
            raise UserError(f"{where}: has a class {label!r}, of {len(names)} names", f"correct {NAMES} there")
