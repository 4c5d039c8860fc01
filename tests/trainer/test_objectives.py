"""The losses: tiled, sharded and accumulated forms have the value and the gradients of the plain ones."""

import pytest
import torch
from torch.nn import functional as F

from trainer.objectives.contrastive import contrastive_loss, plain_contrastive_loss, sharded_contrastive_loss
from trainer.objectives.sigmoid import plain_sigmoid_loss, sigmoid_loss


def unit(count: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(count, 16, generator=generator, dtype=torch.float64)
    return F.normalize(vectors, dim=1).to(dtype).requires_grad_()


def gradients(loss: torch.Tensor, *leaves: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, leaves))


@pytest.mark.parametrize("scale", [1.0, 14.3, 100.0])
@pytest.mark.parametrize("tile", [5, 16, 64])
def test_tiled_contrastive_loss_in_float64(scale: float, tile: int) -> None:
    images, texts = unit(37, 0), unit(37, 1)
    factor = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
    plain, tiled = plain_contrastive_loss(images, texts, factor), contrastive_loss(images, texts, factor, tile)
    assert torch.allclose(plain, tiled, rtol=1e-12)
    leaves = (images, texts, factor)
    for a, b in zip(gradients(plain * 3, *leaves), gradients(tiled * 3, *leaves), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-14)


def test_tiled_loss_survives_logits_far_apart_in_float32() -> None:
    # Matched pairs at opposite ends: some rows lie 200 below others, where a shift for the whole tile would underflow.
    images = unit(24, 0, torch.float32)
    signs = torch.ones(24, 1)
    signs[12:] = -1
    texts = (images.detach() * signs).requires_grad_()
    factor = torch.tensor(100.0, requires_grad=True)
    plain, tiled = plain_contrastive_loss(images, texts, factor), contrastive_loss(images, texts, factor, 8)
    assert torch.isfinite(tiled)
    assert torch.allclose(plain, tiled, rtol=1e-5)
    leaves = (images, texts, factor)
    for a, b in zip(gradients(plain, *leaves), gradients(tiled, *leaves), strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("world", [1, 3])
def test_the_mean_of_the_shares_is_the_loss(world: int) -> None:
    images, texts = unit(36, 2), unit(36, 3)
    factor = torch.tensor(20.0, dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(-3.0, dtype=torch.float64, requires_grad=True)
    own = 36 // world
    contrastive, sigmoid = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for rank in range(world):
        rows = slice(rank * own, (rank + 1) * own)
        contrastive = contrastive + sharded_contrastive_loss(
            images[rows], texts[rows], images, texts, factor, rank * own, 5
        )
        sigmoid = sigmoid + sigmoid_loss(images[rows], texts, factor, bias, rank * own, 5)
    leaves = (images, texts, factor)
    plain = plain_contrastive_loss(images, texts, factor)
    assert torch.allclose(contrastive / world, plain, rtol=1e-12)
    for a, b in zip(gradients(plain, *leaves), gradients(contrastive / world, *leaves), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-14)
    plain = plain_sigmoid_loss(images, texts, factor, bias)
    assert torch.allclose(sigmoid / world, plain, rtol=1e-12)
    for a, b in zip(gradients(plain, *leaves, bias), gradients(sigmoid / world, *leaves, bias), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-14)
