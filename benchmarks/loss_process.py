"""One process of benchmarks/loss.py: the loss of one side, alone, so that its peak of memory is its own.

In: ``ours`` or ``peer`` and a number of pairs. Out: a JSON object: seconds of processor time, megabytes beyond the
inputs, and numbers to compare.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F


def peak() -> float:
    """The most memory this process has held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(side: str, pairs: int) -> None:
    """Computes loss and gradients once and prints the figures."""
    torch.set_num_threads(1)
    if side == "ours":
        sys.path.insert(0, str(Path(__file__).parents[1]))
        from trainer.objectives.contrastive import contrastive_loss

        loss_of: Callable[..., torch.Tensor] = contrastive_loss
    else:
        import open_clip

        loss_of = open_clip.ClipLoss()

    generator = torch.Generator().manual_seed(0)
    images = F.normalize(torch.randn(pairs, 512, generator=generator), dim=1)
    texts = F.normalize(images + 0.2 * torch.randn(pairs, 512, generator=generator), dim=1)
    leaves = [images.requires_grad_(), texts.requires_grad_(), torch.tensor(40.0, requires_grad=True)]
    torch.autograd.backward(loss_of(*(leaf[:64] if leaf.ndim else leaf for leaf in leaves)))  # loads the kernels
    for leaf in leaves:
        leaf.grad = None
    before, begun = peak(), time.process_time()
    loss = loss_of(*leaves)
    torch.autograd.backward(loss)
    seconds, after = time.process_time() - begun, peak()
    slopes = [leaf.grad for leaf in leaves if leaf.grad is not None]
    # The loss, and of each gradient numbers spread over it.
    checks = [[float(loss.detach())], *(slope.flatten()[:: max(1, slope.numel() // 512)].tolist() for slope in slopes)]
    print(json.dumps({"seconds": seconds, "megabytes": after - before, "process_megabytes": after, "checks": checks}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
