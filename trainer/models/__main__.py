"""``python -m trainer.models``: lists the models with their parameters, GFLOPs an image and resolution.

In: nothing, or model names and TOML files. Out: a table, or with ``--json`` one JSON list.
"""

import json
import sys
from dataclasses import dataclass
from typing import Any

from trainer.threads import wait_asleep
from webimagetext.command import leave, run_command
from webimagetext.flags import parse_flags
from webimagetext.ranges import Ranged

__all__ = ["main"]

PROG = "python -m trainer.models"


@dataclass(frozen=True)
class ListConfig(Ranged):
    """Lists the models this trainer knows: parameters, GFLOPs for one image, resolution in pixels."""

    model: tuple[str, ...] = ()
    """Names, or TOML files with the fields of a model; all published ones and the tiny one when left out."""
    json: bool = False
    """Prints one JSON list instead of the table."""


def describe(name: str) -> dict[str, Any]:
    """Counts one model without allocating it: a multiplication and an addition are two operations."""
    import torch

    from trainer.models.clip import Clip, parameter_count
    from trainer.models.count import operations
    from trainer.models.spec import find_spec

    spec = find_spec(name)
    with torch.device("meta"):
        model = Clip(spec)
    image, text = operations(spec)
    return {
        "name": name,
        "parameters": parameter_count(model),
        "gflops_image": round(image / 1e9, 2),
        "gflops_text": round(text / 1e9, 2),
        "resolution": spec.image_size,
        "embed": spec.embed_dim,
        "learning_rate": spec.learning_rate,
    }


def main(args: list[str], prog: str = PROG) -> int:
    """Prints the list; returns the exit status."""
    config = parse_flags(ListConfig, args, prog=prog)
    wait_asleep()
    from trainer.models.spec import SPECS

    rows = [describe(name) for name in (config.model or SPECS)]
    if config.json:
        print(json.dumps(rows, indent=1))
        return 0
    print(f"{'model':<14}{'parameters':>14}{'GFLOPs image':>14}{'text':>7}{'pixels':>8}{'embed':>7}")
    for row in rows:
        print(
            f"{row['name']:<14}{row['parameters']:>14,}{row['gflops_image']:>14}{row['gflops_text']:>7}"
            f"{row['resolution']:>8}{row['embed']:>7}"
        )
    return 0


if __name__ == "__main__":
    leave(run_command(lambda: main(sys.argv[1:])))
