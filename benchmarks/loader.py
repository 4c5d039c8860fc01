"""Samples read from shards for training, per second of processor time, against open_clip's loader.

In: shards drawn from a seed. Out: ours, open_clip's default (random resized crop) as the peer, its plain square crop
beside it; all with one thread in one process, on the same tars of 256-pixel pictures, cut to 224. Ours ends with uint8
pixels and token ids, since the training step turns pixels into floats on its device; with that done on the processor as
well it is ``ours_with_floats``. Ours takes simplejpeg (the extra ``turbo``) where it is installed, which ``decoder``
tells, and without it is ``ours_with_pillow``. Equal means that the middle crops of the same pictures are the same
numbers on both sides.
"""

import contextlib
import json
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.peers import run_in_peers
from benchmarks.table import Row, figure, times
from benchmarks.training_shards import captions, write_training_shards

__all__ = ["rows", "run"]

PAIRS, BATCH, ROUNDS = 768, 64, 5


def _ours(pattern: str) -> dict[str, float]:
    import torch

    from trainer.config import DataConfig
    from trainer.data import images
    from trainer.data.loader import Dataset, Loader
    from trainer.models.clip import normalise_images
    from trainer.tokenizer import train_tokenizer

    torch.set_num_threads(1)
    config = DataConfig(train_data=(pattern,), batch_size=BATCH, workers=1)
    tokenizer = train_tokenizer(captions(2000), 2000)
    steps = PAIRS // BATCH
    figures = {}
    for name in ("ours", "ours_with_floats", "ours_with_pillow"):
        best = 0.0
        decoder = (
            mock.patch.object(images, "simplejpeg", None) if name == "ours_with_pillow" else contextlib.nullcontext()
        )
        for _ in range(ROUNDS):
            loader = Loader(Dataset(config), tokenizer, lambda step: 224, stop=steps)
            begun = time.process_time()
            with decoder:
                for batch in loader:
                    if name == "ours_with_floats":
                        normalise_images(batch.images)
            best = max(best, steps * BATCH / (time.process_time() - begun))
        figures[name] = best
    return figures


def _equal(folder: Path, pattern: str) -> bool:
    """Whether the middle crops agree with those that the peer has stored, picture by picture."""
    import torch

    from trainer.data.images import square
    from trainer.data.sources import Library
    from trainer.models.clip import normalise_images

    library = Library()
    theirs = np.load(folder / "peer.npz")["pixels"]
    with library.lent(library.find((pattern,))[0]) as reader:
        for number, expected in enumerate(theirs):
            pixels = torch.from_numpy(square(reader.read(number, False)[0], 224).copy())[None]
            if not np.allclose(normalise_images(pixels)[0].numpy(), expected, atol=2e-6):
                return False
    return len(theirs) > 0


def run() -> dict[str, Any]:
    """Measures both sides on the same shards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pattern = write_training_shards(folder, PAIRS)
        (folder / "job.json").write_text(
            json.dumps({"pattern": pattern, "pairs": PAIRS, "batch": BATCH, "rounds": ROUNDS})
        )
        peer = run_in_peers(Path(__file__).with_name("loader_peer.py"), folder)
        ours = _ours(pattern)
        equal = _equal(folder, pattern)
    return {
        "ours": round(ours["ours"]),
        "peer": round(peer["default"]),
        "ratio": round(ours["ours"] / peer["default"], 2),
        "unit": "samples per CPU-second",
        "equal": equal,
        "decoder": "turbo" if find_spec("simplejpeg") else "pillow",
        "ours_with_floats": round(ours["ours_with_floats"]),
        "ours_with_pillow": round(ours["ours_with_pillow"]),
        "peer_plain_crop": round(peer["plain"]),
        "ratio_plain_crop": round(ours["ours"] / peer["plain"], 2),
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    turbo = " (with the extra `turbo`)" if result["decoder"] == "turbo" else ""
    return [
        Row(
            f"one thread: {figure(result['ours'])} samples a second{turbo}, as bytes, which become floats on the "
            f"device; as floats: {figure(result['ours_with_floats'])}; as bytes with Pillow: "
            f"{figure(result['ours_with_pillow'])}",
            f"open_clip: {figure(result['peer'])}; with a plain crop as ours: {figure(result['peer_plain_crop'])}",
            f"{times(result['ratio'])}; {times(result['ratio_plain_crop'])}",
        )
    ]
