"""One training of the objectives' comparison: the trainer's own models, step and optimizer, and its zero-shot
classification.

In: an objective, a seed, and photographs in memory. Out: the accuracy on those held out after some of the steps. Image
tower, batches, crops, learning rate and seeds are the same for all objectives.
"""

from collections.abc import Sequence

import torch

from benchmarks.objectives_data import ROOM, SIDE, Photos
from trainer.config import IMPLIED, RunConfig
from trainer.data.captions import choose
from trainer.distributed import World
from trainer.evaluate.zeroshot import accuracy, classifier
from trainer.models.clip import normalise_images
from trainer.models.spec import ModelSpec
from trainer.objectives.dictionary import dictionary
from trainer.objectives.kinds import initial
from trainer.optim import clamp_scale, make_optimizer, set_rates
from trainer.step import Stepper
from trainer.tokenizer import train_tokenizer
from trainer.weights import Trained

__all__ = ["curve"]

VOCABULARY, NGRAMS, LONGEST = 1024, 10_000, 32  # pieces, sequences of them, pieces of a text
SPEC = ModelSpec(
    64, SIDE, (1, 1, 1, 1), 16, 8, text_width=64, text_heads=2, text_layers=2, context_length=LONGEST,
    vocab_size=VOCABULARY,
)  # fmt: skip
RATE, WARMUP, DECAY = 1e-3, 20, 0.1


def curve(objective: str, seed: int, data: Photos, batch: int, points: Sequence[int]) -> list[float]:
    """Trains one model; its accuracy after each number of steps in ``points``."""
    world = World("cpu")
    tokenizer = train_tokenizer(data.captions, VOCABULARY, LONGEST)
    keys = torch.from_numpy(dictionary([tokenizer.encode(data.captions)], VOCABULARY, NGRAMS))
    model = initial(objective, SPEC, seed=seed, keys=keys)
    config, scaler = RunConfig(weight_decay=DECAY), torch.amp.GradScaler("cpu", enabled=False)
    stepper, optimizer = Stepper(model, model, config, world, None, scaler, seed), make_optimizer(model, config)
    seen, held = torch.from_numpy(data.seen), torch.from_numpy(data.held)
    edge = slice(ROOM // 2, ROOM // 2 + SIDE)
    held, truth = normalise_images(held[:, edge, edge]), torch.tensor(data.truth)
    rule = IMPLIED.get(objective, {}).get("captions", "text")
    draws = torch.Generator().manual_seed(seed)
    epochs = -(-points[-1] * batch // len(seen))
    order = torch.cat([torch.randperm(len(seen), generator=draws) for _ in range(epochs)])
    found = []
    for step in range(points[-1]):
        chosen = order[step * batch : (step + 1) * batch].tolist()
        corners = torch.randint(0, ROOM + 1, (batch, 2), generator=draws).tolist()
        pictures = torch.stack([seen[n, y : y + SIDE, x : x + SIDE] for n, (y, x) in zip(chosen, corners, strict=True)])
        lots = torch.rand(batch, generator=draws).tolist()
        texts = [choose(rule, (), data.captions[n], {}, lot) for n, lot in zip(chosen, lots, strict=True)]
        model.train()
        set_rates(optimizer, RATE * min(1.0, (step + 1) / WARMUP))
        optimizer.zero_grad(set_to_none=True)
        stepper.gradient(step, pictures, torch.from_numpy(tokenizer.encode(texts)))
        optimizer.step()
        clamp_scale(model)
        if step + 1 in points:
            model.eval()
            with torch.inference_mode():
                trained = Trained(model, tokenizer, objective, step + 1, "center")
                found.append(accuracy(classifier(trained, data.names, ("{}",), world.device)(held), truth)["top1"])
    return found
