"""``python -m trainer.export``: a trained model in the layouts that other programs read.

In: a run's folder or a checkpoint. Out, by ``--format``: ``safetensors`` (our names), ``open_clip`` (OpenAI's and open_clip's state
dict), ``huggingface`` (a folder for ``CLIPModel.from_pretrained`` with tokenizer and preprocessing), or ``onnx`` (two graphs).
"""

import json
import sys
from dataclasses import dataclass
from typing import Literal

from trainer.threads import wait_asleep
from webimagetext.command import run_command
from webimagetext.errors import UserError
from webimagetext.files import join, write_atomic
from webimagetext.flags import parse_flags

__all__ = ["ExportConfig", "main"]

PROG = "python -m trainer.export"


@dataclass(frozen=True)
class ExportConfig:
    """Writes a trained model in a layout that other programs read."""

    checkpoint: str = ""
    """The folder of a run (its newest checkpoint), a checkpoint, or weights in a published layout."""
    output: str = ""
    """The file to write; for huggingface and onnx a folder."""
    format: Literal["safetensors", "open_clip", "huggingface", "onnx"] = "safetensors"
    """safetensors: one file with our names; open_clip: a state dict as OpenAI and open_clip name it, with the model's
    sizes beside it; huggingface: a folder for CLIPModel.from_pretrained; onnx: image.onnx and text.onnx."""
    model: str = ""
    """For weights in a published layout: the model's name."""
    tokenizer: str = ""
    """For weights in a published layout: the tokenizer's file."""


def main(args: list[str], prog: str = PROG) -> int:
    """Reads the model and writes it in the wanted layout."""
    config = parse_flags(ExportConfig, args, prog=prog)
    if not config.checkpoint or not config.output:
        raise UserError(
            f"{prog}: --checkpoint and --output are needed", "e.g. --checkpoint DIR --output model.safetensors"
        )
    wait_asleep()
    import torch

    from trainer.convert import layouts, sizes
    from trainer.weights import load_trained

    trained = load_trained(config.checkpoint, model=config.model, tokenizer=config.tokenizer)
    model, spec, words = trained.model, trained.model.spec, trained.tokenizer
    states = {name: value.contiguous() for name, value in model.state_dict().items()}
    written = [config.output]
    if config.format == "safetensors":
        from safetensors.torch import save

        with write_atomic(config.output) as stream:
            stream.write(save(states, {"origin": trained.origin, "spec": json.dumps(sizes.plain(spec))}))
    elif config.format == "open_clip":
        with write_atomic(config.output) as stream:
            torch.save(layouts.to_open_clip(states), stream)
        description = config.output.rpartition(".")[0] + ".json"
        with write_atomic(description, "w") as stream:
            json.dump(sizes.for_open_clip(spec, bias=model.logit_bias is not None), stream, indent=1)
        written.append(description)
    elif config.format == "huggingface":
        from safetensors.torch import save

        renamed = layouts.to_hugging_face(states)
        documents = sizes.for_hugging_face(spec, words)
        with write_atomic(join(config.output, "model.safetensors")) as stream:
            stream.write(save(renamed, {"format": "pt"}))
        for name, text in documents.items():
            with write_atomic(join(config.output, name), "w") as stream:
                stream.write(text)
    else:
        from trainer.convert.onnx import write_onnx

        written = write_onnx(model, config.output)
    if config.format in ("safetensors", "open_clip", "onnx"):
        folder = config.output if config.format == "onnx" else config.output.rpartition("/")[0] or "."
        with write_atomic(join(folder, "tokenizer.json"), "w") as stream:
            stream.write(words.to_json())
        written.append(join(folder, "tokenizer.json"))
    print(f"step {trained.step:,} of {trained.origin} written to {', '.join(written)}")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(lambda: main(sys.argv[1:])))
