"""Writes a trained model: one function a layout, from the weights in memory to the files that another program reads.

In: a :class:`Trained` and a file or folder, by path or URL. Out: the addresses of what was written.
"""

import gzip
import json
from collections.abc import Callable

from safetensors.torch import save
from torch import Tensor

from trainer import tensors
from trainer.convert import layouts, sizes
from trainer.convert.described import MERGES
from trainer.convert.onnx import write_onnx
from trainer.models.clip import Clip
from trainer.weights import Trained, spec_values
from webimagetext.errors import UserError
from webimagetext.files import join, write_atomic

__all__ = ["WRITERS"]

ALIKE = ("contrastive", "sigmoid")  # objectives whose models have the tensors of published ones


def _states(trained: Trained) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in trained.model.state_dict().items()}


def _two_towers(trained: Trained, layout: str) -> Clip:
    """The model as others know it. Raises UserError for one that they have no place for."""
    if isinstance(trained.model, Clip) and trained.model.objective in ALIKE:
        return trained.model
    raise UserError(
        f"--format {layout}: has no place for a model of --objective {trained.model.objective}",
        "write it with --format safetensors, which the programs here read",
    )


def _text(url: str, text: str) -> str:
    with write_atomic(url, "w") as stream:
        stream.write(text)
    return url


def _words(trained: Trained, folder: str) -> str:
    """Our tokenizer, beside weights of a layout that has none of its own."""
    return _text(join(folder, "tokenizer.json"), trained.tokenizer.to_json())


def _folder_of(url: str) -> str:
    return url.rpartition("/")[0] or "."


def safetensors(trained: Trained, output: str) -> list[str]:
    """One file with our names; its metadata state the sizes."""
    states = _states(trained)
    about = {"origin": trained.origin, "spec": json.dumps(spec_values(trained.model.spec)), "crop": trained.crop}
    if trained.model.objective not in ALIKE:
        about["objective"] = trained.model.objective
    with write_atomic(output) as stream:
        stream.write(save(states, {**about, tensors.DIGEST: tensors.digest(states)}))
    return [output, _words(trained, _folder_of(output))]


def open_clip(trained: Trained, output: str) -> list[str]:
    """A state dict as OpenAI and open_clip name it; beside it the sizes for open_clip, in a JSON file, and the merges
    for its SimpleTokenizer."""
    model = _two_towers(trained, "open_clip")
    tensors.save(layouts.to_open_clip(_states(trained)), output)
    values = sizes.for_open_clip(model.spec, bias=model.logit_bias is not None)
    description = _text(output.rpartition(".")[0] + ".json", json.dumps(values, indent=1))
    merges = output.rpartition(".")[0] + MERGES
    with write_atomic(merges) as stream:
        stream.write(gzip.compress(trained.tokenizer.to_merges().encode(), mtime=0))
    return [output, description, merges, _words(trained, _folder_of(output))]


def hugging_face(trained: Trained, output: str) -> list[str]:
    """A folder for ``CLIPModel.from_pretrained``, with tokenizer and preprocessing. Raises UserError for a ResNet."""
    _two_towers(trained, "huggingface")
    renamed = layouts.to_hugging_face(_states(trained))
    with write_atomic(join(output, "model.safetensors")) as stream:
        stream.write(save(renamed, {"format": "pt", tensors.DIGEST: tensors.digest(renamed)}))
    for name, text in sizes.for_hugging_face(trained.model.spec, trained.tokenizer, trained.crop).items():
        _text(join(output, name), text)
    return [output]


def onnx(trained: Trained, output: str) -> list[str]:
    """A folder with a graph for each tower."""
    return [*write_onnx(_two_towers(trained, "onnx"), output), _words(trained, output)]


# By the value of --format.
WRITERS: dict[str, Callable[[Trained, str], list[str]]] = {
    "safetensors": safetensors,
    "open_clip": open_clip,
    "huggingface": hugging_face,
    "onnx": onnx,
}
