"""ConVIRT's alterations of training pictures, each drawn anew for each picture (arXiv 2010.00747, section 4.2).

In: uint8 pictures on the device that computes. Out: float pictures of the same shape in [0, 255]. A part of 0.6 to 1 of
the area, mirrored or not, turned by up to 20 degrees, shifted by up to a tenth of its side and scaled by up to a
twentieth; then brightness and contrast times 0.6 to 1.4; then a Gaussian blur of 0.1 to 3 pixels of a picture of 224.
What a turned picture leaves free is filled with the pixels at its edge. The numbers come from torch's generator, which
the training step seeds.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["altered"]

AREA, TURN, SHIFT, SCALE = 0.6, 20.0, 0.1, 0.05
LIGHT = 0.4
BLUR, BLUR_SIDE = (0.1, 3.0), 224
LUMA = (0.299, 0.587, 0.114)


def altered(images: Tensor) -> Tensor:
    """(batch, side, side, 3) uint8 -> the same shape, float32."""
    draws = torch.rand(len(images), 11, device=images.device)
    x = images.permute(0, 3, 1, 2).to(torch.float32)
    x = _moved(x, draws[:, :8])
    x = _lit(x, 1 + LIGHT * (2 * draws[:, 8] - 1), 1 + LIGHT * (2 * draws[:, 9] - 1))
    x = _blurred(x, (BLUR[0] + (BLUR[1] - BLUR[0]) * draws[:, 10]) * x.shape[-1] / BLUR_SIDE)
    return x.permute(0, 2, 3, 1)


def _moved(x: Tensor, draws: Tensor) -> Tensor:
    """Cut, mirrored, turned, shifted and scaled in one interpolation."""
    area, across, down, mirror, turn, right, below, scale = draws.unbind(dim=1)
    part = (AREA + (1 - AREA) * area).sqrt()
    angle = math.radians(TURN) * (2 * turn - 1)
    size = 1 + SCALE * (2 * scale - 1)
    side = torch.where(mirror < 0.5, -1.0, 1.0)
    # Where a pixel of the result lies in the picture, both from -1 to 1: a shift by a tenth of the side is 0.2.
    cos, sin = part * angle.cos() / size, part * angle.sin() / size
    x_shift = (1 - part) * (2 * across - 1) + part * 2 * SHIFT * (2 * right - 1)
    y_shift = (1 - part) * (2 * down - 1) + part * 2 * SHIFT * (2 * below - 1)
    rows = [torch.stack([side * cos, -sin, x_shift], dim=1), torch.stack([side * sin, cos, y_shift], dim=1)]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _lit(x: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Times ``brightness``, then away from the mean grey by ``contrast``: (batch,) each."""
    x = (x * brightness[:, None, None, None]).clamp(0, 255)
    grey = (x * torch.tensor(LUMA, device=x.device)[None, :, None, None]).sum(dim=1).mean(dim=(1, 2))
    grey = grey[:, None, None, None]
    return (grey + (x - grey) * contrast[:, None, None, None]).clamp(0, 255)


def _blurred(x: Tensor, deviation: Tensor) -> Tensor:
    """A Gaussian blur with a ``deviation`` in pixels for each picture, rows and columns one after the other."""
    count, colours, height, width = x.shape
    reach = max(1, math.ceil(3 * BLUR[1] * width / BLUR_SIDE))
    places = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernels = torch.exp(-(places**2)[None] / (2 * deviation[:, None] ** 2))
    kernels = (kernels / kernels.sum(dim=1, keepdim=True)).repeat_interleave(colours, dim=0)[:, None, None]
    flat = F.pad(x.reshape(1, count * colours, height, width), (reach, reach, reach, reach), mode="replicate")
    flat = F.conv2d(flat, kernels, groups=count * colours)
    flat = F.conv2d(flat, kernels.transpose(2, 3), groups=count * colours)
    return flat.view(count, colours, height, width)
