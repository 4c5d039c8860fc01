"""Shards for the training benchmarks: pictures of 256 pixels with the detail of photographs, and captions of real
lengths.

In: a folder and a number of pairs. Out: tars in the layout of a run's shards. Everything is drawn from a seed, so that
a benchmark needs no other data; a JPEG of quality 95 comes to about 30 KB, as a photograph of that size does.
"""

import io
import json
import random
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["captions", "write_training_shards"]

NOUNS = (
    "dog",
    "house",
    "river",
    "mountain",
    "bicycle",
    "kitchen",
    "market",
    "bridge",
    "child",
    "garden",
    "train",
    "window",
)
WORDS = (
    "a",
    "the",
    "of",
    "in",
    "on",
    "with",
    "near",
    "old",
    "red",
    "small",
    "wooden",
    "two",
    "standing",
    "photo",
    "from",
    "at",
)


def captions(count: int, seed: int = 0) -> list[str]:
    """Captions of 4 to 20 words, 11 in the middle, as on the web."""
    rng = random.Random(seed)
    lengths = [min(20, max(4, round(rng.gauss(11, 3.5)))) for _ in range(count)]
    return [" ".join(rng.choice(NOUNS if rng.random() < 0.3 else WORDS) for _ in range(length)) for length in lengths]


def _picture(rng: np.random.Generator) -> bytes:
    """A JPEG of 256 × 256 to 256 × 384 pixels: shapes at several scales and a little grain."""
    width = int(rng.integers(256, 385))
    pixels = np.zeros((256, width, 3), dtype=np.float32)
    for scale, strength in ((8, 90), (24, 45), (64, 16), (128, 7)):
        coarse = rng.normal(0, strength, (scale, scale, 3)).clip(-127, 127).astype(np.int8).view(np.uint8)
        picture = Image.fromarray(coarse + np.uint8(128)).resize((width, 256), Image.Resampling.BICUBIC)
        pixels += np.asarray(picture, dtype=np.float32) - 128
    pixels += rng.normal(128, 2.5, pixels.shape)
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def write_training_shards(folder: Path, count: int, per_shard: int = 256) -> str:
    """Writes the shards; returns the pattern that names them, in braces."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    sizes, texts = {}, captions(count)
    for first in range(0, count, per_shard):
        name = f"{first // per_shard:05d}.tar"
        numbers = range(first, min(count, first + per_shard))
        with tarfile.open(folder / name, "w", format=tarfile.USTAR_FORMAT) as archive:
            for number in numbers:
                for suffix, data in ((".jpg", _picture(rng)), (".txt", texts[number].encode()), (".json", b"{}")):
                    member = tarfile.TarInfo(f"{number:016x}{suffix}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        sizes[name] = len(numbers)
    (folder / "sizes.json").write_text(json.dumps(sizes))
    return f"{folder}/{{00000..{len(sizes) - 1:05d}}}.tar"
