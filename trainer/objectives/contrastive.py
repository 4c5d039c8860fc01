"""The symmetric softmax loss over all pairs of a batch, exact, in memory that grows linearly with the batch.

In: unit vectors of images and texts, and the logit scale. Out: the mean of the cross-entropies over rows and columns of
the scaled similarities, as in the paper's figure 3. The matrix of similarities never exists as a whole: it is computed
in tiles, once for the normalisers and once more for the gradient.

With several processes each one takes the rows of its own images and texts against everybody's, so the work is shared
too.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["contrastive_loss", "plain_contrastive_loss", "sharded_contrastive_loss"]

# A range of logits beyond which one shift for a whole tile could lose terms to underflow (float32 ends at exp(-87)).
SAFE_EXPONENT = 60.0


def plain_contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """The loss as its definition reads, with the whole matrix in memory: (n, d), (n, d), () -> ()."""
    logits = scale * images @ texts.T
    target = torch.arange(len(images), device=images.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor, tile: int = 2048) -> Tensor:
    """The same value and gradient in tiles of ``tile`` × ``tile`` similarities."""
    if len(images) <= tile:
        return plain_contrastive_loss(images, texts, scale)
    loss: Tensor = _Tiled.apply(images, texts, scale, tile)
    return loss


def sharded_contrastive_loss(
    images: Tensor,
    texts: Tensor,
    all_images: Tensor,
    all_texts: Tensor,
    scale: Tensor,
    offset: int,
    tile: int = 2048,
    *,
    rows_weigh: float = 0.5,
) -> Tensor:
    """One process's share: its n pairs, which are rows ``offset`` … of all N. The mean over processes is the loss.

    ``rows_weigh`` is the weight of the direction from images to texts, the other has what is left to 1.
    """
    rows = _Rows.apply(images, all_texts, scale, offset, tile)
    columns = _Rows.apply(texts, all_images, scale, offset, tile)
    loss: Tensor = rows_weigh * rows + (1 - rows_weigh) * columns
    return loss


class _Tiled(torch.autograd.Function):
    """Both directions at once: each tile of similarities serves its rows and its columns."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, texts: Tensor, scale: Tensor, tile: int) -> Tensor:
        count = len(images)
        rows = images.new_full((count,), -torch.inf)
        columns = images.new_full((count,), -torch.inf)
        scaled = images * scale
        buffer = images.new_empty(tile * tile)
        for i in range(0, count, tile):
            for j in range(0, count, tile):
                part = _product(scaled[i : i + tile], texts[j : j + tile], buffer)
                by_row, by_column = _log_sums(part)
                rows[i : i + tile] = torch.logaddexp(rows[i : i + tile], by_row)
                columns[j : j + tile] = torch.logaddexp(columns[j : j + tile], by_column)
        ctx.save_for_backward(images, texts, scale, rows, columns)
        ctx.tile = tile
        matched = (scaled * texts).sum(dim=1)
        return ((rows - matched) + (columns - matched)).sum() / (2 * count)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        images, texts, scale, rows, columns = ctx.saved_tensors
        count, tile = len(images), ctx.tile
        scaled = images * scale
        to_images = torch.zeros_like(images)
        to_texts = torch.zeros_like(texts)
        buffer, factor = images.new_empty(tile * tile), images.new_empty(tile * tile)
        for i in range(0, count, tile):
            for j in range(0, count, tile):
                part = _product(scaled[i : i + tile], texts[j : j + tile], buffer)
                _probabilities(part, rows[i : i + tile], columns[j : j + tile], factor)
                if i == j:
                    part.diagonal().sub_(2)  # each matched pair is the target of its row and of its column
                to_images[i : i + tile].addmm_(part, texts[j : j + tile])
                to_texts[j : j + tile].addmm_(part.T, images[i : i + tile])
        to_scale = (to_images * images).sum() * (gradient / (2 * count))
        factor = gradient * scale / (2 * count)
        return to_images.mul_(factor), to_texts.mul_(factor), to_scale, None


class _Rows(torch.autograd.Function):
    """Mean cross-entropy of some rows against all columns; the gradient is made on the way, so nothing is computed
    twice."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, columns: Tensor, scale: Tensor, offset: int, tile: int) -> Tensor:
        count, width = len(rows), len(columns)
        step = max(1, min(count, tile * tile // width))
        to_rows = torch.empty_like(rows)
        to_columns = torch.zeros_like(columns)
        total = rows.new_zeros(())
        buffer = rows.new_empty(step * width)
        for i in range(0, count, step):
            own = rows[i : i + step]
            part = _product(own * scale, columns, buffer)
            places = torch.arange(i + offset, i + offset + len(own), device=rows.device)[:, None]
            matched = part.gather(1, places)
            normaliser = part.logsumexp(dim=1, keepdim=True)
            total += (normaliser - matched).sum()
            part.sub_(normaliser).exp_()
            part.scatter_add_(1, places, part.new_full(places.shape, -1.0))
            torch.mm(part, columns, out=to_rows[i : i + step])
            to_columns.addmm_(part.T, own)
        to_scale = (to_rows * rows).sum() / count
        ctx.save_for_backward(to_rows.mul_(scale / count), to_columns.mul_(scale / count), to_scale)
        return total / count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        to_rows, to_columns, to_scale = ctx.saved_tensors
        return to_rows * gradient, to_columns * gradient, to_scale * gradient, None, None


def _product(rows: Tensor, columns: Tensor, buffer: Tensor) -> Tensor:
    """``rows @ columns.T`` written into ``buffer``."""
    shape = (len(rows), len(columns))
    return torch.mm(rows, columns.T, out=buffer[: shape[0] * shape[1]].view(shape))


def _log_sums(part: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithms of the sums of exponentials of each row and each column; ``part`` is overwritten.

    One exponential an element serves both, shifted by the largest of all. Where a row or column is so far below it that
    its sum could have lost terms, the sums are taken again with a shift of their own.
    """
    top = part.amax()
    if top - part.amin() > SAFE_EXPONENT:
        return part.logsumexp(dim=1), part.logsumexp(dim=0)
    part.sub_(top).exp_()
    return part.sum(dim=1).log_().add_(top), part.sum(dim=0).log_().add_(top)


def _probabilities(part: Tensor, rows: Tensor, columns: Tensor, buffer: Tensor) -> None:
    """Turns logits into exp(logit - row's normaliser) + exp(logit - column's), in place."""
    other = buffer[: part.numel()].view(part.shape)
    top = torch.maximum(rows.amax(), columns.amax())
    if top - torch.minimum(rows.amin(), columns.amin()) > SAFE_EXPONENT:
        torch.sub(part, columns[None], out=other).exp_()
        part.sub_(rows[:, None]).exp_().add_(other)
        return
    middle = (top + torch.minimum(rows.amin(), columns.amin())) / 2
    part.sub_(middle).exp_()
    torch.add((middle - rows).exp_()[:, None], (middle - columns).exp_()[None], out=other)
    part.mul_(other)
