"""How many samples each training objective needs: contrastive, bag-of-words prediction, caption prediction.

In: pictures drawn from a seed, of 8 colours × 6 shapes, with captions of varied words. Out: zero-shot accuracy over the
48 kinds as it grows, with the same ResNet for each objective, and the samples until nine tenths of the pictures are
right. ``ours`` is the contrastive objective, the peer is bag-of-words prediction, and caption prediction stands beside
it (figure 2 of the paper). ``equal`` tells that all three saw the same batches.
"""

import random
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from benchmarks.table import Row

__all__ = ["COLOURS", "SHAPES", "paint", "rows", "run"]

COLOURS = ("red", "green", "blue", "yellow", "black", "purple", "orange", "gray")
SHAPES = ("circle", "square", "triangle", "cross", "ring", "stripe")
TEMPLATES = (
    "a {c} {s}",
    "picture of one {c} {s} on paper",
    "the {s}, painted {c}, for sale in our shop",
    "my new {c} {s} from yesterday",
    "image 7: {s} in {c} by the author",
    "free {c} {s} icon to download",
)
SIDE, BATCH, STEPS, EVERY, GOAL = 32, 64, 400, 4, 0.9


def paint(
    pen: ImageDraw.ImageDraw, shape: str, colour: str, box: tuple[int, int, int, int], line: int, edge: int
) -> None:
    """Paints a shape into ``box`` with lines ``line`` pixels wide; a bar goes from the left to ``edge``."""
    left, top, right, bottom = box
    if shape == "circle":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    elif shape == "triangle":
        pen.polygon([(left, bottom), (right, bottom), (left + (right - left) // 2, top)], fill=colour)
    elif shape == "cross":
        pen.line(box, fill=colour, width=line)
        pen.line((left, bottom, right, top), fill=colour, width=line)
    elif shape == "ring":
        pen.ellipse(box, outline=colour, width=line - 1)
    else:
        pen.rectangle((0, top, edge, top + line + 2), fill=colour)


def _draw(colour: str, shape: str, rng: random.Random) -> npt.NDArray[np.uint8]:
    """One picture of ``SIDE`` pixels, with the shape anywhere on a ground of any light colour."""
    image = Image.new("RGB", (2 * SIDE, 2 * SIDE), tuple(rng.randint(190, 255) for _ in range(3)))
    size = rng.randint(24, 38)
    x, y = rng.randint(2, 2 * SIDE - size - 2), rng.randint(2, 2 * SIDE - size - 2)
    paint(ImageDraw.Draw(image), shape, colour, (x, y, x + size, y + size), 7, 2 * SIDE)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))


def _samples(count: int, seed: int) -> tuple[npt.NDArray[np.uint8], list[str], list[int]]:
    """Pictures, captions, and the number of each picture's kind."""
    rng = random.Random(seed)
    kinds = [rng.randrange(len(COLOURS) * len(SHAPES)) for _ in range(count)]
    named = [(COLOURS[kind // len(SHAPES)], SHAPES[kind % len(SHAPES)]) for kind in kinds]
    pictures = np.stack([_draw(colour, shape, rng) for colour, shape in named])
    return pictures, [rng.choice(TEMPLATES).format(c=colour, s=shape) for colour, shape in named], kinds


def run() -> dict[str, Any]:
    """Trains the three objectives on the same batches."""
    import torch

    from trainer.models.clip import normalise_images
    from trainer.models.resnet import ResNet
    from trainer.models.spec import ModelSpec
    from trainer.objectives.predictive import BagOfWordsContrast, BagOfWordsPrediction, CaptionPrediction
    from trainer.tokenizer import train_tokenizer

    pictures, captions, _ = _samples(6000, 0)
    tests, _, truth = _samples(480, 1)
    tokenizer = train_tokenizer(captions, 700)
    ids = torch.from_numpy(tokenizer.encode(captions))
    prompts = torch.from_numpy(tokenizer.encode([f"a {colour} {shape}" for colour in COLOURS for shape in SHAPES]))
    spec = ModelSpec(64, SIDE, (1, 1, 1, 1), 16, 8)
    heads: dict[str, Any] = {
        "contrastive": lambda: BagOfWordsContrast(64, 700),
        "bag_of_words": lambda: BagOfWordsPrediction(64, 700),
        "captions": lambda: CaptionPrediction(64, 700, tokenizer.context_length),
    }
    curves: dict[str, list[float]] = {}
    needed: dict[str, int] = {}
    for name, make in heads.items():
        torch.manual_seed(0)
        tower = ResNet(spec)
        tower.initialise()
        head = make()
        parameters = [*tower.parameters(), *head.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.05)
        order = torch.randperm(6000 * 5, generator=torch.Generator().manual_seed(1)) % 6000
        curve: list[float] = []
        for step in range(STEPS):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            tower.train()
            vectors = tower(normalise_images(torch.from_numpy(pictures[chosen.numpy()])))
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(head(vectors, ids[chosen]))
            optimizer.step()
            if (step + 1) % EVERY == 0:
                tower.eval()
                with torch.inference_mode():
                    scores = head.scores(tower(normalise_images(torch.from_numpy(tests))), prompts)
                curve.append(float((scores.argmax(dim=1) == torch.tensor(truth)).double().mean()))
                if curve[-1] >= GOAL and name not in needed:
                    needed[name] = (step + 1) * BATCH
        curves[name] = [round(value, 3) for value in curve]
        needed.setdefault(name, STEPS * BATCH)
    return {
        "ours": needed["contrastive"],
        "peer": needed["bag_of_words"],
        "ratio": round(needed["bag_of_words"] / needed["contrastive"], 2),
        "unit": f"samples until {GOAL:.0%} zero-shot accuracy over 48 kinds (at most {STEPS * BATCH:,})",
        "equal": True,
        "captions": needed["captions"],
        "ratio_captions": round(needed["captions"] / needed["contrastive"], 2),
        "accuracy": {name: curve[-1] for name, curve in curves.items()},
        "curves": {name: curve[:: max(1, len(curve) // 10)] for name, curve in curves.items()},
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """None: it compares objectives, and no speeds."""
    return []
