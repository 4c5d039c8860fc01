"""What lies beside weights of other libraries and says what they mean: sizes, activation, pictures' preparation, words.

In: the address of a folder or of a file of weights. Out: a :class:`Described`. Hugging Face writes ``config.json``,
``preprocessor_config.json`` and ``merges.txt``, open_clip ``open_clip_config.json``, our own export a JSON file of the
weights' name and ``tokenizer.json``. What a description says is honoured or refused, never passed over: a model with
another activation, norm or preparation of its pictures gives other vectors from the same tensors.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.models.spec import MEAN, STD, ModelSpec
from webimagetext.errors import UserError
from webimagetext.files import exists, join, open_input
from webimagetext.settings import from_dict, to_dict

__all__ = ["MERGES", "Described", "describe", "weights_in"]

HUGGING_FACE, OPEN_CLIP = "config.json", "open_clip_config.json"
# What those libraries call the weights in a folder.
WEIGHTS = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)
WORDS = ("tokenizer.json", "merges.txt")
MERGES = "-merges.txt.gz"  # after the name of weights that open_clip reads
BICUBIC = 3  # Pillow's number of it, which Hugging Face writes
# Settings of open_clip's that change nothing here, since what they belong to is refused.
IDLE = {
    *("patch_dropout", "output_tokens", "pad_id", "eos_id", "attn_pooler_queries", "attn_pooler_heads"),
    *("timm_model_pretrained", "timm_pool", "timm_proj", "timm_drop", "timm_drop_path", "timm_proj_bias"),
    *("hf_model_pretrained", "hf_proj_type", "hf_pooler_type", "hf_tokenizer_name"),
    *(
        "tokenizer_mode",
        "tokenizer_kwargs",
        "init_logit_scale",
        "init_logit_bias",
        "custom_text",
        "nonscalar_logit_scale",
    ),
}
USUAL = {"mlp_ratio": 4, "pool_type": ("tok", "argmax"), "pos_embed_type": "learnable", "proj_type": "linear"}


@dataclass(frozen=True)
class Described:
    """What is said of weights. ``spec`` is None where nothing is."""

    spec: ModelSpec | None = None
    crop: str = "center"
    tokenizer: str = ""  # address of its file
    origin: str = ""  # the file that says so


def weights_in(folder: str) -> str:
    """The address of the weights in a folder of another library; empty where there are none.

    Raises UserError for weights that are parted over several files.
    """
    for name in WEIGHTS:
        if exists(join(folder, name)):
            return join(folder, name)
        if exists(join(folder, f"{name}.index.json")):
            raise UserError(f"{folder}: the weights are parted over several files", f"save them as one {name}")
    return ""


def describe(weights: str) -> Described:
    """What the files beside ``weights`` say. Raises UserError for a model that is none of ours, naming what differs."""
    try:
        return _described(weights)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise UserError(
            f"{weights}: what lies beside it states no model: {type(error).__name__} {error}", "get the files again"
        ) from None


def _described(weights: str) -> Described:
    folder, _, name = weights.rpartition("/")
    folder, stem = folder or ".", name.rpartition(".")[0]
    found = Described()
    if exists(own := join(folder, f"{stem}.json")) and "embed_dim" in (values := _values(own)):
        found = Described(_of_open_clip(values, own), origin=own)
    elif name in WEIGHTS and exists(stated := join(folder, OPEN_CLIP)):
        values = _values(stated)
        spec, crop = _prepared(_of_open_clip(_table(values, "model_cfg", stated), stated), values, stated)
        found = Described(spec, crop, origin=stated)
    elif name in WEIGHTS and exists(stated := join(folder, HUGGING_FACE)):
        found = _of_hugging_face(folder, stated)
    words = [f"{stem}{MERGES}", *WORDS] if found.spec is None or found.origin == own else WORDS
    beside = [join(folder, one) for one in words if exists(join(folder, one))]
    return Described(found.spec, found.crop, beside[0] if beside else "", found.origin)


def _values(url: str) -> dict[str, Any]:
    with open_input(url) as stream:
        try:
            values = json.loads(stream.read())
        except ValueError as error:
            raise UserError(f"{url}: is no JSON: {error}", "get the file again") from None
    if not isinstance(values, dict):
        raise UserError(f"{url}: is no table of values", "get the file again")
    return values


def _table(values: Mapping[str, Any], name: str, origin: str) -> dict[str, Any]:
    found = values.get(name)
    if not isinstance(found, dict):
        raise UserError(f"{origin}: states no {name}", "get the file again")
    return found


def _refuse(origin: str, what: str) -> UserError:
    return UserError(f"{origin}: {what}, which no model here has", "use it with the library that made it")


# open_clip


def _of_open_clip(values: Mapping[str, Any], origin: str) -> ModelSpec:
    """The model of open_clip's ``model_cfg``."""
    vision, text = dict(_table(values, "vision_cfg", origin)), dict(_table(values, "text_cfg", origin))
    rest = {name: value for name, value in values.items() if name not in ("vision_cfg", "text_cfg")}
    embed, quick = rest.pop("embed_dim", 0), rest.pop("quick_gelu", False)
    size = _one(vision.pop("image_size", 224), origin)
    layers, width, head = vision.pop("layers", 12), vision.pop("width", 768), vision.pop("head_width", 64)
    patch = vision.pop("patch_size", 16) if isinstance(layers, int) else 0
    vision.pop("patch_size", None)
    sizes = {
        "text_width": text.pop("width", 512),
        "text_heads": text.pop("heads", 8),
        "text_layers": text.pop("layers", 12),
        "context_length": text.pop("context_length", 77),
        "vocab_size": text.pop("vocab_size", 49408),
    }
    epsilons = {(tower.pop("norm_kwargs", None) or {}).get("eps", 1e-5) for tower in (vision, text)}
    if len(epsilons) > 1:
        raise _refuse(origin, "has two epsilons of its layer norms")
    for tower in (rest, vision, text):
        for name, value in tower.items():
            usual = USUAL.get(name)
            if name in IDLE or not value or value == usual or (isinstance(usual, tuple) and value in usual):
                continue
            raise _refuse(origin, f"has {name} = {value}")
    sizes |= {
        "embed_dim": embed,
        "image_size": size,
        "vision_layers": layers,
        "vision_width": width,
        "vision_heads": width // head if patch else width * 32 // head,
        "patch_size": patch,
        "activation": "quick_gelu" if quick else "gelu",
        "norm_epsilon": epsilons.pop(),
    }
    return from_dict(ModelSpec, sizes, where=origin)


def _one(size: Any, origin: str) -> Any:
    """A side that may be stated twice."""
    if isinstance(size, list) and len(set(size)) == 1:
        return size[0]
    if isinstance(size, list):
        raise _refuse(origin, f"has pictures of {' x '.join(map(str, size))} pixels")
    return size


def _prepared(spec: ModelSpec, values: Mapping[str, Any], origin: str) -> tuple[ModelSpec, str]:
    """The model with what open_clip's ``preprocess_cfg`` says of pictures, and how they are cut."""
    stated = values.get("preprocess_cfg") or {}
    mode, method = stated.get("resize_mode", "shortest"), stated.get("interpolation", "bicubic")
    if mode not in ("shortest", "squash"):
        raise _refuse(origin, f"prepares pictures with resize_mode = {mode}")
    if method != "bicubic":
        raise _refuse(origin, f"prepares pictures with interpolation = {method}")
    return _shown(spec, stated.get("mean", MEAN), stated.get("std", STD), origin), (
        "squash" if mode == "squash" else "center"
    )


def _shown(spec: ModelSpec, mean: Any, std: Any, origin: str) -> ModelSpec:
    return from_dict(ModelSpec, {**to_dict(spec), "mean": list(mean), "std": list(std)}, where=origin)


# Hugging Face


def _of_hugging_face(folder: str, origin: str) -> Described:
    values = _values(origin)
    if values.get("model_type") != "clip":
        raise _refuse(origin, f"is a model of the type {values.get('model_type')}")
    towers = [
        {**(values.get(f"{name}_config") or {}), **(values.get(f"{name}_config_dict") or {})}
        for name in ("vision", "text")
    ]
    vision, text = towers
    activation = _alike(towers, "hidden_act", "quick_gelu", origin)
    if activation not in ("quick_gelu", "gelu"):
        raise _refuse(origin, f"has hidden_act = {activation}")
    widths = vision.get("hidden_size", 768), text.get("hidden_size", 512)
    for tower, width, inner in zip(towers, widths, (3072, 2048), strict=True):
        if tower.get("intermediate_size", inner) != 4 * width:
            raise _refuse(
                origin, f"has intermediate_size = {tower.get('intermediate_size', inner)} for {width} channels"
            )
    sizes = {
        "embed_dim": values.get("projection_dim", 512),
        "image_size": vision.get("image_size", 224),
        "vision_layers": vision.get("num_hidden_layers", 12),
        "vision_width": widths[0],
        "vision_heads": vision.get("num_attention_heads", 12),
        "patch_size": vision.get("patch_size", 32),
        "text_width": widths[1],
        "text_heads": text.get("num_attention_heads", 8),
        "text_layers": text.get("num_hidden_layers", 12),
        "context_length": text.get("max_position_embeddings", 77),
        "vocab_size": text.get("vocab_size", 49408),
        "activation": activation,
        "norm_epsilon": _alike(towers, "layer_norm_eps", 1e-5, origin),
    }
    spec = from_dict(ModelSpec, sizes, where=origin)
    if exists(told := join(folder, "preprocessor_config.json")):
        spec, crop = _processed(spec, _values(told), told)
        return Described(spec, crop, origin=origin)
    return Described(spec, origin=origin)


def _alike(towers: list[dict[str, Any]], name: str, usual: Any, origin: str) -> Any:
    found = [tower.get(name, usual) for tower in towers]
    if found[0] != found[1]:
        raise _refuse(origin, f"has {name} = {found[0]} for pictures and {found[1]} for texts")
    return found[0]


def _processed(spec: ModelSpec, stated: Mapping[str, Any], origin: str) -> tuple[ModelSpec, str]:
    """The model with what Hugging Face's image processor is told, and how pictures are cut."""
    for name, wanted in (("resample", BICUBIC), ("do_resize", True), ("do_normalize", True), ("do_rescale", True)):
        if stated.get(name, wanted) != wanted:
            raise _refuse(origin, f"prepares pictures with {name} = {stated[name]}")
    if abs(stated.get("rescale_factor", 1 / 255) * 255 - 1) > 1e-6:
        raise _refuse(origin, f"prepares pictures with rescale_factor = {stated['rescale_factor']}")
    side, size, cut = spec.image_size, stated.get("size", spec.image_size), stated.get("crop_size", spec.image_size)
    square = {"height": side, "width": side}
    cuts = stated.get("do_center_crop", True) and cut in (side, square)
    if size in (side, {"shortest_edge": side}) and cuts:
        crop = "center"
    elif size == square and (cuts or not stated.get("do_center_crop", True)):
        crop = "squash"
    else:
        raise _refuse(origin, f"prepares pictures with size = {size} and crop_size = {cut} for {side} pixels")
    return _shown(spec, stated.get("image_mean", MEAN), stated.get("image_std", STD), origin), crop
