"""How much a model computes: counted on tensors without contents, so that nothing is allocated.

In: a :class:`ModelSpec`. Out: operations, of which a multiplication and an addition are two.
"""

import functools

import torch
from torch.utils.flop_counter import FlopCounterMode

from trainer.models.clip import Clip
from trainer.models.spec import ModelSpec

__all__ = ["operations", "training_operations"]


@functools.cache
def operations(spec: ModelSpec) -> tuple[int, int]:
    """Of one image through its tower, and of one text, of full length."""
    with torch.device("meta"):
        model = Clip(spec)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            model.visual.eval()(torch.empty(1, 3, spec.image_size, spec.image_size))
        image = counter.get_total_flops()
        with counter, torch.no_grad():
            model.text(torch.zeros(1, spec.context_length, dtype=torch.long))
    return image, counter.get_total_flops()


def training_operations(spec: ModelSpec, samples: int) -> float:
    """Of training on so many pairs: forward once, and twice as much backward."""
    return 3.0 * sum(operations(spec)) * samples
