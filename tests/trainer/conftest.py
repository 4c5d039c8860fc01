"""Shards for the trainer's tests: pictures drawn here, of coloured shapes, with captions that say what they show."""

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from tests.trainer.drawings import COLOURS, SHAPES, paint
from trainer.threads import wait_asleep

wait_asleep()  # before any test imports torch

Pair = tuple[str, bytes, str, dict[str, object]]


def draw(colour: str, shape: str, seed: int) -> bytes:
    """A JPEG of 80 × 96 pixels or so with one shape on a light ground."""
    rng = random.Random(seed)
    width, height = rng.randint(76, 96), rng.randint(76, 96)
    image = Image.new("RGB", (width, height), rng.choice(["white", "ivory", "lavender", "azure"]))
    size = rng.randint(36, 48)
    x, y = rng.randint(8, width - size - 8), rng.randint(8, height - size - 8)
    paint(ImageDraw.Draw(image), shape, colour, (x, y, x + size, y + size), 9, width)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=92)
    return stream.getvalue()


def pairs(count: int, seed: int = 0) -> list[Pair]:
    """``count`` pairs in the layout of a run's shards: key, picture, caption, metadata."""
    rng = random.Random(seed)
    found = []
    for index in range(count):
        colour, shape = rng.choice(COLOURS), rng.choice(SHAPES)
        caption = rng.choice(["a {} {}", "picture of one {} {}", "{} {} on a light ground"]).format(colour, shape)
        key = hashlib.blake2b(f"{seed} {index}".encode(), digest_size=8).hexdigest()
        texts = [{"kind": "alt", "text": caption}, {"kind": "title", "text": f"the {shape}, painted {colour}"}]
        metadata: dict[str, object] = {
            "label": shape,
            "texts": texts,
            "probability": 1.0 if shape == "ring" else 0.25,
            "url": f"http://localhost/{index}.jpg",
        }
        found.append((key, draw(colour, shape, seed * 10_007 + index), caption, metadata))
    return found


def write_shards(folder: Path, samples: list[Pair], per_shard: int, *, sizes: bool = True) -> Path:
    """Writes tars with adjacent members KEY.jpg KEY.txt KEY.json, and sizes.json."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for first in range(0, len(samples), per_shard):
        name = f"{first // per_shard:05d}.tar"
        chunk = sorted(samples[first : first + per_shard], key=lambda pair: pair[0])
        with tarfile.open(folder / name, "w", format=tarfile.USTAR_FORMAT) as archive:
            for key, picture, caption, metadata in chunk:
                parts = {".jpg": picture, ".txt": caption.encode(), ".json": json.dumps(metadata).encode()}
                for suffix, data in parts.items():
                    member = tarfile.TarInfo(key + suffix)
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        counts[name] = len(chunk)
    if sizes:
        (folder / "sizes.json").write_text(json.dumps(counts))
    return folder


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with 240 pairs in 4 shards and 60 held-out pairs."""
    root = tmp_path_factory.mktemp("run")
    write_shards(root / "shards", pairs(240), 60)
    write_shards(root / "holdout", pairs(60, seed=1), 60)
    return root


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TOML file with the sizes of a model that trains in a second."""
    path = tmp_path_factory.mktemp("model") / "small.toml"
    path.write_text(
        "embed_dim = 32\nimage_size = 32\nvision_layers = 2\nvision_width = 32\nvision_heads = 2\npatch_size = 8\n"
        "text_width = 32\ntext_heads = 2\ntext_layers = 2\nvocab_size = 700\nlearning_rate = 2e-3\n"
    )
    return path


@pytest.fixture(scope="session")
def trained(shapes: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """The folder of a finished run of 120 steps, to be looked at or copied, and its command line but for that
    folder."""
    from trainer.run import main

    words = ["--preset", "tiny", "--model", str(tiny_model), "--train-data", str(shapes / "shards/*.tar")]
    words += ["--vocab-size", "700", "--batch-size", "24", "--warmup-steps", "5", "--log-steps", "1", "--steps", "120"]
    output = tmp_path_factory.mktemp("trained") / "model"
    assert main([*words, "--output", str(output)]) == 0
    return words, output


@pytest.fixture
def make_shards() -> Callable[..., Path]:
    """The function that writes shards, for tests that need odd ones."""
    return write_shards


@pytest.fixture
def make_pairs() -> Callable[..., list[Pair]]:
    """The function that draws pairs."""
    return pairs


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Every test draws the same random numbers, whichever ran before it in the process."""
    import torch

    torch.manual_seed(0)
