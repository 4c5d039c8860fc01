"""Photographs of products in shops, with their names and what their makers say of them, for the objectives' comparison.

In: the Grocery Store dataset (arXiv 1901.00711, MIT licence): ``shared/data/classification/grocery_store_81.tar``
beside the checkout, or a tar or folder that ``GROCERY_STORE`` names. Out: small pictures of its training and test
splits, a caption for each training picture, and the names of the 81 classes. A caption is the name and, by a hash of
the file's name, one of the sentences of the product's description, or none: title and description, as on the web.
"""

import csv
import os
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.hashing import hash64
from trainer.data.images import evaluated
from webimagetext.errors import UserError

__all__ = ["PICTURE", "ROOM", "SIDE", "Photos", "photos"]

HERE = Path(__file__).parents[2] / "shared" / "data" / "classification" / "grocery_store_81.tar"
SIDE, ROOM = 32, 6  # pixels of a crop, and those that it may move by
PICTURE = SIDE + ROOM
Pixels = npt.NDArray[np.uint8]
Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Photos:
    """Pictures (n, side, side, 3): ``seen`` to train on, with ``captions``, and ``held`` with the number of each one's
    class among ``names``."""

    seen: Pixels
    captions: list[str]
    held: Pixels
    truth: list[int]
    names: list[str]


def photos(side: int, held: int) -> Photos:
    """All training pictures, and ``held`` of the test pictures, evenly from all. Raises UserError where there are
    none."""
    place = Path(os.environ.get("GROCERY_STORE", HERE))
    if place.is_dir():
        return _photos(lambda name: (place / "dataset" / name).read_bytes(), side, held)
    if not place.exists():
        raise UserError(
            f"{place}: the photographs of the Grocery Store dataset are not here",
            "get its repository, and name the folder: GROCERY_STORE=… make bench NAME=objectives",
        )
    with tarfile.open(place) as archive:

        def read(name: str) -> bytes:
            member = archive.extractfile(f"dataset/{name}")
            if member is None:
                raise UserError(f"{place}: has no file dataset/{name}", "get the dataset again")
            return member.read()

        return _photos(read, side, held)


def _photos(read: Read, side: int, held: int) -> Photos:
    classes = list(csv.DictReader(read("classes.csv").decode("utf-8").splitlines()))
    names = [row["Class Name (str)"].replace("-", " ") for row in classes]
    sentences = [
        re.split(r"(?<=[.!?])\s+", read(row["Product Description Path (str)"].lstrip("/")).decode("utf-8").strip())
        for row in classes
    ]
    training, tests = _split(read, "train.txt"), _split(read, "test.txt")
    tests = [tests[place * len(tests) // held] for place in range(min(held, len(tests)))]
    return Photos(
        np.stack([evaluated(read(path), side) for path, _ in training]),
        [_caption(path, names[number], sentences[number]) for path, number in training],
        np.stack([evaluated(read(path), side) for path, _ in tests]),
        [number for _, number in tests],
        names,
    )


def _split(read: Read, name: str) -> list[tuple[str, int]]:
    """The pictures of a split, each with the number of its class."""
    rows = [line.split(",") for line in read(name).decode("utf-8").splitlines() if line.strip()]
    return [(path.strip(), int(number)) for path, number, _ in rows]


def _caption(path: str, name: str, sentences: list[str]) -> str:
    drawn = ["", *sentences][hash64(path) % (len(sentences) + 1)]
    return f"{name}. {drawn}" if drawn else name
