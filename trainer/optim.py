"""How the parameters move: AdamW with groups, the schedule, and an average of the weights.

In: a model and an :class:`OptimConfig`. Out: an optimizer whose learning rates :func:`set_rates` sets before each step.
"""

import contextlib
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from trainer.config import OptimConfig
from trainer.models.clip import LOGIT_SCALE_LIMIT, Clip
from trainer.models.model import Model

__all__ = ["Average", "clamp_scale", "make_optimizer", "scale_of", "set_rates", "share_of_peak"]

_BLOCK = re.compile(r"(visual|text)\.(?:transformer\.)?(?:resblocks\.(\d+)|layer(\d)\.\d+)")
_TEXT_BLOCK = re.compile(r"text\.transformer\.resblocks\.\d+$")


def _depth(name: str, spec_layers: tuple[int, int]) -> int:
    """Blocks between a parameter and the output of its tower: 0 for the head, the most for the input."""
    if not name.startswith(("visual.", "text.")):
        return 0
    layers = spec_layers[0 if name.startswith("visual.") else 1]
    found = _BLOCK.match(name)
    if found:
        return layers - (int(found[2]) if found[2] else int(found[3]) - 1)
    ends = ("ln_post", "proj", "ln_final", "text_projection", "attnpool")
    return 0 if any(part in name.split(".")[-2:] for part in ends) else layers + 1


def make_optimizer(model: Model, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW over the parameters that require gradients.

    Weight decay falls on matrices and convolutions alone: not on gains, biases, or the temperature. ``layer_decay``
    multiplies the learning rate once for each block between a parameter and the output.
    """
    spec, blocks = model.spec, [_TEXT_BLOCK.match(name) for name, _ in model.named_modules()]
    layers = (spec.vision_layers if isinstance(spec.vision_layers, int) else 4, sum(map(bool, blocks)))
    groups: dict[tuple[bool, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = config.layer_decay ** _depth(name, layers)
            groups[parameter.ndim > 1, factor].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": group, "weight_decay": config.weight_decay if decayed else 0.0, "factor": factor}
            for (decayed, factor), group in sorted(groups.items(), key=lambda item: item[0])
        ],
        lr=0.0,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,
    )


def share_of_peak(step: int, warmup: int, progress: float, warm_share: float) -> float:
    """The learning rate as a share of its peak: linear over ``warmup`` steps, then a cosine to zero.

    ``progress`` is the share of the run behind us, of which ``warm_share`` is warm-up.
    """
    if step < warmup:
        return (step + 1) / warmup
    rest = min(1.0, max(0.0, (progress - warm_share) / max(1e-9, 1 - warm_share)))
    return 0.5 * (1 + math.cos(math.pi * rest))


def set_rates(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def clamp_scale(model: Model) -> None:
    """Keeps the logit scale at 100 or less, as published, where there is one."""
    if isinstance(model, Clip):
        with torch.no_grad():
            model.logit_scale.clamp_(max=LOGIT_SCALE_LIMIT)


def scale_of(model: Model) -> float | None:
    """What multiplies the similarities; None where nothing is compared."""
    return float(model.logit_scale.detach().exp()) if isinstance(model, Clip) else None


class Average:
    """An exponential moving average of the weights (and a copy of the buffers), in float32."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values: dict[str, Tensor] = {
            name: value.detach().clone().float() if value.is_floating_point() else value.detach().clone()
            for name, value in model.state_dict().items()
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Moves the average a step towards the model."""
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value.float(), 1 - self.decay)
            else:
                self.values[name].copy_(value)

    @contextlib.contextmanager
    def put_into(self, model: nn.Module) -> Iterator[None]:
        """The model with the average for its weights, for as long as this is open."""
        own = {name: value.detach().clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.values)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Takes up a stored average."""
        for name, value in values.items():
            self.values[name].copy_(value)
