"""The transformer that both towers share: pre-norm blocks of attention and an MLP.

Parameter names are those of the published weights (``resblocks.0.attn.in_proj_weight`` …), so that loading them is no
translation. The last block may compute its output for one token of each sequence only: that token is all a tower reads,
and the result is the same number for number.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from trainer.models.spec import Activation

__all__ = ["Attention", "Transformer", "quick_gelu"]


def quick_gelu(x: Tensor) -> Tensor:
    """``x · sigmoid(1.702 x)``, the published activation, written with the fused SiLU: silu(1.702 x) / 1.702."""
    return F.silu(x * 1.702) * (1 / 1.702)


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {"quick_gelu": quick_gelu, "gelu": F.gelu}


class Attention(nn.Module):
    """Multi-head self-attention over (batch, tokens, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        """Every token attends to all tokens, or (``causal``) to itself and those before it."""
        batch, tokens, width = x.shape
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return out

    def at_one_token(self, x: Tensor, query: Tensor, mask: Tensor | None) -> Tensor:
        """The output for ``query`` (batch, 1, width) alone; ``mask`` (batch, tokens) is true where it may look."""
        batch, tokens, width = x.shape
        weight_q, weight_kv = self.in_proj_weight[:width], self.in_proj_weight[width:]
        bias_q, bias_kv = self.in_proj_bias[:width], self.in_proj_bias[width:]
        k, v = F.linear(x, weight_kv, bias_kv).view(batch, tokens, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        q = F.linear(query, weight_q, bias_q).view(batch, 1, self.heads, -1).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else mask[:, None, None])
        out: Tensor = self.out_proj(mixed.transpose(1, 2).reshape(batch, 1, width))
        return out


class Block(nn.Module):
    """One residual block: attention, then the MLP, each on the layer-normed input."""

    def __init__(self, width: int, heads: int, activation: Activation, epsilon: float) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.attn = Attention(width, heads)
        self.ln_1 = nn.LayerNorm(width, epsilon)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})
        self.ln_2 = nn.LayerNorm(width, epsilon)

    def forward(self, x: Tensor, causal: bool, position: Tensor | None = None) -> Tensor:
        """(batch, tokens, width) -> the same; with ``position`` (batch,) -> (batch, width), the token there alone."""
        if position is None:
            x = x + self.attn(self.ln_1(x), causal)
            return x + self._mlp(x)
        normed = self.ln_1(x)
        rows = torch.arange(x.shape[0], device=x.device)
        mask = torch.arange(x.shape[1], device=x.device) <= position[:, None] if causal else None
        one = x[rows, position] + self.attn.at_one_token(normed, normed[rows, position][:, None], mask)[:, 0]
        return one + self._mlp(one)

    def _mlp(self, x: Tensor) -> Tensor:
        out: Tensor = self.mlp["c_proj"](self.activation(self.mlp["c_fc"](self.ln_2(x))))
        return out


class Transformer(nn.Module):
    """A stack of blocks; ``save_memory`` recomputes each block's inside in the backward pass (gradient
    checkpointing)."""

    def __init__(
        self, width: int, layers: int, heads: int, activation: Activation = "quick_gelu", epsilon: float = 1e-5
    ) -> None:
        super().__init__()
        self.width = width
        self.resblocks = nn.ModuleList([Block(width, heads, activation, epsilon) for _ in range(layers)])
        self.save_memory = False

    def forward(self, x: Tensor, position: Tensor | None, causal: bool) -> Tensor:
        """(batch, tokens, width) -> the token at ``position`` (batch,) after the last block: (batch, width).

        Without a ``position`` every token comes back.
        """
        last = len(self.resblocks) - 1
        for index, block in enumerate(self.resblocks):
            where = position if index == last else None
            if self.save_memory and torch.is_grad_enabled():
                x = checkpoint(block, x, causal, where, use_reentrant=False)
            else:
                x = block(x, causal, where)
        return x

    def initialise(self) -> None:
        """The published initial values: normal, scaled by width and depth; biases zero."""
        residual = self.width**-0.5 * (2 * len(self.resblocks)) ** -0.5
        for block in self.resblocks:
            assert isinstance(block, Block)
            nn.init.normal_(block.attn.in_proj_weight, std=self.width**-0.5)
            nn.init.normal_(block.attn.out_proj.weight, std=residual)
            fc, proj = block.mlp["c_fc"], block.mlp["c_proj"]
            assert isinstance(fc, nn.Linear) and isinstance(proj, nn.Linear)
            nn.init.normal_(fc.weight, std=math.sqrt(1 / (2 * self.width)))
            nn.init.normal_(proj.weight, std=residual)
            for bias in (block.attn.in_proj_bias, block.attn.out_proj.bias, fc.bias, proj.bias):
                nn.init.zeros_(bias)
