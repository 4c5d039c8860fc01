"""What must be right before the first step: settings checked against each other, tokenizer, model, precision.

In: a :class:`RunConfig`. Out: the parts of a run, or a UserError that says what to change. Nothing here trains.
"""

from dataclasses import replace

import torch
from torch import nn

from trainer.config import RunConfig
from trainer.data.loader import Dataset
from trainer.distributed import World
from trainer.models.clip import Clip, build
from trainer.models.spec import ModelSpec, find_spec
from trainer.models.vit import VisionTransformer
from trainer.tokenizer import Tokenizer, refuse_larger, train_tokenizer
from trainer.weights import put_states, read_weights, refuse_another_meaning
from webimagetext.errors import UserError

__all__ = ["check", "make_model", "make_tokenizer", "precision", "set_phase"]

TOKENIZER_CAPTIONS = 2_000_000


def check(config: RunConfig, world: World) -> ModelSpec:
    """The model's sizes; raises UserError for settings that contradict each other."""
    spec = find_spec(config.model)
    if config.activation != "auto":
        spec = replace(spec, activation=config.activation)
    if config.batch_size % (world.size * config.accumulate):
        raise UserError(
            f"--batch-size {config.batch_size} does not split into {world.size} processes × {config.accumulate} parts",
            "choose a multiple of their product",
        )
    if config.loss == "contrastive" and config.batch_size < 2:
        raise UserError("--batch-size: the contrastive loss needs two pairs or more")
    if config.patch_dropout and not spec.is_vit:
        raise UserError(f"--patch-dropout: is for ViTs, and --model {config.model} is none")
    side = config.low_resolution
    if side and (side % (spec.patch_size or 32) or side > spec.image_size):
        raise UserError(f"--low-resolution {side}: a multiple of {spec.patch_size or 32} up to {spec.image_size}")
    if config.skip_spikes and not config.skip_spikes > 1:
        raise UserError(f"--skip-spikes {config.skip_spikes:g}: a factor above 1, such as 10, or 0 for none")
    if config.lock_image and config.lock_text:
        raise UserError("--lock-image and --lock-text together leave nothing to train")
    if config.loader == "webdataset" and (config.source_weights or config.sample_by):
        raise UserError("--loader webdataset knows neither --source-weights nor --sample-by", "use --loader indexed")
    if config.parallel == "fsdp" and config.ema:
        raise UserError("--ema is not offered with --parallel fsdp", "use --parallel ddp")
    return spec


def make_tokenizer(config: RunConfig, spec: ModelSpec, dataset: Dataset, world: World, stored: str) -> Tokenizer:
    """The checkpoint's tokenizer, the one of --tokenizer, or one trained on the run's captions (by the first
    process)."""
    if stored:
        tokenizer = Tokenizer.from_json(stored, "checkpoint", spec.context_length)
    elif config.tokenizer:
        tokenizer = Tokenizer.load(config.tokenizer, spec.context_length)
    else:
        size = min(config.vocab_size, spec.vocab_size)
        captions = dataset.captions(TOKENIZER_CAPTIONS)
        text = world.first(lambda: train_tokenizer(captions, size, spec.context_length).to_json())
        tokenizer = Tokenizer.from_json(text, "captions", spec.context_length)
    refuse_larger(tokenizer, spec.vocab_size, config.tokenizer or "the run's tokenizer")
    return tokenizer


def make_model(config: RunConfig, spec: ModelSpec, world: World, *, resumed: bool) -> Clip:
    """The model on its device, with locks, memory saving and its initial values; those of --start-from unless it is
    ``resumed``."""
    model = build(spec, seed=config.seed, bias=config.loss == "sigmoid")
    if config.start_from and not resumed:
        found = read_weights(config.start_from)
        refuse_another_meaning(spec, config.model, found, stated=config.activation != "auto")
        put_states(model, found.states, config.start_from)
    model.to(world.device)
    towers: list[tuple[bool, nn.Module]] = [(config.lock_image, model.visual), (config.lock_text, model.text)]
    for locked, tower in towers:
        if locked:
            tower.requires_grad_(False)
    model.set_save_memory(config.gradient_checkpointing)
    if config.compile:
        model.visual.compile()
        model.text.compile()
    return model


def set_phase(model: Clip, config: RunConfig, final: bool) -> None:
    """Turns patch dropout on, or off in the final phase."""
    if isinstance(model.visual, VisionTransformer):
        model.visual.patch_dropout = 0.0 if final else config.patch_dropout
    if config.lock_image:
        model.visual.eval()  # a locked ResNet keeps its statistics as well


def precision(config: RunConfig, device: torch.device) -> torch.dtype | None:
    """The type of the towers' arithmetic, None for float32. Raises UserError for what the device cannot do."""
    if config.precision == "fp16" and device.type == "cpu":
        raise UserError("--precision fp16 is for GPUs", "use bf16 or fp32")
    if config.precision != "auto":
        return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[config.precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else None
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else None
