"""Altered copies of real pictures found again: by sketches, against the perceptual hash alone.

In: pictures of the photographs beside the checkout (shared/data/classification), and of every folder that
``ALTERED_PICTURES`` names (separated by ``:``), such as unpacked Debian packages. Out: for each alteration the share of
1,000 pictures whose altered copy is found among the originals, by the hash at 4 bits and by hash or sketch; the pairs
of different pictures taken for copies, of all pairs between unlike collections; and what a picture costs. The peer is
the hash alone. ``equal`` says that sketches take less than one in a million pairs of different pictures for copies.
"""

import io
import os
import random
import tarfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, ImageOps

from benchmarks.table import Row
from pipeline.dedup.altered import AlteredIndex
from pipeline.dedup.near import distances
from pipeline.image.hashes import perceptual_hash, sketch, sketch_text
from webimagetext.errors import UserError

__all__ = ["rows", "run"]

DATA = Path(__file__).parents[2] / "shared" / "data" / "classification"
ALTERED = 1_000  # pictures that are altered
BITS = 4
SMALLEST = 64  # pixels of a side: smaller ones are icons
SUFFIXES = (".jpg", ".jpeg", ".png")


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def _cropped(picture: Image.Image, share: float, draw: random.Random) -> Image.Image:
    """The picture without ``share`` of each side, from a place drawn at random."""
    width, height = (round(side * (1 - share)) for side in picture.size)
    left, top = draw.randint(0, picture.width - width), draw.randint(0, picture.height - height)
    return picture.crop((left, top, left + width, top + height))


def _marked(picture: Image.Image) -> Image.Image:
    """With half transparent letters over most of the width."""
    marked = picture.copy()
    place = (picture.width * 0.08, picture.height * 0.42)
    font = ImageFont.load_default(size=max(8, picture.width // 7))
    ImageDraw.Draw(marked).text(place, "SAMPLE.ORG", font=font, fill="white")
    return Image.blend(picture, marked, 0.5)


ALTERATIONS: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "re-encoded (JPEG 40)": lambda picture, _: _jpeg(picture, 40),
    "grey": lambda picture, _: picture.convert("L").convert("RGB"),
    "half the size": lambda picture, _: picture.resize((picture.width // 2, picture.height // 2)),
    "mirrored": lambda picture, _: ImageOps.mirror(picture),
    "cropped by 5 %": lambda picture, draw: _cropped(picture, 0.05, draw),
    "cropped by 10 %": lambda picture, draw: _cropped(picture, 0.1, draw),
    "mirrored, cropped by 5 %": lambda picture, draw: _cropped(ImageOps.mirror(picture), 0.05, draw),
    "framed by 5 %": lambda picture, draw: ImageOps.expand(
        picture, round(min(picture.size) * 0.05), draw.choice(["white", "black"])
    ),
    "turned by 3 degrees": lambda picture, _: picture.rotate(3, Image.Resampling.BICUBIC, fillcolor="white"),
    "marked with letters": lambda picture, _: _marked(picture),
}


def _collections() -> dict[str, Callable[[], Iterator[Image.Image]]]:
    found: dict[str, Callable[[], Iterator[Image.Image]]] = {}
    for path in sorted(DATA.glob("*.tar")):
        found[path.stem] = partial(_of_tar, path)
    for folder in filter(None, os.environ.get("ALTERED_PICTURES", "").split(":")):
        found[Path(folder).name] = partial(_of_folder, Path(folder))
    return found


def _of_tar(path: Path) -> Iterator[Image.Image]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.name.lower().endswith(SUFFIXES) and (stream := archive.extractfile(member)):
                yield from _opened(io.BytesIO(stream.read()))


def _of_folder(folder: Path) -> Iterator[Image.Image]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield from _opened(io.BytesIO(path.read_bytes()))


def _opened(stream: io.BytesIO) -> Iterator[Image.Image]:
    try:
        with Image.open(stream) as image:
            if min(image.size) < SMALLEST:
                return
            seen = image.convert("RGBA")
            yield Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return


Looks = tuple[npt.NDArray[np.float64], npt.NDArray[np.uint64]]  # sketches (n, 32, 32) and hashes (n,)


def _looks(pictures: Iterator[Image.Image] | list[Image.Image]) -> Looks:
    small = [sketch(picture.convert("L")) for picture in pictures]
    return np.array([np.asarray(one, np.float64) for one in small]), np.array(
        [perceptual_hash(one) for one in small], np.uint64
    )


def _nearest(asked: npt.NDArray[np.uint64], held: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    apart = distances(asked[:, None], held[None, :])
    best = apart.argmin(axis=1)
    return np.where(apart[np.arange(len(asked)), best] <= BITS, best, -1)


def _found(pictures: list[Image.Image], looks: Looks) -> dict[str, dict[str, float]]:
    """Percent of the altered pictures that are found among ``looks``, of which they are the first."""
    index, right, result = AlteredIndex(looks[0]), np.arange(len(pictures)), {}
    for name, alter in ALTERATIONS.items():
        draw = random.Random(name)
        sketches, hashes = _looks([alter(picture, draw) for picture in pictures])
        by_hash, by_sketch = _nearest(hashes, looks[1]) == right, index.find(sketches) == right
        result[name] = {
            "hash": round(100 * float(by_hash.mean()), 1),
            "hash_or_sketch": round(100 * float((by_hash | by_sketch).mean()), 1),
        }
    return result


def _false_hits(looks: dict[str, Looks]) -> dict[str, float]:
    """The pairs between different collections that count as copies; of a picture the best partner in a collection."""
    names, pairs, hits, of_hash = list(looks), 0, 0, 0
    for place, name in enumerate(names):
        index = AlteredIndex(looks[name][0])
        for other in names[place + 1 :]:
            pairs += len(looks[name][1]) * len(looks[other][1])
            hits += int((index.find(looks[other][0]) >= 0).sum())
            of_hash += int((distances(looks[name][1][:, None], looks[other][1][None, :]) <= BITS).sum())
    return {"pairs": pairs, "sketch": hits, "hash": of_hash}


def _costs(pictures: list[Image.Image]) -> dict[str, float]:
    """Microseconds a picture: of writing the sketch that the hash is taken from anyway, and of finding copies."""
    small = [sketch(picture.convert("L")) for picture in pictures]
    began = time.process_time()
    for one in small:
        sketch_text(one)
    written = time.process_time() - began
    sketches = np.array([np.asarray(one, np.float64) for one in small])
    index = AlteredIndex(sketches)
    began = time.process_time()
    index.find(sketches[::-1])
    asked = time.process_time() - began
    return {"fetch": round(1e6 * written / len(small), 1), "find": round(1e6 * asked / len(small))}


def run() -> dict[str, Any]:
    """The measurement."""
    collections = _collections()
    if not collections:
        raise UserError("there are no pictures to alter", "name folders of pictures in ALTERED_PICTURES")
    looks = {name: _looks(pictures()) for name, pictures in collections.items()}
    draw, total, chosen = random.Random(0), sum(len(one[1]) for one in looks.values()), []
    for name, pictures in collections.items():
        count = len(looks[name][1])
        wanted = set(draw.sample(range(count), min(count, ALTERED * count // total)))
        chosen += [picture for number, picture in enumerate(pictures()) if number in wanted]
    found = _found(chosen, _looks(chosen))
    false = _false_hits(looks)
    whole = ("mirrored", "cropped by 5 %", "cropped by 10 %", "mirrored, cropped by 5 %")
    ours = sum(found[name]["hash_or_sketch"] for name in whole) / len(whole)
    peer = sum(found[name]["hash"] for name in whole) / len(whole)
    return {
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "ratio": round(ours / max(peer, 0.1), 1),
        "unit": "percent of mirrored and cropped pictures found",
        "equal": false["sketch"] * 1_000_000 < false["pairs"],
        "found_percent": found,
        "false_hits": false,
        "pictures": {name: len(one[1]) for name, one in looks.items()},
        "altered": len(chosen),
        "microseconds_a_picture": _costs(chosen),
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    pairs = result["false_hits"]["pairs"]
    return [
        Row(
            f"mirrored and cropped copies found: {result['ours']:.0f} %, with {result['false_hits']['sketch']} of "
            f"{pairs:,} different pairs taken for copies",
            f"the perceptual hash alone: {result['peer']:.0f} %, {result['false_hits']['hash']} pairs",
            f"{result['ratio']:.0f}",
        )
    ]
