"""Logistic regression on a model's features: the classifier of linear probes.

In: features (rows, width) and the number of each row's class. Out: a weight and a bias for each class, such that the
sum of the losses times C and half the sum of squared weights is least, which is what scikit-learn's LogisticRegression
finds. By L-BFGS in double precision.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Classifier", "best_strength", "fit"]

TOLERANCE = 1e-7  # of the largest gradient, where the steps end
DECADES = (-6, -4, -2, 0, 2, 4, 6)  # the powers of ten that a sweep begins with
FINEST = 1 / 8  # of a decade


@dataclass(frozen=True)
class Classifier:
    """Weights (classes, width) and biases (classes)."""

    weight: Tensor
    bias: Tensor

    def scores(self, features: Tensor) -> Tensor:
        """The classes' scores for rows of features: (rows, classes)."""
        return features.double() @ self.weight.T + self.bias


def fit(
    features: Tensor,
    truth: Tensor,
    classes: int,
    strength: float,
    *,
    iterations: int = 1000,
    start: Classifier | None = None,
) -> Classifier:
    """The best classifier for a ``strength`` C; ``start`` is one to begin with, for another C say."""
    x = features.double()
    weight = torch.zeros(classes, x.shape[1], dtype=torch.float64) if start is None else start.weight.clone()
    bias = torch.zeros(classes, dtype=torch.float64) if start is None else start.bias.clone()
    weight.requires_grad_()
    bias.requires_grad_()
    share = 1 / (2 * strength * len(x))  # both parts divided by C and the rows: numbers of about 1
    optimiser = torch.optim.LBFGS(
        [weight, bias], max_iter=iterations, tolerance_grad=TOLERANCE, tolerance_change=1e-12, history_size=20,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(x @ weight.T + bias, truth) + share * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return Classifier(weight.detach(), bias.detach())


def best_strength(
    features: Tensor, truth: Tensor, validation: Tensor, right: Tensor, classes: int, *, iterations: int = 1000
) -> tuple[float, list[tuple[float, float]]]:
    """The C whose classifier is right most often on ``validation`` rows (``right`` are their classes), the smallest of
    equals, and all that were tried with their accuracy. Powers of a hundred first, then half the distance on both sides
    of the best, down to an eighth of a decade."""
    tried: dict[float, float] = {}
    known: Classifier | None = None

    def judge(power: float) -> None:
        nonlocal known
        if power in tried:
            return
        known = fit(features, truth, classes, 10.0**power, iterations=iterations, start=known)
        tried[power] = float((known.scores(validation).argmax(dim=1) == right).double().mean())

    def best() -> float:
        return min(tried, key=lambda power: (-tried[power], power))

    for power in DECADES:
        judge(float(power))
    step = float(DECADES[1] - DECADES[0])
    while step > FINEST:
        step /= 2
        middle = best()
        judge(middle - step)
        judge(middle + step)
    chosen = best()
    return 10.0**chosen, [(10.0**power, tried[power]) for power in sorted(tried)]
