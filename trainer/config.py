"""The settings of a training run: one frozen dataclass, made of one part for each component, and the presets.

In: presets, then a TOML file, then flags. Out: :class:`RunConfig`. Each component takes the part it owns (the loader a
:class:`DataConfig` …); all parts are flat in one name space, so that a flag, a TOML key and a field have the same name.
The marks say which may differ when a run is resumed (trainer/resume.py): FREE ones in silence, AHEAD ones with a word
about it, INPUT ones as long as what they name holds the same, and those without a mark not at all.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from webimagetext.deciding import AHEAD, FREE, INPUT
from webimagetext.ranges import Range, Ranged

__all__ = [
    "IMPLIED",
    "PRESETS",
    "DataConfig",
    "ObjectiveConfig",
    "OptimConfig",
    "OutputConfig",
    "RunConfig",
    "TrainedConfig",
]

Preset = Literal["auto", "clip-vit", "clip-resnet", "tiny"]
Objective = Literal["contrastive", "sigmoid", "bag-of-words", "caption", "contrastive-bow", "ngram", "convirt"]

# Table 18 of the paper (arXiv 2103.00020); the learning rate is the model's own (Table 19 and 20).
PRESETS: dict[str, dict[str, Any]] = {
    "clip-vit": {"beta2": 0.98, "epsilon": 1e-6},
    "clip-resnet": {"beta2": 0.999, "epsilon": 1e-8},
    "tiny": {
        "model": "RN-tiny",
        "batch_size": 128,
        "epochs": 100.0,
        "warmup_steps": 50,
        "beta2": 0.98,
        "epsilon": 1e-6,
        "vocab_size": 4096,
        "checkpoint_minutes": 1.0,
    },
}

# What an objective says of other settings, unless a file or a flag does.
IMPLIED: dict[str, dict[str, Any]] = {"convirt": {"captions": "sentence"}}


@dataclass(frozen=True)
class DataConfig(Ranged):
    """What is read, in which order, and how."""

    train_data: Annotated[tuple[str, ...], INPUT] = ()
    """Shards to train on: patterns of tar or Parquet files, local or as s3://, gs://, https:// addresses; {00..99}
    counts."""
    new_data: Annotated[bool, FREE] = False
    """A resumed run keeps to the shards it began with; with this it goes on with those there are now, other ones, more
    or fewer."""
    source_weights: Annotated[tuple[float, ...], Range(0)] = ()
    """A share for each pattern; they are scaled to sum to 1. Left out: the patterns form one source."""
    batch_size: Annotated[int, Range(1)] = 32768
    """Pairs a step over all processes; the loss contrasts every pair with all the others."""
    loader: Literal["indexed", "webdataset"] = "indexed"
    """"indexed" reads through an index of each shard, the fast path; "webdataset" streams through that library."""
    workers: Annotated[int, FREE, Range(0, 1024)] = 0
    """Threads that decode pictures in each process; 0: one for each core."""
    prefetch: Annotated[int, FREE, Range(1)] = 3
    """Batches that are made ready ahead of the step."""
    shuffle_shards: Annotated[int, Range(1)] = 64
    """Shards whose pairs are mixed with each other at a time."""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    """Seed of the order, the crops and the initial values."""
    crop: Literal["random", "center", "squash"] = "random"
    """A random square of the resized picture, the published augmentation; its middle; or the whole picture squeezed."""
    captions: Literal["text", "sentence", "random", "longest", "join"] = "text"
    """The text of a pair: the stored caption, or a random sentence of it; or a random one, the longest, or all of those
    in --caption-fields."""
    caption_fields: tuple[str, ...] = ("txt", "texts")
    """Where --captions looks: "txt" is the caption member, other names are fields of the JSON member or Parquet
    columns."""
    sample_by: str = ""
    """Balances on line: a field with the probability at which an epoch takes the pair ("probability" in our shards)."""
    image_column: str = "image"
    """Parquet: the column with the bytes of the picture, or a struct that holds them as "bytes"."""
    caption_column: str = "caption"
    """Parquet: the column with the caption."""
    cache: Annotated[str, FREE] = ""
    """Folder where copies of remote shards stay; left out: a copy is deleted when it is closed, and fetched again in
    the next epoch when the run has more than 256 shards."""
    stall_seconds: Annotated[float, FREE, Range(above=0)] = 60.0
    """After so many seconds without a batch, or within one step, the log names what the run is waiting for."""


@dataclass(frozen=True)
class ModelConfig(Ranged):
    """Which model is trained, from which values, and which part of it."""

    model: Annotated[str, INPUT] = "ViT-B/32"
    """A published model's name (see python -m trainer.models), "RN-tiny", "ViT-tiny", or a TOML file that states the
    sizes."""
    activation: Literal["auto", "quick_gelu", "gelu"] = "auto"
    """Within each MLP: x · sigmoid(1.702 x) as published, or the exact GELU; "auto": the model's own."""
    start_from: Annotated[str, INPUT] = ""
    """Weights to begin with: a checkpoint of ours, or a file or folder of OpenAI's, open_clip's or Hugging Face's."""
    tokenizer: Annotated[str, INPUT] = ""
    """A tokenizer.json of ours or CLIP's vocabulary file; left out: trained on the run's own captions."""
    vocab_size: Annotated[int, Range(1)] = 49408
    """Entries of a tokenizer that is trained here, at most those of the model."""
    lock_image: bool = False
    """Leaves the image tower as it is."""
    lock_text: bool = False
    """Leaves the text tower as it is."""
    patch_dropout: Annotated[float, AHEAD, Range(0, below=1)] = 0.0
    """Share of the patches left out at random while training (ViT only)."""
    low_resolution: Annotated[int, AHEAD, Range(0)] = 0
    """Side in pixels of the training pictures before the final phase; 0: the model's own throughout."""
    final_steps: Annotated[int, AHEAD, Range(0)] = 0
    """Steps at the end at full resolution and without patch dropout."""
    gradient_checkpointing: Annotated[bool, FREE] = False
    """Recomputes each block in the backward pass: about a third more work for far less memory."""
    compile: Annotated[bool, FREE] = False
    """Compiles both towers with torch.compile."""


@dataclass(frozen=True)
class ObjectiveConfig(Ranged):
    """What is minimised."""

    objective: Objective = "contrastive"
    """What is learnt. Which image and text are a pair: contrastive, the paper's; sigmoid, SigLIP's; contrastive-bow,
    texts as bags of words; convirt, with non-linear heads, sampled sentences and altered pictures. Or the text itself:
    bag-of-words, ngram, caption."""
    ngrams: Annotated[int, Range(1)] = 142_806
    """Entries of the dictionary of --objective ngram beside single words, at most: the most frequent sequences of two
    to five that occur twice in the captions."""
    loss_tile: Annotated[int, FREE, Range(1)] = 2048
    """Side of the tiles in which similarities are computed: memory grows with it and not with the batch squared."""
    accumulate: Annotated[int, AHEAD, Range(1)] = 1
    """Parts in which a batch passes through the model; the gradient is the one of the whole batch."""


@dataclass(frozen=True)
class OptimConfig(Ranged):
    """How the parameters move."""

    learning_rate: Annotated[float | None, AHEAD, Range(0)] = None
    """Peak; left out: the published one of the model."""
    warmup_steps: Annotated[int, AHEAD, Range(0)] = 2000
    """Steps of linear rise, at most a tenth of the run, before the cosine to zero."""
    weight_decay: Annotated[float, AHEAD, Range(0)] = 0.2
    """Decoupled; not on gains, biases and the temperature."""
    beta1: Annotated[float, AHEAD, Range(0, below=1)] = 0.9
    """Decay of the mean of the gradient."""
    beta2: Annotated[float, AHEAD, Range(0, below=1)] = 0.98
    """Decay of the mean of its square."""
    epsilon: Annotated[float, AHEAD, Range(above=0)] = 1e-6
    """Added to the root of the mean square."""
    clip_gradient: Annotated[float, AHEAD, Range(0)] = 0.0
    """Largest norm of the whole gradient; 0: unbounded."""
    skip_spikes: Annotated[float, AHEAD, Range(0)] = 0.0
    """Passes over a step whose loss or gradient is beyond so many times the running median, or not finite; 0: a step
    that is not finite ends the run."""
    layer_decay: Annotated[float, AHEAD, Range(above=0, most=1)] = 1.0
    """Factor on the learning rate for each block further from the output."""
    ema: Annotated[float, AHEAD, Range(0, below=1)] = 0.0
    """Decay a step of an average of the weights, which evaluation then uses; 0: none."""


@dataclass(frozen=True)
class OutputConfig(Ranged):
    """Where results go, and how often."""

    output: Annotated[str, FREE] = ""
    """Folder of the run, path or URL: config.toml, tokenizer.json, log.jsonl, checkpoints/."""
    resume: Annotated[bool, FREE] = True
    """Takes up the newest checkpoint in the folder; without it, a folder with checkpoints is refused."""
    checkpoint_steps: Annotated[int, FREE, Range(0)] = 0
    """Steps between two checkpoints; 0: by time alone."""
    checkpoint_minutes: Annotated[float, FREE, Range(0)] = 15.0
    """Minutes between two checkpoints."""
    keep: Annotated[int, FREE, Range(1)] = 3
    """Checkpoints kept; the oldest go first, but never the only one that is known to be good."""
    log_steps: Annotated[int, FREE, Range(1)] = 10
    """Steps between two lines of log.jsonl."""
    tensorboard: Annotated[bool, FREE] = False
    """Also writes TensorBoard events (needs the tensorboard package)."""
    wandb: Annotated[str, FREE] = ""
    """Also reports to Weights & Biases under this project (needs the wandb package)."""


@dataclass(frozen=True)
class DuringConfig(Ranged):
    """What the model is evaluated on while it is trained; the first process does it, and the others wait."""

    evaluate_every: Annotated[int, FREE, Range(0)] = 0
    """Steps between two evaluations on the sets below, with one after the last step; 0: none."""
    evaluate_retrieval: Annotated[tuple[str, ...], FREE] = ()
    """Patterns of held-out shards, for recall both ways."""
    evaluate_zeroshot: Annotated[tuple[str, ...], FREE] = ()
    """Pictures with classes, for zero-shot accuracy: a folder with one folder of pictures a class, or patterns of
    shards with a label."""
    evaluate_classes: Annotated[str, FREE] = ""
    """A text file with one class name a line for --evaluate-zeroshot; left out: the folders' names, or the labels that
    occur."""
    evaluate_limit: Annotated[int, FREE, Range(0)] = 1000
    """At most so many pictures of each of them; they are read once and held; 0: all."""


@dataclass(frozen=True)
class RunConfig(DuringConfig, OutputConfig, OptimConfig, ObjectiveConfig, ModelConfig, DataConfig):
    """Trains CLIP on image-text shards.

    One process: python -m trainer.run … Several: torchrun --nproc-per-node=N -m trainer.run …
    Values come from the preset, then the TOML file of --config, then flags.
    """

    preset: Annotated[Preset, FREE] = "auto"
    """Published values for ViTs or ResNets, or a small model for a CPU; "auto" goes by the model's name."""
    config: Annotated[str, FREE] = ""
    """A TOML file with any of these values."""
    epochs: Annotated[float, AHEAD, Range(above=0)] = 32.0
    """Passes over the data; the length of the learning-rate schedule."""
    steps: Annotated[int, AHEAD, Range(0)] = 0
    """Steps in all, instead of --epochs."""
    max_seconds: Annotated[float, AHEAD, Range(0)] = 0.0
    """Ends the run after so many seconds of wall time, start-up included and over all calls, the schedule shortened to
    fit; 0: no limit."""
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], AHEAD] = "auto"
    """Of the towers' arithmetic; "auto" is bf16 where the processor has units for it, else fp32."""
    parallel: Annotated[Literal["ddp", "fsdp"], FREE] = "ddp"
    """Under torchrun: whole copies of the model, or parameters and optimizer sharded over the processes."""
    device: Annotated[str, FREE] = "auto"
    """"cuda", "cpu", or "auto" for the first that is there."""
    rank_seconds: Annotated[float, FREE, Range(above=0)] = 600.0
    """Under torchrun: ends the run when one of its processes gives no sign of life, or keeps the others waiting, for so
    many seconds."""


@dataclass(frozen=True)
class TrainedConfig(Ranged):
    """Which trained model a program uses."""

    checkpoint: str = ""
    """The folder of a run (its newest checkpoint), a checkpoint, or weights of OpenAI's, open_clip's or Hugging Face's:
    their folder, or a file."""
    model: str = ""
    """For weights with no file beside them that says it: the model's name."""
    activation: Literal["", "quick_gelu", "gelu"] = ""
    """For such weights: what they were trained with."""
    tokenizer: str = ""
    """For weights without one beside them: the tokenizer's file."""
