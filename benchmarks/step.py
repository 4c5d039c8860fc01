"""One training step on the processor, against open_clip: ViT-B/32 and RN50 at batch 16, one thread, seconds of
processor time.

In: weights, pixels and texts from a seed, the same on both sides. Out: forward, loss, backward and optimizer, the best
of a few. Texts are those of real length; ours trims them to the batch's longest, and that counts. Both compute in
float32; with the arithmetic that ``trainer.run`` chooses on this machine it is ``ours_as_chosen``. Equal means that the
losses of the first step agree to 1e-4 of their value.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import run_in_peers
from benchmarks.table import Row, figure
from benchmarks.training_shards import captions

__all__ = ["rows", "run"]

BATCH, STEPS = 16, 2
MODELS = {"ViT-B/32": "ViT-B-32-quickgelu", "RN50": "RN50-quickgelu"}


def _ours(name: str, folder: Path) -> dict[str, Any]:
    """Writes the job for the peer and takes the same steps here."""
    import torch

    from trainer.config import ObjectiveConfig, OptimConfig, RunConfig
    from trainer.convert.layouts import to_open_clip
    from trainer.distributed import World
    from trainer.models.clip import build, normalise_images
    from trainer.models.spec import find_spec
    from trainer.optim import clamp_scale, make_optimizer, set_rates
    from trainer.setup import precision
    from trainer.step import Stepper
    from trainer.tokenizer import train_tokenizer

    torch.set_num_threads(1)
    spec = find_spec(name)
    model = build(spec).train()
    texts = captions(BATCH, seed=3)
    trimmed = train_tokenizer(captions(4000), 2000).encode(texts)
    trimmed[trimmed == trimmed.max()] = spec.vocab_size - 1  # the end token of the published vocabulary
    padded = np.zeros((BATCH, spec.context_length), dtype=np.int64)
    padded[:, : trimmed.shape[1]] = trimmed
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (BATCH, 224, 224, 3), dtype=torch.uint8, generator=generator)
    torch.save(to_open_clip(model.state_dict()), folder / "weights.pt")
    np.savez(folder / "inputs.npz", pixels=normalise_images(images).contiguous().numpy(), ids=padded)
    (folder / "job.json").write_text(json.dumps({"model": MODELS[name], "steps": STEPS}))
    optimizer = make_optimizer(model, OptimConfig())
    set_rates(optimizer, 1e-6)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    ids = torch.from_numpy(trimmed)

    def timed(dtype: torch.dtype | None) -> tuple[float, float]:
        """Seconds of the best step but the first, and the loss of the first."""
        stepper = Stepper(model, model, ObjectiveConfig(), World("cpu"), dtype, scaler, 0)
        first, best = 0.0, float("inf")
        for step in range(STEPS + 1):
            begun = time.process_time()
            optimizer.zero_grad(set_to_none=True)
            loss = stepper.gradient(step, images, ids)
            optimizer.step()
            clamp_scale(model)
            if step == 0:
                first = float(loss)
            else:
                best = min(best, time.process_time() - begun)
        return best, first

    seconds, first = timed(None)
    chosen = precision(RunConfig(), torch.device("cpu"))
    return {
        "seconds": seconds,
        "loss": first,
        "seconds_as_chosen": seconds if chosen is None else timed(chosen)[0],
        "chosen": "fp32" if chosen is None else "bf16",
    }


def run() -> dict[str, Any]:
    """Measures both models; the ratio is the smaller of the two."""
    figures: dict[str, Any] = {}
    equal = True
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            ours = _ours(name, Path(folder))
            peer = run_in_peers(Path(__file__).with_name("step_peer.py"), folder)
        equal = equal and abs(ours["loss"] - peer["loss"]) < 1e-4 * peer["loss"]
        figures[name] = {
            "ours": round(ours["seconds"], 3),
            "ours_as_chosen": round(ours["seconds_as_chosen"], 3),
            "chosen": ours["chosen"],
            "peer": round(peer["seconds"], 3),
            "ratio": round(peer["seconds"] / ours["seconds"], 3),
            "loss_ours": ours["loss"],
            "loss_peer": peer["loss"],
        }
    worst = min(figures.values(), key=lambda row: float(row["ratio"]))
    return {
        "ours": worst["ours"],
        "peer": worst["peer"],
        "ratio": worst["ratio"],
        "unit": f"CPU-seconds a step of {BATCH} pairs, one thread, fp32",
        "equal": equal,
        "models": figures,
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    models = result["models"]
    ours, theirs = (
        ", ".join(f"{name}: {figure(row[side])}" for name, row in models.items()) for side in ("ours", "peer")
    )
    share = ", ".join(figure(1 / row["ratio"], 2) for row in models.values())
    chosen = ", ".join(
        f"{name}: {figure(row['ours_as_chosen'])}" for name, row in models.items() if row["chosen"] != "fp32"
    )
    if chosen:
        ours += f"; in bf16, which `trainer.run` chooses on this machine: {chosen}"
    return [
        Row(
            f"seconds a step of {BATCH} pairs, one thread, fp32: {ours}",
            f"open_clip: {theirs}",
            f"{share} of its time",
        )
    ]
