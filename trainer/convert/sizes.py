"""A model's sizes in the words of other libraries, and the small files that lie beside weights there.

In: a :class:`ModelSpec` and a tokenizer. Out: plain values or the texts of files.
"""

import json
from typing import Any

from trainer.models.clip import MEAN, STD
from trainer.models.spec import ModelSpec
from trainer.tokenizer import END, START, Tokenizer

__all__ = ["for_hugging_face", "for_open_clip"]


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
    text = {
        "context_length": spec.context_length,
        "vocab_size": spec.vocab_size,
        "width": spec.text_width,
        "heads": spec.text_heads,
        "layers": spec.text_layers,
    }
    values: dict[str, Any] = {"embed_dim": spec.embed_dim, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}
    return values | ({"init_logit_bias": -10.0} if bias else {})


def for_hugging_face(spec: ModelSpec, tokenizer: Tokenizer) -> dict[str, str]:
    """The files beside ``model.safetensors`` in a folder that ``CLIPModel`` and ``CLIPProcessor`` read, by name."""
    tower = {"hidden_act": "quick_gelu", "projection_dim": spec.embed_dim, "layer_norm_eps": 1e-5}
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
    preprocessing = {
        "image_processor_type": "CLIPImageProcessor",
        "crop_size": {"height": spec.image_size, "width": spec.image_size},
        "size": {"shortest_edge": spec.image_size},
        "resample": 3,
        "do_resize": True,
        "do_center_crop": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_convert_rgb": True,
        "image_mean": MEAN,
        "image_std": STD,
    }
    words = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": spec.context_length,
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": "!",
    }
    merges = "\n".join(["#version: 0.2", *(f"{a} {b}" for a, b in tokenizer.merges), ""])
    return {
        "config.json": json.dumps(config, indent=1),
        "preprocessor_config.json": json.dumps(preprocessing, indent=1),
        "tokenizer_config.json": json.dumps(words, indent=1),
        "vocab.json": json.dumps(tokenizer.vocabulary, ensure_ascii=False),
        "merges.txt": merges,
    }
