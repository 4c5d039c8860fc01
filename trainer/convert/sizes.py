"""A model's sizes in the words of other libraries, and the small files that lie beside weights there.

In: a :class:`ModelSpec` and a tokenizer. Out: plain values or the texts of files. And back from the shapes of OpenAI's
tensors, whose files say nothing else of a model.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from trainer.models.spec import ModelSpec
from trainer.tokenizer import END, START, Tokenizer

__all__ = ["for_hugging_face", "for_open_clip", "from_shapes"]

HEAD = 64  # channels of an attention head in all of OpenAI's models


def from_shapes(states: Mapping[str, Tensor]) -> ModelSpec:
    """The model of OpenAI's tensors under our names. Raises LookupError where some are absent."""
    text = states["text.ln_final.weight"].shape[0]
    sizes: dict[str, Any] = {
        "embed_dim": states["text.text_projection"].shape[1],
        "text_width": text,
        "text_heads": text // HEAD,
        "text_layers": _count(states, r"text\.transformer\.resblocks\.(\d+)\."),
        "context_length": states["text.positional_embedding"].shape[0],
        "vocab_size": states["text.token_embedding.weight"].shape[0],
    }
    if "visual.proj" in states:
        width, _, _, patch = states["visual.conv1.weight"].shape
        side = round((states["visual.positional_embedding"].shape[0] - 1) ** 0.5) * patch
        layers: int | tuple[int, ...] = _count(states, r"visual\.transformer\.resblocks\.(\d+)\.")
        return ModelSpec(
            image_size=side,
            vision_layers=layers,
            vision_width=width,
            vision_heads=width // HEAD,
            patch_size=patch,
            **sizes,
        )
    width = states["visual.layer1.0.conv1.weight"].shape[0]
    side = round((states["visual.attnpool.positional_embedding"].shape[0] - 1) ** 0.5) * 32
    layers = tuple(_count(states, rf"visual\.layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4))
    return ModelSpec(
        image_size=side, vision_layers=layers, vision_width=width, vision_heads=width * 32 // HEAD, **sizes
    )


def _count(states: Mapping[str, Tensor], pattern: str) -> int:
    """How many blocks the names number."""
    return len({found[1] for name in states if (found := re.match(pattern, name))})


def for_open_clip(spec: ModelSpec, *, bias: bool) -> dict[str, Any]:
    """The model configuration that open_clip reads from a JSON file."""
    vision: dict[str, Any] = {
        "image_size": spec.image_size,
        "layers": spec.vision_layers,
        "width": spec.vision_width,
    }
    if spec.is_vit:
        vision |= {"patch_size": spec.patch_size, "head_width": spec.vision_width // spec.vision_heads}
    else:
        # There the attention pool has 32 · width / head_width heads, and 64 is the default.
        vision |= {"layers": list(spec.vision_layers) if isinstance(spec.vision_layers, tuple) else spec.vision_layers}
        vision |= {"head_width": spec.vision_width * 32 // spec.vision_heads}
    text: dict[str, Any] = {
        "context_length": spec.context_length,
        "vocab_size": spec.vocab_size,
        "width": spec.text_width,
        "heads": spec.text_heads,
        "layers": spec.text_layers,
    }
    if spec.norm_epsilon != 1e-5:
        vision |= {"norm_kwargs": {"eps": spec.norm_epsilon}}
        text |= {"norm_kwargs": {"eps": spec.norm_epsilon}}
    values: dict[str, Any] = {
        "embed_dim": spec.embed_dim,
        "quick_gelu": spec.activation == "quick_gelu",
        "vision_cfg": vision,
        "text_cfg": text,
    }
    return values | ({"init_logit_bias": -10.0} if bias else {})


def for_hugging_face(spec: ModelSpec, tokenizer: Tokenizer, crop: str = "center") -> dict[str, str]:
    """The files beside ``model.safetensors`` in a folder that ``CLIPModel`` and ``CLIPProcessor`` read, by name."""
    tower = {"hidden_act": spec.activation, "projection_dim": spec.embed_dim, "layer_norm_eps": spec.norm_epsilon}
    config = {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": spec.embed_dim,
        "text_config": tower
        | {
            "hidden_size": spec.text_width,
            "intermediate_size": 4 * spec.text_width,
            "num_attention_heads": spec.text_heads,
            "num_hidden_layers": spec.text_layers,
            "max_position_embeddings": spec.context_length,
            "vocab_size": spec.vocab_size,
            "bos_token_id": tokenizer.start,
            "eos_token_id": tokenizer.end,
            "pad_token_id": 0,
        },
        "vision_config": tower
        | {
            "hidden_size": spec.vision_width,
            "intermediate_size": 4 * spec.vision_width,
            "num_attention_heads": spec.vision_heads,
            "num_hidden_layers": spec.vision_layers,
            "image_size": spec.image_size,
            "patch_size": spec.patch_size,
        },
    }
    square = {"height": spec.image_size, "width": spec.image_size}
    preprocessing = {
        "image_processor_type": "CLIPImageProcessor",
        "crop_size": square,
        "size": square if crop == "squash" else {"shortest_edge": spec.image_size},
        "resample": 3,
        "do_resize": True,
        "do_center_crop": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_convert_rgb": True,
        "image_mean": spec.mean,
        "image_std": spec.std,
    }
    words = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": spec.context_length,
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": "!",
    }
    return {
        "config.json": json.dumps(config, indent=1),
        "preprocessor_config.json": json.dumps(preprocessing, indent=1),
        "tokenizer_config.json": json.dumps(words, indent=1),
        "vocab.json": json.dumps(tokenizer.vocabulary, ensure_ascii=False),
        "merges.txt": tokenizer.to_merges() + "\n",
    }
