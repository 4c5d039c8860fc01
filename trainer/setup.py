"""What must be right before the first step: settings checked against each other, tokenizer, model, precision.

In: a :class:`RunConfig`. Out: the parts of a run, or a UserError that says what to change. Nothing here trains.
"""

from dataclasses import replace
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.checkpoint import Checkpoint
from trainer.config import RunConfig
from trainer.data.loader import Dataset
from trainer.distributed import World
from trainer.models.model import Model
from trainer.models.spec import ModelSpec, find_spec
from trainer.models.vit import VisionTransformer
from trainer.objectives.dictionary import dictionary
from trainer.objectives.kinds import KINDS, initial
from trainer.tokenizer import Tokenizer, refuse_larger, train_tokenizer
from trainer.weights import put_states, read_weights, refuse_another_meaning, refuse_another_objective
from webimagetext.errors import UserError

__all__ = ["check", "make_keys", "make_model", "make_tokenizer", "precision", "set_phase"]

CAPTIONS = 2_000_000  # that the tokenizer, and the dictionary of n-grams, are made from


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
    if KINDS[config.objective].whole_batch and config.objective != "sigmoid" and config.batch_size < 2:
        raise UserError(f"--batch-size: the {config.objective} loss needs two pairs or more")
    if config.lock_text and config.objective in ("bag-of-words", "ngram"):
        raise UserError(f"--lock-text: a model of --objective {config.objective} has no text tower")
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
    if config.parallel == "fsdp" and config.evaluate_every and world.size > 1:
        raise UserError("--evaluate-every is not offered with --parallel fsdp", "evaluate its checkpoints")
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
        captions = dataset.captions(CAPTIONS)
        text = world.first(lambda: train_tokenizer(captions, size, spec.context_length).to_json())
        tokenizer = Tokenizer.from_json(text, "captions", spec.context_length)
    refuse_larger(tokenizer, spec.vocab_size, config.tokenizer or "the run's tokenizer")
    return tokenizer


def make_keys(
    config: RunConfig, spec: ModelSpec, dataset: Dataset, tokenizer: Tokenizer, world: World, content: Checkpoint | None
) -> Tensor | None:
    """The dictionary of n-grams where the objective has one: the checkpoint's, that of --start-from, or one of the
    run's captions (by the first process)."""
    if config.objective != "ngram":
        return None
    if content is not None:
        return content.model["keys"]
    if config.start_from:
        return read_weights(config.start_from).states.get("keys")

    def count() -> npt.NDArray[np.int64]:
        captions = dataset.captions(CAPTIONS)
        batches = iter(lambda: list(islice(captions, 10_000)), [])
        return dictionary(map(tokenizer.encode, batches), spec.vocab_size, config.ngrams)

    return torch.from_numpy(world.first(count))


def make_model(config: RunConfig, spec: ModelSpec, world: World, *, resumed: bool, keys: Tensor | None = None) -> Model:
    """The model on its device, with locks, memory saving and its initial values; those of --start-from unless it is
    ``resumed``. ``keys`` are those of the n-grams."""
    found = read_weights(config.start_from) if config.start_from and not resumed else None
    if found:
        refuse_another_objective(config.objective, found)
    model = initial(config.objective, spec, seed=config.seed, keys=keys)
    if found:
        refuse_another_meaning(spec, config.model, found, stated=config.activation != "auto")
        put_states(model, found.states, config.start_from)
    model.to(world.device)
    towers = [(config.lock_image, model.visual), (config.lock_text, getattr(model, "text", None))]
    for locked, tower in towers:
        if locked and tower is not None:
            tower.requires_grad_(False)
    model.set_save_memory(config.gradient_checkpointing)
    if config.compile:
        for _, tower in towers:
            if tower is not None:
                tower.compile()
    return model


def set_phase(model: Model, config: RunConfig, final: bool) -> None:
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
