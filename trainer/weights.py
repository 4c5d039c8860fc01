"""Weights by name, whatever holds them: a run's folder, a checkpoint of ours, or a file in a published layout.

In: a path or URL. Out: a model with its tokenizer. The layouts are told apart by the names of their tensors.
"""

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer import checkpoint, tensors
from trainer.convert.layouts import from_any
from trainer.data.known import from_record
from trainer.models.clip import Clip
from trainer.models.spec import ModelSpec, find_spec
from trainer.tokenizer import Tokenizer
from webimagetext.errors import UserError
from webimagetext.files import open_input
from webimagetext.settings import from_dict, to_dict

__all__ = ["Trained", "load_states", "load_trained", "put_states", "read_spec", "spec_values"]


@dataclass(frozen=True)
class Trained:
    """A model to use: in evaluation mode, with its tokenizer, and where it came from."""

    model: Clip
    tokenizer: Tokenizer
    origin: str
    step: int
    crop: str  # how pictures are cut for it: "center" or "squash"
    trained_on: tuple[str, ...] = ()  # addresses of its shards, where the checkpoint names them


def _found(path: str) -> tuple[str, checkpoint.Checkpoint | None]:
    """The file meant by itself or by a run's folder; with the content where it was read for that."""
    if path.endswith((".pt", ".safetensors", ".bin", ".pth")):
        return path, None
    found = checkpoint.newest_whole(path, lambda text: print(text, file=sys.stderr))
    if found is None:
        raise UserError(
            f"{path}: there is no checkpoint here", "give the folder of a run (--output of trainer.run) or a file"
        )
    return found


def load_states(path: str) -> dict[str, Tensor]:
    """The tensors of a file under our names. Raises UserError when it is no known layout."""
    if path.endswith(".safetensors"):
        return from_any(_read_safetensors(path), path)
    content: Any = tensors.load(path, "weights", "get the file again")
    if isinstance(content, dict) and content.get("format") == checkpoint.FORMAT:
        return dict(content["average"] or content["model"])
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    return from_any(content, path)


def _read_safetensors(path: str) -> dict[str, Tensor]:
    """The tensors of a file, held against the checksum that files of ours state."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    with open_input(path) as stream:
        content = stream.read()
    try:
        states = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        stated = header.get("__metadata__", {}).get(tensors.DIGEST)
        if stated not in (None, tensors.digest(states)):
            raise ValueError("its checksum is another one")
    except (SafetensorError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as weights: {error}", "get the file again") from None
    return dict(states)


def put_states(model: Clip, states: dict[str, Tensor], path: str) -> None:
    """Puts tensors into a model of equal sizes; a ViT's position table is interpolated to another resolution."""
    from trainer.models.vit import VisionTransformer, resize_positions

    own = model.state_dict()
    name = "visual.positional_embedding"
    if isinstance(model.visual, VisionTransformer) and name in states and states[name].shape != own[name].shape:
        states = states | {name: resize_positions(states[name], model.spec.grid)}
    wrong = [key for key in own if key in states and states[key].shape != own[key].shape]
    lacking = [key for key in own if key not in states and not key.endswith(("num_batches_tracked", "logit_bias"))]
    if wrong or lacking:
        first = (wrong + lacking)[0]
        found = tuple(states[first].shape) if first in states else "nothing"
        raise UserError(
            f"{path}: does not fit the model: {first} is {found}, wanted {tuple(own[first].shape)}",
            f"{len(wrong)} tensors have another shape, {len(lacking)} are absent; choose the model they were made with",
        )
    broken = [key for key in own if key in states and not torch.isfinite(states[key]).all()]
    if broken:
        raise UserError(f"{path}: {broken[0]} holds numbers that are not finite", "use other weights, or older ones")
    model.load_state_dict(states, strict=False)


def load_trained(path: str, *, model: str = "", tokenizer: str = "") -> Trained:
    """A model and its tokenizer. Foreign weights need the ``model``'s name and a ``tokenizer`` file; ours bring
    both."""
    address, content = _found(path)
    step, crop = 0, "center"
    shards: tuple[str, ...] = ()
    if address.endswith(".pt") and not model:
        content = content or checkpoint.read(address)
        spec, states, step = read_spec(content.spec), dict(content.average or content.model), content.step
        words = Tokenizer.from_json(content.tokenizer, address)
        shards = tuple(shard.url for group in from_record(content.inputs.get("shards", ())) for shard in group)
        crop = "squash" if content.config.get("crop") == "squash" else "center"
    else:
        if not (model and tokenizer):
            raise UserError(f"{address}: these weights name no model and no tokenizer", "give --model and --tokenizer")
        spec, states = find_spec(model), load_states(address)
        words = Tokenizer.load(tokenizer, spec.context_length)
    network = Clip(spec, bias="logit_bias" in states)
    put_states(network, states, address)
    return Trained(network.eval(), words, os.fspath(address), step, crop, shards)


def read_spec(values: Any) -> ModelSpec:
    """A model's sizes as a checkpoint states them."""
    return from_dict(ModelSpec, dict(values), where="checkpoint")


def spec_values(spec: ModelSpec) -> dict[str, Any]:
    """A model's sizes as plain values."""
    return to_dict(spec)
