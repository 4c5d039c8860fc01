"""The vision transformer: patches, a class token, learned positions, a transformer, a projection.

In: normalised images (batch, 3, side, side). Out: features (batch, embed). Images of another size than the model's are
taken with the positions interpolated; patch dropout leaves out a random share of the patches while training.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.models.layers import Transformer
from trainer.models.spec import ModelSpec

__all__ = ["VisionTransformer", "resize_positions"]


def resize_positions(table: Tensor, grid: int) -> Tensor:
    """A position table (1 + g², width) for a ``grid`` of another side: bicubic over the grid, the class position
    kept."""
    first, rest = table[:1], table[1:]
    side = round(rest.shape[0] ** 0.5)
    if side == grid:
        return table
    picture = rest.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(picture.float(), size=(grid, grid), mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([first, resized.permute(0, 2, 3, 1).reshape(grid * grid, -1).to(table.dtype)])


class VisionTransformer(nn.Module):
    """The image tower of the ViT models; parameter names as published."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        assert isinstance(spec.vision_layers, int)
        width = spec.vision_width
        self.conv1 = nn.Conv2d(3, width, spec.patch_size, stride=spec.patch_size, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(spec.grid**2 + 1, width))
        self.ln_pre = nn.LayerNorm(width, spec.norm_epsilon)
        self.transformer = Transformer(width, spec.vision_layers, spec.vision_heads, spec.activation, spec.norm_epsilon)
        self.ln_post = nn.LayerNorm(width, spec.norm_epsilon)
        self.proj = nn.Parameter(torch.empty(width, spec.embed_dim))
        self.patch_dropout = 0.0

    def initialise(self) -> None:
        """The published initial values."""
        scale = self.transformer.width**-0.5
        for parameter in (self.class_embedding, self.positional_embedding, self.proj):
            nn.init.normal_(parameter, std=scale)
        self.transformer.initialise()

    def _tokens(self, images: Tensor) -> Tensor:
        """The class token and the patches, as the transformer takes them: (batch, 1 + patches, width)."""
        patches = self.conv1(images)
        grid = patches.shape[-1]
        x = patches.flatten(2).transpose(1, 2)
        positions = resize_positions(self.positional_embedding, grid)
        x = x + positions[1:]
        if self.training and self.patch_dropout > 0:
            kept = max(1, round(x.shape[1] * (1 - self.patch_dropout)))
            chosen = torch.rand(x.shape[:2], device=x.device).topk(kept, dim=1).indices
            x = x.gather(1, chosen[..., None].expand(-1, -1, x.shape[2]))
        first = (self.class_embedding + positions[0]).to(x.dtype).expand(x.shape[0], 1, -1)
        out: Tensor = self.ln_pre(torch.cat([first, x], dim=1))
        return out

    def trunk(self, images: Tensor) -> Tensor:
        """The class token after the last norm, before the projection: (batch, width)."""
        x = self._tokens(images)
        x = self.transformer(x, torch.zeros(x.shape[0], dtype=torch.long, device=x.device), causal=False)
        out: Tensor = self.ln_post(x)
        return out

    def with_cells(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`forward` gives, and what each patch has become: (batch, embed), (batch, patches, width)."""
        x = self.transformer(self._tokens(images), None, causal=False)
        return self.ln_post(x[:, 0]) @ self.proj, self.ln_post(x[:, 1:])

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 3, side, side) -> (batch, embed)."""
        return self.trunk(images) @ self.proj
