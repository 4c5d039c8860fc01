"""Names of tensors: ours, those of OpenAI's and open_clip's state dicts, and those of Hugging Face's ``CLIPModel``.

In: a state dict in one of the layouts. Out: the same tensors under other names; nothing is computed but the splitting
and joining of the query, key and value matrices. Ours differ from OpenAI's in one prefix: the text tower is a module
called ``text``.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from webimagetext.errors import UserError

__all__ = ["from_any", "from_hugging_face", "is_of_openai", "to_hugging_face", "to_open_clip"]

TEXT_NAMES = ("transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection")
_OPENAI_EXTRAS = ("input_resolution", "context_length", "vocab_size")  # numbers stored among the tensors
_HF_BUFFERS = ("embeddings.position_ids",)  # the numbers from 0 on
_BLOCK = re.compile(r"(.*?)resblocks\.(\d+)\.(.*)")
_HF_BLOCK = re.compile(r"(vision_model|text_model)\.encoder\.layers\.(\d+)\.(.*)")

# Within a block: ours -> Hugging Face's.
_IN_BLOCK = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_OUTSIDE = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "text.token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "text.positional_embedding": "text_model.embeddings.position_embedding.weight",
    "text.ln_final.weight": "text_model.final_layer_norm.weight",
    "text.ln_final.bias": "text_model.final_layer_norm.bias",
    "logit_scale": "logit_scale",
}
# Hugging Face keeps projections as linear layers, so transposed.
_TRANSPOSED = {"visual.proj": "visual_projection.weight", "text.text_projection": "text_projection.weight"}


def to_open_clip(states: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Ours -> OpenAI's and open_clip's names (which are the same for all published models)."""
    return {name.removeprefix("text."): value for name, value in states.items()}


def _from_open_clip(states: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """OpenAI's or open_clip's names -> ours; values are made float32."""
    return {
        f"text.{name}" if name.startswith(TEXT_NAMES) else name: value.float() if value.is_floating_point() else value
        for name, value in states.items()
        if name not in _OPENAI_EXTRAS
    }


def to_hugging_face(states: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Ours -> ``CLIPModel``'s. Raises UserError for a ResNet, which that class has no place for."""
    if "visual.attnpool.k_proj.weight" in states:
        raise UserError("the Hugging Face layout has no place for a ResNet image tower", "use another --format")
    renamed: dict[str, Tensor] = {}
    for name, value in states.items():
        block = _BLOCK.match(name)
        if name in _OUTSIDE:
            renamed[_OUTSIDE[name]] = value
        elif name in _TRANSPOSED:
            renamed[_TRANSPOSED[name]] = value.T.contiguous()
        elif block:
            tower = "vision_model" if block[1].startswith("visual") else "text_model"
            place = f"{tower}.encoder.layers.{block[2]}."
            inner, _, kind = block[3].replace("in_proj_", "in_proj.").rpartition(".")
            if inner == "attn.in_proj":
                for part, piece in zip("qkv", value.chunk(3), strict=True):
                    renamed[f"{place}self_attn.{part}_proj.{kind}"] = piece.contiguous()
            else:
                renamed[f"{place}{_IN_BLOCK[inner]}.{kind}"] = value
    return renamed


def from_hugging_face(states: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``CLIPModel``'s names -> ours."""
    outside = {theirs: ours for ours, theirs in _OUTSIDE.items()}
    transposed = {theirs: ours for ours, theirs in _TRANSPOSED.items()}
    in_block = {theirs: ours for ours, theirs in _IN_BLOCK.items()}
    renamed: dict[str, Tensor] = {}
    joined: dict[str, dict[str, Tensor]] = {}
    for name, raw in states.items():
        value = raw.float() if raw.is_floating_point() else raw
        block = _HF_BLOCK.match(name)
        if name in outside:
            renamed[outside[name]] = value
        elif name in transposed:
            renamed[transposed[name]] = value.T.contiguous()
        elif block:
            tower = "visual" if block[1] == "vision_model" else "text"
            place = f"{tower}.transformer.resblocks.{block[2]}."
            inner, _, kind = block[3].rpartition(".")
            if inner.startswith("self_attn.") and inner[-6:] in ("q_proj", "k_proj", "v_proj"):
                joined.setdefault(f"{place}attn.in_proj_{kind}", {})[inner[-6]] = value
            elif inner in in_block:
                renamed[f"{place}{in_block[inner]}.{kind}"] = value
            else:
                renamed[name] = value
        elif not name.endswith(_HF_BUFFERS):
            renamed[name] = value  # whoever takes the tensors says that it has no place for it
    for name, parts in joined.items():
        if len(parts) == 3:  # else the whole is absent
            renamed[name] = torch.cat([parts[letter] for letter in "qkv"])
    return renamed


def is_of_openai(states: Mapping[str, Tensor]) -> bool:
    """Whether these are tensors as OpenAI distributed them, with three numbers among them that nobody else keeps."""
    return all(name in states for name in _OPENAI_EXTRAS)


def from_any(states: Mapping[str, Tensor], origin: str) -> dict[str, Tensor]:
    """Tells the layout by its names. Raises UserError when it is none of them."""
    names = {name.removeprefix("module.") for name in states}
    plain = {name.removeprefix("module."): value for name, value in states.items()}
    if "text.token_embedding.weight" in names:
        return plain
    if "token_embedding.weight" in names:
        return _from_open_clip(plain)
    if "text_model.embeddings.token_embedding.weight" in names:
        return from_hugging_face(plain)
    raise UserError(
        f"{origin}: no layout of CLIP weights is known with such names", f"e.g. {', '.join(sorted(names)[:3])}"
    )
