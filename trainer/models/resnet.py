"""The ResNet image tower: a three-convolution stem, anti-aliased strides, and attention pooling at the end.

In: normalised images (batch, 3, side, side). Out: features (batch, embed). Every stride is an average pool before a
convolution of stride 1, in the shortcut too; the last layer is one attention query, the mean cell, over all cells.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from trainer.models.spec import ModelSpec
from trainer.models.vit import resize_positions

__all__ = ["ResNet"]


class Bottleneck(nn.Module):
    """1×1, 3×3, pool, 1×1 with four times the channels at the end, and a pooled shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or inputs != 4 * width:
            # Named as in the published weights: "-1" the pool, "0" the convolution, "1" the norm.
            self.downsample = nn.Sequential()
            self.downsample.add_module("-1", nn.AvgPool2d(stride) if stride > 1 else nn.Identity())
            self.downsample.add_module("0", nn.Conv2d(inputs, 4 * width, 1, bias=False))
            self.downsample.add_module("1", nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, 4 · width, h / stride, w / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(self.pool(out)))
        return F.relu_(out.add_(shortcut))


class AttentionPool(nn.Module):
    """One attention query, the mean cell, over all cells and the mean itself."""

    def __init__(self, grid: int, width: int, heads: int, output: int) -> None:
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.empty(grid * grid + 1, width))
        self.k_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, output)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, h, w) -> (batch, output)."""
        grid = x.shape[-1]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1)
        x = x + resize_positions(self.positional_embedding, grid).to(x.dtype)
        batch, tokens, width = x.shape
        q = self.q_proj(x[:, :1]).view(batch, 1, self.heads, -1).transpose(1, 2)
        k = self.k_proj(x).view(batch, tokens, self.heads, -1).transpose(1, 2)
        v = self.v_proj(x).view(batch, tokens, self.heads, -1).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.c_proj(mixed.transpose(1, 2).reshape(batch, width))
        return out


class ResNet(nn.Module):
    """The image tower of the RN models; parameter names as published."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        assert not isinstance(spec.vision_layers, int)
        width = spec.vision_width
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.inputs = width
        self.layer1 = self._stage(width, spec.vision_layers[0], 1)
        self.layer2 = self._stage(2 * width, spec.vision_layers[1], 2)
        self.layer3 = self._stage(4 * width, spec.vision_layers[2], 2)
        self.layer4 = self._stage(8 * width, spec.vision_layers[3], 2)
        self.attnpool = AttentionPool(spec.grid, 32 * width, spec.vision_heads, spec.embed_dim)
        self.save_memory = False
        self.to(memory_format=torch.channels_last)

    def _stage(self, width: int, blocks: int, stride: int) -> nn.Sequential:
        stage = [Bottleneck(self.inputs, width, stride)]
        self.inputs = 4 * width
        stage += [Bottleneck(self.inputs, width, 1) for _ in range(blocks - 1)]
        return nn.Sequential(*stage)

    def initialise(self) -> None:
        """The published initial values: convolutions as torch does, the last norm of each block zero, the pool by
        width."""
        pool = self.attnpool
        std = pool.c_proj.in_features**-0.5
        for layer in (pool.q_proj, pool.k_proj, pool.v_proj, pool.c_proj):
            nn.init.normal_(layer.weight, std=std)
        nn.init.normal_(pool.positional_embedding, std=std)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                assert isinstance(block, Bottleneck)
                nn.init.zeros_(block.bn3.weight)

    def trunk(self, images: Tensor) -> Tensor:
        """The last stage's cells: (batch, 32 · width, side / 32, side / 32)."""
        x = images.contiguous(memory_format=torch.channels_last)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        x = F.avg_pool2d(F.relu(self.bn3(self.conv3(x)), inplace=True), 2)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                again = self.save_memory and torch.is_grad_enabled()
                x = checkpoint(block, x, use_reentrant=False) if again else block(x)
        return x

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 3, side, side) -> (batch, embed)."""
        out: Tensor = self.attnpool(self.trunk(images))
        return out

    def with_cells(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`forward` gives, and the cells of :meth:`trunk`: (batch, embed), (batch, cells, 32 · width)."""
        x = self.trunk(images)
        return self.attnpool(x), x.flatten(2).transpose(1, 2)
