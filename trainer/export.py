"""``python -m trainer.export``: a trained model in the layouts that other programs read.

In: a run's folder or a checkpoint. Out, by ``--format``: ``safetensors`` (our names), ``open_clip`` (OpenAI's and
open_clip's state dict), ``huggingface`` (a folder for ``CLIPModel.from_pretrained`` with tokenizer and preprocessing),
or ``onnx`` (two graphs).
"""

import sys
from dataclasses import dataclass
from typing import Literal

from trainer.config import TrainedConfig
from trainer.endings import in_words
from trainer.threads import wait_asleep
from webimagetext.command import leave, run_command
from webimagetext.flags import need, parse_flags

__all__ = ["main"]

PROG = "python -m trainer.export"


@dataclass(frozen=True)
class ExportConfig(TrainedConfig):
    """Writes a trained model in a layout that other programs read."""

    output: str = ""
    """The file to write; for huggingface and onnx a folder."""
    format: Literal["safetensors", "open_clip", "huggingface", "onnx"] = "safetensors"
    """safetensors: one file with our names; open_clip: a state dict as OpenAI and open_clip name it, with the model's
    sizes beside it; huggingface: a folder for CLIPModel.from_pretrained; onnx: image.onnx and text.onnx."""


def main(args: list[str], prog: str = PROG) -> int:
    """Reads the model and writes it in the wanted layout; returns the exit status."""
    config = parse_flags(ExportConfig, args, prog=prog)
    example = "--checkpoint DIR --output model.safetensors"
    need(config, "checkpoint", "output", prog=prog, example=example)
    return in_words(lambda: _export(config), "the model is read whole: use a machine with more memory")


def _export(config: ExportConfig) -> int:
    wait_asleep()
    from trainer.convert.write import WRITERS
    from trainer.weights import load_chosen

    trained = load_chosen(config)
    written = WRITERS[config.format](trained, config.output)
    print(f"step {trained.step:,} of {trained.origin} written to {', '.join(written)}")
    return 0


if __name__ == "__main__":
    leave(run_command(lambda: main(sys.argv[1:])))
