"""How many images each training objective needs for the same zero-shot accuracy, on real photographs: the paper's
figure 2 at a size that a processor's cores finish.

In: photographs of products with captions (objectives_data.py). Out: for each objective and seed the zero-shot accuracy
over 81 classes of held-out photographs as training goes on, with the same image tower, batches, crops and optimizer for
all; the images until the accuracy that even the least efficient of figure 2's three comes to; a plot
(docs/objectives.svg). ``ours`` are the images of the contrastive objective with a text encoder without order, ``peer``
those of caption prediction, as in that figure; ``order`` is from the fewest images to the most. ``equal`` tells that
every objective saw the same images and captions.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.objectives_data import Photos, photos
from benchmarks.objectives_figure import Curve, figure
from benchmarks.table import Row
from benchmarks.table import figure as worded
from webimagetext.files import write_atomic

__all__ = ["images_until", "rows", "run", "summary"]

PLOT = Path(__file__).parents[1] / "docs" / "objectives.svg"
SIDE, ROOM = 32, 6  # pixels of a crop, and those that it may move by
BATCH, STEPS, EVERY, HELD = 64, 400, 25, 405
SEEDS = (0, 1, 2)
VOCABULARY = 1024
PROMPTS = ("{}", "{}.")
FIGURE_2 = ("contrastive-bow", "bag-of-words", "caption")  # the best first, as the figure has them
OBJECTIVES = (*FIGURE_2, "contrastive", "sigmoid", "ngram", "convirt")
RATE, WARMUP = 1e-3, 20
NEAR_GOAL = 0.9  # of what the least efficient of figure 2's objectives comes to


def _curve(objective: str, seed: int, data: Photos) -> list[float]:
    """Trains one model; its accuracy after every EVERY steps."""
    import torch

    from trainer.config import IMPLIED, RunConfig
    from trainer.data.captions import choose
    from trainer.distributed import World
    from trainer.evaluate.zeroshot import accuracy, classifier
    from trainer.models.clip import normalise_images
    from trainer.models.spec import ModelSpec
    from trainer.objectives.dictionary import dictionary
    from trainer.objectives.kinds import initial
    from trainer.objectives.predictive import Predictive
    from trainer.optim import clamp_scale, make_optimizer, set_rates
    from trainer.step import Stepper
    from trainer.tokenizer import train_tokenizer
    from trainer.weights import Trained

    tokenizer = train_tokenizer(data.captions, VOCABULARY)
    spec = ModelSpec(64, SIDE, (1, 1, 1, 1), 16, 8, text_width=64, text_heads=2, text_layers=2, vocab_size=VOCABULARY)
    keys = torch.from_numpy(dictionary([tokenizer.encode(data.captions)], VOCABULARY, 10_000))
    model = initial(objective, spec, seed=seed, keys=keys)
    config, world = RunConfig(weight_decay=0.1), World("cpu")
    stepper = Stepper(model, model, config, world, None, torch.amp.GradScaler("cpu", enabled=False), seed)
    optimizer = make_optimizer(model, config)
    trained = Trained(model, tokenizer, objective, 0, "center")
    by_names = isinstance(model, Predictive) and not model.by_prompts
    rule = IMPLIED.get(objective, {}).get("captions", "text")
    seen, held = torch.from_numpy(data.seen), torch.from_numpy(data.held)
    held = normalise_images(held[:, ROOM // 2 : ROOM // 2 + SIDE, ROOM // 2 : ROOM // 2 + SIDE])
    truth = torch.tensor(data.truth)
    draws = torch.Generator().manual_seed(seed)
    order = torch.cat([torch.randperm(len(seen), generator=draws) for _ in range(-(-STEPS * BATCH // len(seen)))])
    found = []
    for step in range(STEPS):
        chosen = order[step * BATCH : (step + 1) * BATCH].tolist()
        places = torch.randint(0, ROOM + 1, (BATCH, 2), generator=draws).tolist()
        pictures = torch.stack([seen[n, y : y + SIDE, x : x + SIDE] for n, (y, x) in zip(chosen, places, strict=True)])
        lots = torch.rand(BATCH, generator=draws).tolist()
        texts = [choose(rule, (), data.captions[n], {}, lot) for n, lot in zip(chosen, lots, strict=True)]
        set_rates(optimizer, RATE * min(1.0, (step + 1) / WARMUP))
        optimizer.zero_grad(set_to_none=True)
        model.train()
        stepper.gradient(step, pictures, torch.from_numpy(tokenizer.encode(texts)))
        optimizer.step()
        clamp_scale(model)
        if (step + 1) % EVERY == 0:
            model.eval()
            with torch.inference_mode():
                score = classifier(trained, data.names, ("{}",) if by_names else PROMPTS, world.device)
                found.append(accuracy(score(held), truth)["top1"])
    return found


def images_until(images: Sequence[int], curve: Sequence[float], goal: float) -> float | None:
    """The images after which a curve first reaches ``goal``, between two points by a straight line; None if never."""
    before, less = 0.0, 0.0
    for count, share in zip(images, curve, strict=True):
        if share >= goal:
            return before + (count - before) * (goal - less) / (share - less)
        before, less = float(count), share
    return None


def summary(curves: dict[str, list[list[float]]], chance: float) -> dict[str, Any]:
    """What the curves (objective, seed, point) show: the order, the images that each needs, the ratios."""
    images = [(point + 1) * EVERY * BATCH for point in range(STEPS // EVERY)]
    means = {name: [sum(point) / len(point) for point in zip(*runs, strict=True)] for name, runs in curves.items()}
    goal = NEAR_GOAL * min(max(means[name]) for name in FIGURE_2)
    needed = {name: images_until(images, mean, goal) for name, mean in means.items()}
    order = sorted(means, key=lambda name: (needed[name] or math.inf, -means[name][-1]))
    ratios = {}
    for fast, slow in combinations(FIGURE_2, 2):
        each = [
            [images_until(images, runs[seed], goal) for runs in (curves[slow], curves[fast])]
            for seed in range(len(curves[slow]))
        ]
        known = [a / b for a, b in each if a and b]
        whole = (needed[slow] or math.inf) / (needed[fast] or math.inf)
        ratios[f"{slow} / {fast}"] = {
            "ratio": round(whole, 2),
            "lowest": round(min(known), 2) if known else None,
            "highest": round(max(known), 2) if known else None,
        }
    return {
        "order": order,
        "ratios": ratios,
        "seeds": len(curves[FIGURE_2[0]]),
        "goal": round(goal, 4),
        "chance": round(chance, 4),
        "images": {name: count and round(count) for name, count in needed.items()},
        "accuracy": {name: round(mean[-1], 4) for name, mean in means.items()},
        "curves": {name: [[round(share, 4) for share in run] for run in runs] for name, runs in curves.items()},
        "points": images,
    }


def _show(found: dict[str, Any]) -> None:
    print(f"{'images to':<18}{found['goal']:>10.1%}{'at the end':>12}{'lowest':>9}{'highest':>9}")
    for name in found["order"]:
        ends = [run[-1] for run in found["curves"][name]]
        needed = found["images"][name]
        told = f"{needed:,}" if needed else "never"
        print(f"{name:<18}{told:>10}{found['accuracy'][name]:>12.1%}{min(ends):>9.1%}{max(ends):>9.1%}")


def run() -> dict[str, Any]:
    """Trains every objective from every seed on the same batches. Raises UserError where the photographs are not
    here."""
    data = photos(SIDE + ROOM, HELD)
    curves: dict[str, list[list[float]]] = {name: [] for name in OBJECTIVES}
    for seed in SEEDS:
        for name in OBJECTIVES:
            curves[name].append(_curve(name, seed, data))
            print(f"{name}, seed {seed}: {curves[name][-1][-1]:.1%}", flush=True)
    found = summary(curves, 1 / len(data.names))
    lines = [
        Curve(name, found["points"], *([f(point) for point in zip(*runs, strict=True)] for f in (_mean, min, max)))
        for name, runs in curves.items()
    ]
    with write_atomic(str(PLOT), "w") as stream:
        stream.write(figure(lines, found["goal"], found["chance"]))
    _show(found)
    best, worst = found["images"][FIGURE_2[0]], found["images"][FIGURE_2[-1]]
    return {
        "ours": best,
        "peer": worst,
        "ratio": found["ratios"][f"{FIGURE_2[-1]} / {FIGURE_2[0]}"]["ratio"],
        "unit": f"images until {found['goal']:.1%} zero-shot accuracy over {len(data.names)} kinds of products",
        "equal": True,
        **found,
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of figure 2's three objectives."""
    images = result["images"]
    ours = f"contrastive, bags of words: {worded(images[FIGURE_2[0]])} photographs until {result['goal']:.1%} zero-shot"
    peers = f"predicted: the words {worded(images[FIGURE_2[1]])}, the caption {worded(images[FIGURE_2[2]])}"
    return [Row(ours, peers, f"{result['ratio']:.1f}")]
