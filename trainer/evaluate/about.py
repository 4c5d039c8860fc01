"""What every evaluation says of its model: which one it is, how large, and what its training took so far."""

from typing import Any

from trainer.models.clip import parameter_count
from trainer.models.count import training_operations
from trainer.weights import Trained

__all__ = ["about"]


def about(trained: Trained) -> dict[str, Any]:
    """The checkpoint, its step, and where it is one of ours the pairs it was trained on and the operations of that."""
    found: dict[str, Any] = {
        "checkpoint": trained.origin,
        "step": trained.step,
        "parameters": parameter_count(trained.model),
    }
    if trained.samples:
        compute = training_operations(trained.model.spec, trained.samples)
        found |= {"samples": trained.samples, "compute": compute}
    return found
