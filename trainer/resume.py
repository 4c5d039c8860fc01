"""What a call of the trainer begins with: nothing, or the newest checkpoint of a run that it may go on with.

In: a :class:`RunConfig`. Out: a :class:`Beginning`. What decided the samples and the model so far must be the same as
then: settings by the marks in trainer/config.py, files by what they hold. What else differs is said in a line. A
checkpoint records what the files were known by, the list of the shards above all, and a resumed run keeps to that list.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from trainer import checkpoint
from trainer.checkpoint import Checkpoint
from trainer.config import RunConfig
from trainer.data.captions import STORED
from trainer.data.known import Sources, found_again, from_record, known, to_record
from trainer.data.loader import Dataset
from trainer.distributed import World
from trainer.models.spec import ModelSpec
from trainer.setup import check
from trainer.tokenizer import Tokenizer
from trainer.weights import read_spec
from webimagetext.contents import identity
from webimagetext.deciding import AHEAD, marks_of
from webimagetext.errors import UserError
from webimagetext.files import exists, join, read
from webimagetext.settings import to_dict

__all__ = ["Beginning", "begin"]

ELSEWHERE = "train into another --output"


@dataclass(frozen=True)
class Beginning:
    """What a run is made of, the checkpoint to go on from, or None, and what the next ones will record of the files."""

    spec: ModelSpec
    dataset: Dataset
    total: int  # steps
    content: Checkpoint | None
    inputs: Mapping[str, Any]
    finished: bool  # an earlier call ended in good order, with these settings and files or with no step left to take


def begin(config: RunConfig, world: World) -> Beginning:
    """Finds out where to begin. Raises UserError for settings that cannot work, or a checkpoint of another run."""
    spec = check(config, world)
    newest = checkpoint.newest(config.output)
    if newest and not config.resume:
        raise UserError(
            f"{config.output}: holds checkpoints already", "leave out --no-resume, or name another --output"
        )
    found = checkpoint.newest_whole(config.output, world.say)
    newest, content = found or (None, None)
    start_from = identity(config.start_from) if config.start_from and content is None else ""
    changed: list[str] = []
    if content is not None and newest is not None:
        _refuse_another_model(config, spec, content, newest)
        _refuse_other_settings(config, content, newest)
        _refuse_another_tokenizer(config, spec, content, newest)
        start_from = _same_start(config, content, newest, world)
        changed = _ahead(config, spec, content)
        if changed:
            world.say(f"goes on with {', '.join(changed)}")
    world.say(f"reading the index of {', '.join(config.train_data)}")
    before = from_record(content.inputs.get("shards", ())) if content is not None else []

    def settle(found: Sources) -> Sources:
        return world.first(lambda: _settled(config, found, before, newest or "", world))

    dataset = Dataset(config, settle)
    shards = to_record(dataset.sources)
    total = config.steps or max(1, round(config.epochs * dataset.steps_per_epoch))
    same = not changed and (not before or _samples_of(before) == _samples_of(dataset.sources))
    ended = content is not None and _ended_at(config) == content.step and (same or content.step >= total)
    return Beginning(spec, dataset, total, content, {"shards": shards, "start_from": start_from}, ended)


def _samples_of(sources: Sources) -> list[list[tuple[str, int]]]:
    """What of the shards decides the samples."""
    return [[(shard.identity, shard.size) for shard in group] for group in sources]


def _refuse_another_model(config: RunConfig, spec: ModelSpec, content: Checkpoint, url: str) -> None:
    stored = read_spec(content.spec)
    for field in fields(ModelSpec):
        theirs, ours = getattr(stored, field.name), getattr(spec, field.name)
        if theirs != ours and field.name != "learning_rate":
            raise UserError(
                f"{url}: is of a model with {field.name} {theirs}, and --model {config.model} has {ours}",
                f"{ELSEWHERE}, or use it with --start-from",
            )


def _refuse_other_settings(config: RunConfig, content: Checkpoint, url: str) -> None:
    """Those without a mark: each of them decides which samples a step takes, or what the weights are."""
    idle = {"caption_fields"} if config.captions in STORED else set()
    idle |= {"vocab_size"} if config.tokenizer else set()
    idle |= {"ngrams"} if config.objective != "ngram" else set()
    names = [name for name, marks in marks_of(RunConfig).items() if not marks and name not in idle]
    wrong = [f"{flag} {then}, not {now}" for flag, then, now in _differing(names, config, content)]
    if wrong:
        raise UserError(f"{url}: was made with {' and '.join(wrong)}", f"resume with the same value, or {ELSEWHERE}")


def _refuse_another_tokenizer(config: RunConfig, spec: ModelSpec, content: Checkpoint, url: str) -> None:
    if not config.tokenizer:
        return
    own = Tokenizer.from_json(content.tokenizer, url, spec.context_length)
    if Tokenizer.load(config.tokenizer, spec.context_length).to_json() != own.to_json():
        raise UserError(
            f"{url}: was made with another tokenizer than --tokenizer {config.tokenizer}",
            f"leave out --tokenizer, since the checkpoint holds its own, or {ELSEWHERE}",
        )


def _same_start(config: RunConfig, content: Checkpoint, url: str, world: World) -> str:
    """The word for the weights that the run was begun with. Raises UserError when --start-from names others."""
    then = str(content.inputs.get("start_from", ""))
    if not config.start_from or "start_from" not in content.inputs:
        return then
    if not exists(config.start_from):
        world.say(f"--start-from {config.start_from} is not there any more; the checkpoint's weights are taken")
        return then
    if identity(config.start_from) != then:
        raise UserError(
            f"{url}: was {'begun with other weights than' if then else 'not begun with'} --start-from "
            f"{config.start_from}",
            f"leave out --start-from to go on from the checkpoint, or {ELSEWHERE}",
        )
    return then


def _ahead(config: RunConfig, spec: ModelSpec, content: Checkpoint) -> list[str]:
    """The settings that differ and may, each in words."""
    names = [name for name, marks in marks_of(RunConfig).items() if AHEAD in marks]
    peak = {"learning_rate": spec.learning_rate}
    past = {"learning_rate": content.spec.get("learning_rate")}
    return [
        f"{flag} {now} instead of {then}"
        for flag, then, now in _differing(names, config, content, ours=peak, theirs=past)
    ]


def _differing(
    names: list[str],
    config: RunConfig,
    content: Checkpoint,
    ours: Mapping[str, Any] | None = None,
    theirs: Mapping[str, Any] | None = None,
) -> list[tuple[str, str, str]]:
    """The options that differ, with their values then and now; ``ours`` and ``theirs`` stand in for those left out."""
    now = {**(ours or {}), **to_dict(config)}
    then = {**to_dict(RunConfig()), **(theirs or {}), **content.config}
    return [
        (f"--{name.replace('_', '-')}", _worded(then.get(name)), _worded(now.get(name)))
        for name in names
        if then.get(name) != now.get(name)
    ]


def _worded(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        value = " ".join(map(str, value))
    return "none" if value is None or value == "" else str(value)


def _settled(config: RunConfig, found: Sources, before: Sources, url: str, world: World) -> Sources:
    """The shards to train on: those of the record where they lie now; without a record, or by --new-data, those found.

    Raises UserError when some of the record are not among them.
    """
    now = known(found, before)
    if not before:
        if url:
            world.say(f"{url}: does not say what its shards held; goes on with those there are")
        return now
    again, lost, more = found_again(now, before)
    if not lost and not more:
        return again
    count = sum(map(len, before))
    if config.new_data:
        what = f"gone {len(lost):,} of {count:,} shards, new {more:,}"
        world.say(f"--new-data: {what}; the order of the samples is another one from here on")
        return now
    if lost:
        raise UserError(
            f"{url}: of the {count:,} shards it was trained on, {len(lost):,} are not in --train-data, e.g. "
            f"{lost[0].url}",
            f"give the same shards (they may lie elsewhere), go on with these by --new-data, or {ELSEWHERE}",
        )
    world.say(
        f"--train-data: {more:,} more than the {count:,} shards of the start; left out, unless --new-data is given"
    )
    return again


def _ended_at(config: RunConfig) -> int | None:
    """The steps after which an earlier call ended the run; None where its summary is not there or damaged."""
    summary = read(join(config.output, "summary.json"))
    try:
        return None if summary is None else int(json.loads(summary)["steps"])
    except (ValueError, KeyError, TypeError):
        return None
