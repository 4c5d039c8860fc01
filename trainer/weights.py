"""Weights by name, whatever holds them: a run's folder, a checkpoint of ours, or a file in a published layout.

In: a path or URL. Out: a model with its tokenizer. The layouts are told apart by the names of their tensors; what the
tensors do not show (the activation above all) is taken from the files beside them, or asked for.
"""

import json
import os
import sys
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from trainer import checkpoint, tensors
from trainer.config import TrainedConfig
from trainer.convert.described import describe, weights_in
from trainer.convert.layouts import from_any, is_of_openai
from trainer.convert.sizes import from_shapes
from trainer.data.known import from_record
from trainer.models.clip import Clip
from trainer.models.model import Model
from trainer.models.spec import Activation, ModelSpec, find_spec
from trainer.objectives.kinds import KINDS, shaped
from trainer.tokenizer import Tokenizer, refuse_larger
from webimagetext.errors import UserError
from webimagetext.files import open_input
from webimagetext.settings import from_dict, to_dict

__all__ = [
    "Trained",
    "Weights",
    "comparing",
    "load_chosen",
    "load_trained",
    "put_states",
    "read_spec",
    "read_weights",
    "refuse_another_meaning",
    "refuse_another_objective",
    "spec_values",
]

# What gives other vectors from the same tensors.
MEANING = ("activation", "norm_epsilon", "vision_heads", "text_heads", "mean", "std")
SHOWN = 3  # names of tensors in a message


@dataclass(frozen=True)
class Weights:
    """Tensors under our names, and what is known of the model that they are of."""

    states: dict[str, Tensor]
    origin: str
    spec: ModelSpec | None = None  # None: nothing states it
    crop: str = "center"
    tokenizer: str = ""  # address of its file, where one lies beside the weights
    ours: checkpoint.Checkpoint | None = None  # where the file is one of ours
    stated_objective: str = ""

    @property
    def objective(self) -> str:
        """The value of --objective that they were trained by; of others' weights what their tensors tell."""
        return self.stated_objective or ("sigmoid" if "logit_bias" in self.states else "contrastive")


@dataclass(frozen=True)
class Trained:
    """A model to use: in evaluation mode, with its tokenizer, and where it came from."""

    model: Model
    tokenizer: Tokenizer
    origin: str
    step: int
    crop: str  # how pictures are cut for it: "center" or "squash"
    trained_on: tuple[str, ...] = ()  # addresses of its shards, where the checkpoint names them
    samples: int = 0  # pairs it was trained on, where it is a checkpoint of ours


def _found(path: str) -> tuple[str, checkpoint.Checkpoint | None]:
    """The file meant by itself or by a folder; with the content where it was read for that."""
    if path.endswith((".pt", ".safetensors", ".bin", ".pth")):
        return path, None
    if weights := weights_in(path):
        return weights, None
    found = checkpoint.newest_whole(path, lambda text: print(text, file=sys.stderr))
    if found is None:
        raise UserError(
            f"{path}: there is no checkpoint here",
            "give the folder of a run (--output of trainer.run), a folder of Hugging Face's or open_clip's, or a file",
        )
    return found


def read_weights(path: str) -> Weights:
    """The weights of a checkpoint of ours, a run's newest one, or a file or folder of another library, with what their
    files say of the model. Raises UserError for anything else, and for a model that is none of ours."""
    address, content = _found(path)
    if content is None and not address.endswith(".safetensors"):
        by_step = checkpoint.step_of(address) > 0
        what, remedy = ("a checkpoint", "use an older one") if by_step else ("weights", "get the file again")
        read: Any = tensors.load(address, what, remedy)
        if not checkpoint.is_ours(read):
            return _foreign(read, address)
        content = checkpoint.of(read, address)
    if content is not None:
        crop = "squash" if content.config.get("crop") == "squash" else "center"
        spec = read_spec(content.spec)
        states = dict(content.average or content.model)
        return Weights(states, address, spec, crop, "", content, _known(content.config.get("objective"), address))
    states, stated = _read_safetensors(address)
    if "spec" not in stated:
        return _foreign(states, address)
    try:
        spec = read_spec(json.loads(stated["spec"]))
    except ValueError as error:
        raise UserError(f"{address}: states no model: {error}", "get the file again") from None
    beside = describe(address).tokenizer
    objective = _known(stated.get("objective"), address)
    return Weights(dict(states), address, spec, stated.get("crop", "center"), beside, None, objective)


def _known(objective: Any, address: str) -> str:
    """An objective that a file names; empty where it names none. Raises UserError for one that is not known here."""
    if objective and objective not in KINDS:
        raise UserError(
            f"{address}: was trained by --objective {objective}, which is not known here", "use a later version"
        )
    return str(objective or "")


def _foreign(content: Any, address: str) -> Weights:
    """Tensors of another library, with what its files say of them."""
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{address}: holds other things than tensors by name", "give a file of weights")
    states, stated = from_any(content, address), describe(address)
    spec = stated.spec
    if spec is None and is_of_openai(content):
        try:
            spec = from_shapes(states)
        except (LookupError, ValueError) as error:
            raise UserError(f"{address}: is no model of OpenAI's: {error}", "get the file again") from None
    return Weights(states, address, spec, stated.crop, stated.tokenizer)


def _read_safetensors(path: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, held against the checksum that files of ours state, and what else it states."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    with open_input(path) as stream:
        content = stream.read()
    try:
        states = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        stated = header.get("__metadata__") or {}
        if stated.get(tensors.DIGEST) not in (None, tensors.digest(states)):
            raise ValueError("its checksum is another one")
    except (SafetensorError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as weights: {error}", "get the file again") from None
    return dict(states), stated


def put_states(model: Model, states: dict[str, Tensor], path: str) -> None:
    """Puts tensors into a model of equal sizes; a ViT's position table is interpolated to another resolution."""
    from trainer.models.vit import VisionTransformer, resize_positions

    own = model.state_dict()
    name = "visual.positional_embedding"
    if isinstance(model.visual, VisionTransformer) and name in states and states[name].shape != own[name].shape:
        states = states | {name: resize_positions(states[name], model.spec.grid)}
    wrong = [key for key in own if key in states and states[key].shape != own[key].shape]
    lacking = [key for key in own if key not in states and not key.endswith(("num_batches_tracked", "logit_bias"))]
    strange = [key for key in states if key not in own and key != "logit_bias"]
    if wrong or lacking or strange:
        shapes = [f"{key} is {tuple(states[key].shape)}, wanted {tuple(own[key].shape)}" for key in wrong[:SHOWN]]
        told = [
            f"{len(names)} {what}: {', '.join(names[:SHOWN])}{' …' if len(names) > SHOWN else ''}"
            for names, what in ((lacking, "absent"), (strange, "unknown"))
            if names
        ]
        if shapes:
            told.insert(0, f"{len(wrong)} of another shape: {', '.join(shapes)}{' …' if len(wrong) > SHOWN else ''}")
        raise UserError(f"{path}: does not fit the model: {'; '.join(told)}", "choose the model they were made with")
    broken = [key for key in own if key in states and not torch.isfinite(states[key]).all()]
    if broken:
        raise UserError(f"{path}: {broken[0]} holds numbers that are not finite", "use other weights, or older ones")
    model.load_state_dict(states, strict=False)


def load_trained(
    path: str, *, model: str = "", tokenizer: str = "", activation: Activation | Literal[""] = ""
) -> Trained:
    """A model and its tokenizer. What the weights' own files do not say is to be given: the ``model``'s name, the
    ``activation``, and a ``tokenizer`` file. Raises UserError where that contradicts them, or something is lacking."""
    found = read_weights(path)
    stated = found.spec
    if model:
        spec = find_spec(model)
        spec = replace(spec, activation=activation) if activation else spec
        refuse_another_meaning(spec, model, found, stated=bool(activation))
    elif stated is None:
        raise UserError(
            f"{found.origin}: nothing beside these weights says of which model they are",
            "give --model and --activation, or keep the files that lie beside them in their folder",
        )
    elif activation in ("", stated.activation):
        spec = stated
    else:
        raise UserError(f"{found.origin}: is of a model with {stated.activation}", "leave out --activation")
    words = _words(found, spec, tokenizer)
    network = shaped(found.objective, spec, found.states)
    put_states(network, found.states, found.origin)
    content = found.ours
    shards = from_record(content.inputs.get("shards", ())) if content else ()
    return Trained(
        network.eval(),
        words,
        os.fspath(found.origin),
        content.step if content else 0,
        found.crop,
        tuple(shard.url for group in shards for shard in group),
        content.step * int(content.config.get("batch_size", 0)) if content else 0,
    )


def load_chosen(config: TrainedConfig) -> Trained:
    """The model that a program was told to use."""
    return load_trained(config.checkpoint, model=config.model, tokenizer=config.tokenizer, activation=config.activation)


def comparing(trained: Trained) -> Clip:
    """The model as one that has vectors of texts too. Raises UserError for one that predicts texts."""
    if isinstance(trained.model, Clip):
        return trained.model
    raise UserError(
        f"{trained.origin}: was trained by --objective {trained.model.objective}, which gives texts no vectors",
        "evaluate it with zeroshot, probe, fewshot or robustness, or train one by --objective contrastive",
    )


def refuse_another_objective(objective: str, found: Weights) -> None:
    """Raises UserError for weights that a model of ``objective`` has no place for."""
    if objective != found.objective and KINDS[objective] is not KINDS[found.objective]:
        raise UserError(
            f"{found.origin}: was trained by --objective {found.objective}, not {objective}",
            f"add --objective {found.objective}, or begin without --start-from",
        )


def _words(found: Weights, spec: ModelSpec, tokenizer: str) -> Tokenizer:
    if found.ours and not tokenizer:
        return Tokenizer.from_json(found.ours.tokenizer, found.origin)
    if not (tokenizer or found.tokenizer):
        raise UserError(f"{found.origin}: no tokenizer lies beside these weights", "give --tokenizer")
    words = Tokenizer.load(tokenizer or found.tokenizer, spec.context_length)
    refuse_larger(words, spec.vocab_size, tokenizer or found.tokenizer)
    return words


def refuse_another_meaning(spec: ModelSpec, name: str, found: Weights, *, stated: bool) -> None:
    """Raises UserError where weights give other vectors in the model ``name`` than where they were made, though their
    shapes fit, or where nobody says so: neither their files nor, ``stated``, the user."""
    if found.spec is not None:
        for field in MEANING:
            theirs, ours = getattr(found.spec, field), getattr(spec, field)
            if theirs != ours:
                by_flag = field == "activation"
                raise UserError(
                    f"{found.origin}: is of a model with {field} = {theirs}, and --model {name} has {ours}",
                    f"add --activation {theirs}" if by_flag else "state it in a TOML file for --model",
                )
    elif not stated and not name.endswith(".toml"):
        raise UserError(
            f"{found.origin}: nothing says which activation these weights were made with, and tensors do not show it",
            "give --activation quick_gelu (OpenAI's and those trained like them) or gelu (most of open_clip's)",
        )


def read_spec(values: Any) -> ModelSpec:
    """A model's sizes as a checkpoint states them."""
    return from_dict(ModelSpec, dict(values), where="checkpoint")


def spec_values(spec: ModelSpec) -> dict[str, Any]:
    """A model's sizes as plain values."""
    return to_dict(spec)
