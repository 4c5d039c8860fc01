"""The pairwise sigmoid loss (SigLIP, arXiv 2303.15343): each image-text pair is a yes-or-no question of its own.

In: unit vectors, a scale and a bias. Out: -1/n Σ log sigmoid(z (scale · similarity + bias)), z = 1 for the matched
pairs and -1 for all others. Computed in tiles of rows with the gradient made on the way, so memory grows linearly with
the batch.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["plain_sigmoid_loss", "sigmoid_loss"]


def plain_sigmoid_loss(images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """The loss as its definition reads: (n, d), (n, d), (), () -> ()."""
    logits = scale * images @ texts.T + bias
    signs = 2 * torch.eye(len(images), device=images.device, dtype=logits.dtype) - 1
    return -F.logsigmoid(signs * logits).sum() / len(images)


def sigmoid_loss(
    images: Tensor, all_texts: Tensor, scale: Tensor, bias: Tensor, offset: int = 0, tile: int = 2048
) -> Tensor:
    """The share of n images, whose texts are rows ``offset`` … of all N texts. The mean over processes is the loss."""
    loss: Tensor = _Tiled.apply(images, all_texts, scale, bias, offset, tile)
    return loss


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, texts: Tensor, scale: Tensor, bias: Tensor, offset: int, tile: int) -> Tensor:
        count = len(images)
        step = max(1, min(count, tile * tile // len(texts)))
        to_images = torch.empty_like(images)
        to_texts = torch.zeros_like(texts)
        total, to_bias = images.new_zeros(()), images.new_zeros(())
        for i in range(0, count, step):
            own = images[i : i + step]
            logits = torch.addmm(bias, own * scale, texts.T)
            places = torch.arange(i + offset, i + offset + len(own), device=images.device)[:, None]
            total += F.softplus(logits).sum() - logits.gather(1, places).sum()
            slope = logits.sigmoid_()
            slope.scatter_add_(1, places, slope.new_full(places.shape, -1.0))
            torch.mm(slope, texts, out=to_images[i : i + step])
            to_texts.addmm_(slope.T, own)
            to_bias += slope.sum()
        to_scale = (to_images * images).sum() / count
        ctx.save_for_backward(to_images.mul_(scale / count), to_texts.mul_(scale / count), to_scale, to_bias / count)
        return total / count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None]:
        to_images, to_texts, to_scale, to_bias = (saved * gradient for saved in ctx.saved_tensors)
        return to_images, to_texts, to_scale, to_bias, None, None
