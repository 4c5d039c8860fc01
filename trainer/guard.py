"""Whether a step may move the weights: decided on the device, and read by the processor one step later, so that neither
waits for the other.

In: the loss and the norm of the gradient of each step. Out: a number on the device that the optimizer heeds, and then
:class:`Seen`. A step whose loss or gradient is not finite never moves the weights; with a ``factor``, neither does one
beyond so many times the running median. The medians are those of the last steps up to two before, whoever reads them
and whenever, so that a resumed run decides as an unbroken one does.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor

__all__ = ["IN_A_ROW", "Guard", "Seen"]

WINDOW = 64  # steps of the running median
LEAST = 16  # steps before there is one
IN_A_ROW = 16  # steps without a finite loss after which going on makes no sense


@dataclass(frozen=True)
class Seen:
    """What a step was like; ``step`` counts from 1."""

    step: int
    loss: float
    norm: float
    applied: bool

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are numbers."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


class _Waiting:
    """The values of a step on their way from the device."""

    def __init__(self, step: int, values: Tensor) -> None:
        self.step, self._event = step, None
        if values.is_cuda:
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()
        else:
            self._values = values

    def read(self) -> Seen:
        if self._event is not None:
            self._event.synchronize()
        loss, norm, refused = self._values.tolist()
        return Seen(self.step, loss, norm, not refused)


class Guard:
    """Refuses steps; ``factor`` is that of --skip-spikes (0: none), ``past`` what :meth:`state` gave."""

    def __init__(self, factor: float, past: Mapping[str, Any]) -> None:
        self.factor = factor
        self.skipped = int(past.get("skipped", 0))  # steps that did not move the weights
        self.good = 0  # the last step that was finite, of those that this process has seen
        self.broken = int(past.get("broken", 0))  # the last so many steps were not finite
        self._recent = deque([(loss, norm) for loss, norm in past.get("recent", ())], WINDOW)
        self._waiting: deque[_Waiting] = deque()
        for each in past.get("waiting", ()):
            values = [each["loss"], each["norm"], not each["applied"]]
            self._waiting.append(_Waiting(each["step"], torch.tensor(values, dtype=torch.float64)))

    def refuse(self, step: int, loss: Tensor, norm: Tensor) -> Tensor:
        """1 when the step must not move the weights, else 0: a float on the device."""
        most_loss, most_norm = self._limits()
        values = torch.stack([loss.double(), norm.double()])
        good = torch.isfinite(values).all() & (values[0] <= most_loss) & (values[1] <= most_norm)
        refused = (~good).double()
        self._waiting.append(_Waiting(step, torch.cat([values, refused[None]])))
        return refused.float()

    def look(self) -> Seen | None:
        """The step before the newest, once."""
        if len(self._waiting) < 2:
            return None
        seen = self._waiting.popleft().read()
        self.skipped += not seen.applied
        self.broken = 0 if seen.finite else self.broken + 1
        if seen.finite:
            self.good = seen.step
            # One that was passed over too: where all of them grow, the median follows.
            self._recent.append((seen.loss, seen.norm))
        return seen

    def newest(self) -> Seen | None:
        """The newest step, for which the processor waits."""
        return self._waiting[-1].read() if self._waiting else None

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {
            "skipped": self.skipped,
            "broken": self.broken,
            "recent": [list(pair) for pair in self._recent],
            "waiting": [asdict(each.read()) for each in self._waiting],
        }

    def _limits(self) -> tuple[float, float]:
        """The largest loss and norm of a step that is applied."""
        if not self.factor or len(self._recent) < LEAST:
            return math.inf, math.inf
        losses, norms = zip(*self._recent, strict=True)
        return self.factor * median(losses), self.factor * median(norms)
