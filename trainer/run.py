"""``python -m trainer.run``: trains CLIP on image-text shards.

In: flags and a TOML file (see trainer/config.py). Out: a folder with checkpoints, tokenizer, log and summary. Only the
settings are imported until the flags are parsed, so that ``--help`` answers at once.
"""

import sys
import time
from typing import Any

from trainer.config import IMPLIED, PRESETS, RunConfig
from trainer.endings import in_words
from trainer.threads import wait_asleep
from webimagetext.command import leave, run_command
from webimagetext.errors import UserError
from webimagetext.flags import need, parse_flags
from webimagetext.settings import from_dict, suggestion

__all__ = ["main", "resolve"]

PROG = "python -m trainer.run"


def _flag(args: list[str], name: str) -> str:
    """The value of a flag that must be known before the others are parsed; empty when it is not given."""
    for index, word in enumerate(args):
        if word == name and index + 1 < len(args):
            return args[index + 1]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""


def resolve(args: list[str], prog: str = PROG) -> RunConfig:
    """The settings of a command line: defaults, under the preset, under what the objective implies, under the TOML
    file, under the flags."""
    path = _flag(args, "--config")
    stated = _read_toml(path) if path else {}
    preset = _flag(args, "--preset") or str(stated.get("preset", "auto"))
    model = _flag(args, "--model") or str(stated.get("model", ""))
    if preset == "auto":
        preset = "tiny" if model.endswith("-tiny") else "clip-resnet" if model.startswith("RN") else "clip-vit"
    if preset not in PRESETS:
        hint = suggestion(preset, ["auto", *PRESETS]) or f"known: auto, {', '.join(PRESETS)}"
        raise UserError(f"--preset: there is no preset '{preset}'", hint)
    implied = IMPLIED.get(_flag(args, "--objective") or str(stated.get("objective", "")), {})
    values = PRESETS[preset] | {"preset": preset} | implied | stated
    base = from_dict(RunConfig, values, where=path or f"preset {preset}")
    return parse_flags(RunConfig, args, prog=prog, default=base)


def _read_toml(path: str) -> dict[str, Any]:
    """The keys that a file states, after the same checks as :func:`webimagetext.settings.from_toml` makes."""
    from webimagetext.settings import read_toml

    stated = read_toml(path)
    from_dict(RunConfig, stated, where=path)
    return {key.replace("-", "_"): value for key, value in stated.items()}


def main(args: list[str], prog: str = PROG) -> int:
    """Trains; returns the exit status."""
    started = time.monotonic()
    config = resolve(args, prog)
    need(config, "train_data", "output", prog=prog, example="--train-data 'run/shards/*.tar' --output DIR")
    memory = (
        f"pass each batch in more parts, --accumulate {2 * config.accumulate}, or give a smaller --batch-size than "
    )
    memory += f"{config.batch_size}" + ("" if config.gradient_checkpointing else ", or --gradient-checkpointing")
    return in_words(lambda: _train(config, started), memory)


def _train(config: RunConfig, started: float) -> int:
    wait_asleep()
    from trainer.train import train

    return train(config, started)


if __name__ == "__main__":
    leave(run_command(lambda: main(sys.argv[1:])))
