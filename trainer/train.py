"""The training loop: batches to gradients to steps, with checkpoints, a log, a progress line, and an orderly stop.

In: a :class:`RunConfig`. Out: checkpoints, ``tokenizer.json``, ``config.toml``, ``log.jsonl``, ``report.html`` and at
the end ``summary.json`` in the output folder. A signal (SIGTERM, Ctrl-C), the time limit or the last step ends the
loop; each of them saves first.
"""

import contextlib
import io
import json
import math
import resource
import signal
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from trainer import checkpoint
from trainer.broken import ended_by
from trainer.config import RunConfig
from trainer.data.loader import Batch, Loader
from trainer.data.portable import PortableLoader
from trainer.distributed import World
from trainer.evaluate.during import During, in_words
from trainer.guard import IN_A_ROW, Guard, Seen
from trainer.hold import Hold
from trainer.log import Log, Watch
from trainer.models.clip import parameter_count
from trainer.models.count import training_operations
from trainer.optim import Average, clamp_scale, make_optimizer, scale_of, set_rates, share_of_peak
from trainer.report import render_run
from trainer.resume import Beginning, begin
from trainer.setup import make_keys, make_model, make_tokenizer, precision, set_phase
from trainer.state import collect, restore
from trainer.step import Stepper
from trainer.stop import Stop
from trainer.weights import spec_values
from webimagetext.files import is_folder, join, write_atomic
from webimagetext.progress import Progress, human_time
from webimagetext.settings import to_dict, to_toml

__all__ = ["train"]


class Run:
    """One call of the trainer: made ready by the constructor, which raises UserError for anything that cannot work."""

    def __init__(self, config: RunConfig, begun: Beginning, world: World, started: float) -> None:
        self.config, self.world, self.started = config, world, started
        self.spec, self.dataset, self.inputs = begun.spec, begun.dataset, begun.inputs
        self.total, content = begun.total, begun.content
        stored = content.tokenizer if content else ""
        self.tokenizer = make_tokenizer(config, self.spec, self.dataset, world, stored)
        keys = make_keys(config, self.spec, self.dataset, self.tokenizer, world, content)
        self.model = make_model(config, self.spec, world, resumed=content is not None, keys=keys)
        self.dtype = precision(config, world.device)
        self.parameters = parameter_count(self.model)
        self.module = world.wrap(self.model, config.parallel)
        self.optimizer = make_optimizer(self.model, config)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=self.dtype is torch.float16)
        self.average = Average(self.model, config.ema) if config.ema else None
        self.step, self.seconds_before = 0, 0.0
        if content is not None:
            restore(content, self.model, self.optimizer, self.scaler, self.average)
            self.step, self.seconds_before = content.step, content.seconds
        self.first_step = self.kept_step = self.step
        self.guard = Guard(config.skip_spikes, content.guard if content else {})
        norms = [module for module in self.model.modules() if isinstance(module, nn.BatchNorm2d)]
        self.statistics = [buffer for norm in norms for buffer in norm.buffers()]
        self.stepper = Stepper(self.model, self.module, config, world, self.dtype, self.scaler, config.seed)
        self.rate = self.spec.learning_rate if config.learning_rate is None else config.learning_rate
        self.during: During | None = None
        world.first(self.make_during)
        self.log = Log(config, world.is_first)
        self.saved = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self.started

    @property
    def spent(self) -> float:
        """Seconds of training so far, over all calls."""
        return self.seconds_before + self.elapsed

    @property
    def epoch(self) -> float:
        """Passes over the data so far."""
        return round(self.step / self.dataset.steps_per_epoch, 3)

    def side(self, step: int) -> int:
        """The side of the pictures in ``step``, pixels."""
        early = step < self.total - self.config.final_steps
        return self.config.low_resolution if self.config.low_resolution and early else self.spec.image_size

    def progress_made(self) -> float:
        """The share of the run that is behind us: by steps, or by time where that ends it sooner."""
        share = self.step / self.total
        if self.config.max_seconds:
            share = max(share, self.world.same(self.spent / self.config.max_seconds))
        return share

    def loop(self) -> str:
        """Trains until something ends it. Returns why: "finished", "time", "SIGTERM" or "SIGINT"."""
        stop = Stop()
        loader = self.make_loader(lambda: bool(self.reason_to_end(stop)))
        watch = Watch(self.log, self.config.stall_seconds, lambda: loader.reading)
        self.world.tell(watch.words)
        self.saved = time.monotonic()
        self.model.train()
        try:
            with self.progress_line() as bar, self.world.told_of_losses():
                batches = iter(loader)
                while self.step < self.total:
                    with watch.phase("data"):
                        batch = next(batches, None)  # None: there is a reason to end
                    ending = self.ending(stop)
                    if ending or batch is None:
                        if self.step != self.kept_step:
                            self.save()
                        return ending
                    with watch.phase("step"):
                        self.take_step(batch)
                        self.heed(self.guard.look())
                    bar.set(self.step * self.config.batch_size)
                    if self.step % self.config.log_steps == 0 or self.step in (1, self.total):
                        bar.note = self.report(watch)
                    if self.is_save_due():
                        self.save()
                    if self.is_evaluation_due():
                        self.world.first(self.evaluate)
        finally:
            loader.close()
            watch.close()
            stop.close()
        return "finished"

    def make_loader(self, over: Callable[[], bool]) -> Loader | PortableLoader:
        """The batches from the next step on, by the path of --loader, until it is ``over``."""
        share = {"start": self.step, "stop": self.total, "rank": self.world.rank, "world": self.world.size}
        if self.config.loader == "indexed":
            return Loader(self.dataset, self.tokenizer, self.side, over=over, **share)
        urls = [shard.url for shards in self.dataset.sources for shard in shards]
        return PortableLoader(self.config, urls, self.dataset.fault, self.tokenizer, self.side, over=over, **share)

    def progress_line(self) -> Progress:
        """What the person who looks on sees; the other processes' go nowhere."""
        size = self.config.batch_size
        total = None if self.config.max_seconds else self.total * size
        bar = Progress("train", "samples", total, stream=None if self.world.is_first else io.StringIO())
        bar.resume_at(self.step * size)
        return bar

    def take_step(self, batch: Batch) -> None:
        """Moves the parameters by one batch, unless the guard refuses; its values stay on the device until the guard
        is asked for them."""
        config, device = self.config, self.world.device
        images = batch.images.to(device, non_blocking=True)
        ids = batch.ids.to(device, non_blocking=True)
        warmup = max(1, min(config.warmup_steps, self.total // 10))
        share = share_of_peak(self.step, warmup, self.progress_made(), warmup / self.total)
        set_rates(self.optimizer, self.rate * share)
        set_phase(self.model, config, self.step >= self.total - config.final_steps)
        self.optimizer.zero_grad(set_to_none=True)
        statistics = [buffer.clone() for buffer in self.statistics]
        loss = self.world.mean(self.stepper.gradient(self.step, images, ids))
        self.scaler.unscale_(self.optimizer)
        norm = self.world.gradient_norm(self.model)
        if config.clip_gradient:
            self.world.clip_gradient(self.model, norm, config.clip_gradient)
        self.move(loss, norm, statistics)
        clamp_scale(self.model)
        if self.average is not None:
            self.average.update(self.model)
        self.step += 1

    def move(self, loss: Tensor, norm: Tensor, statistics: list[Tensor]) -> None:
        """The optimizer's step, and the ``statistics`` of before where there must be none."""
        if self.scaler.is_enabled():
            # Half precision: the scaler passes over gradients that are not finite by itself, and cannot be told more.
            refused = self.guard.refuse(self.step + 1, loss, norm.nan_to_num(0.0, 0.0, 0.0))
            if not bool(refused):
                self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            refused = self.guard.refuse(self.step + 1, loss, norm)
            self.optimizer.found_inf = refused  # type: ignore[attr-defined] # which a fused optimizer heeds
            self.optimizer.step()
        for now, before in zip(self.statistics, statistics, strict=True):
            now.copy_(torch.where(refused > 0, before, now))

    def heed(self, seen: Seen | None) -> None:
        """Logs a step that did not move the weights. Raises UserError where the run cannot go on after it."""
        if seen is None or seen.applied:
            return
        if not seen.finite and (not self.config.skip_spikes or self.guard.broken >= IN_A_ROW):
            self.world.first(lambda: self.give_up(seen))
        numbers = {"loss": seen.loss, "gradient_norm": seen.norm}
        told = {name: value if math.isfinite(value) else str(value) for name, value in numbers.items()}
        self.log.event("skipped", step=seen.step, **told)

    def give_up(self, seen: Seen) -> None:
        """Raises the UserError for a step that is not finite."""
        in_a_row = max(1, self.guard.broken)
        raise ended_by(seen, in_a_row, self.config.output, skipping=bool(self.config.skip_spikes))

    def reason_to_end(self, stop: Stop) -> float:
        """Why this process would end now: the number of a signal, 1 for the time limit, 0 to go on."""
        limit = self.config.max_seconds
        late = limit and self.world.is_first and self.spent > limit and self.step > self.first_step
        return float(stop.signal or bool(late))

    def ending(self, stop: Stop) -> str:
        """Why to end now, agreed between all processes; empty to go on."""
        code = int(self.world.largest(self.reason_to_end(stop)))
        return "" if not code else "time" if code == 1 else signal.Signals(code).name

    def is_save_due(self) -> bool:
        """Whether a checkpoint belongs here: by steps, by minutes, or after the last step. Every process must ask at
        every step."""
        steps, minutes = self.config.checkpoint_steps, self.config.checkpoint_minutes
        late = minutes and self.world.same(time.monotonic() - self.saved) > 60 * minutes
        return bool(late) or self.step == self.total or bool(steps and self.step % steps == 0)

    def save(self) -> None:
        """Writes a checkpoint; every process takes part."""
        self.saved = time.monotonic()
        newest = self.guard.newest()
        if newest is not None and not newest.finite and not self.config.skip_spikes:
            self.world.first(lambda: self.give_up(newest))
        parts = collect(self.model, self.optimizer, self.scaler, self.average)
        self.world.first(lambda: self.write(parts, newest))
        self.kept_step = self.step

    def write(self, parts: dict[str, Any], newest: Seen | None) -> None:
        """Writes a checkpoint of the state in ``parts``, taken after the step ``newest``."""
        values = {"spec": spec_values(self.spec), "config": to_dict(self.config), "inputs": self.inputs}
        values["guard"] = self.guard.state()
        words = self.tokenizer.to_json()
        state = checkpoint.Checkpoint(self.step, self.spent, tokenizer=words, **values, **parts)
        good = newest.step if newest is not None and newest.finite else self.guard.good
        url = checkpoint.write(self.config.output, state, self.config.keep, good)
        self.log.event("checkpoint", step=self.step, file=url)

    def make_during(self) -> None:
        """Reads what the model is evaluated on, where that is asked for; by the first process alone."""
        if self.config.evaluate_every:
            self.during = During(self.config, self.model, self.tokenizer, self.world.device)

    def is_evaluation_due(self) -> bool:
        """Whether an evaluation belongs here."""
        every = self.config.evaluate_every
        return bool(every) and (self.step % every == 0 or self.step == self.total)

    def evaluate(self) -> None:
        """Evaluates and logs the weights that a checkpoint would be used with: the average, where there is one."""
        assert self.during is not None
        with self.average.put_into(self.model) if self.average is not None else contextlib.nullcontext():
            figures = self.during()
        samples = self.step * self.config.batch_size
        compute = training_operations(self.spec, samples)
        self.log.event(
            "evaluation", step=self.step, samples=samples, compute=compute, parameters=self.parameters, **figures
        )
        self.world.say(f"step {self.step:,}: {in_words(figures)}")
        self.write_page()

    def write_page(self) -> None:
        """Writes the curves so far."""
        name = self.config.output.rstrip("/").rpartition("/")[2]
        with write_atomic(join(self.config.output, "report.html"), "w") as stream:
            stream.write(render_run(name, self.log.events(), to_toml(self.config)))

    def report(self, watch: Watch) -> str:
        """Logs the step's figures and returns them as a note for the progress line."""
        newest = self.guard.newest()
        if newest is None or not newest.finite:
            return ""  # which the guard tells of at the next step
        scale = scale_of(self.model)
        wait, memory = watch.share("data"), self.memory_gb()
        self.log.event(
            "step",
            step=self.step,
            samples=self.step * self.config.batch_size,
            epoch=self.epoch,
            loss=newest.loss,
            gradient_norm=newest.norm,
            **({} if scale is None else {"logit_scale": scale}),
            learning_rate=self.optimizer.param_groups[0]["lr"] / self.optimizer.param_groups[0]["factor"],
            data_wait=round(wait, 4),
            memory_gb=round(memory, 2),
            seconds=round(self.elapsed, 2),
            faults=sum(self.dataset.faults.values()),
            skipped=self.guard.skipped,
        )
        told = "" if scale is None else f"scale {scale:.1f}  "
        note = f"loss {newest.loss:.3f}  {told}waiting for data {100 * wait:.0f} %  {memory:.1f} GB"
        return f"{note}  {human_time(self.seconds_left())} left" if self.config.max_seconds else note

    def seconds_left(self) -> float:
        """Until the time limit, or the last step where that comes sooner."""
        by_steps = self.spent * (1 / max(1e-9, self.step / self.total) - 1)
        return max(0.0, min(self.config.max_seconds - self.spent, by_steps))

    def memory_gb(self) -> float:
        """The most that was held so far: by torch on a GPU, by the process on a CPU."""
        if self.world.device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 1e9
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

    def announce(self) -> None:
        """Says, logs and writes down what begins."""
        config, world = self.config, self.world
        kind = "fp32" if self.dtype is None else str(self.dtype)[6:]
        world.say(
            f"{config.model}: {self.parameters:,} parameters, vocabulary {len(self.tokenizer):,}, "
            f"{world.size} × {world.device.type}, {kind}\n"
            f"{self.dataset.size:,} pairs, {self.total:,} steps of {config.batch_size:,}"
            + (f", from step {self.step:,}" if self.step else "")
            + (f", at most {human_time(config.max_seconds)}" if config.max_seconds else "")
        )
        if world.is_first:
            for name, text in (("config.toml", to_toml(config)), ("tokenizer.json", self.tokenizer.to_json())):
                with write_atomic(join(config.output, name), "w") as stream:
                    stream.write(text)
        self.log.event("start", step=self.step, total=self.total, pairs=self.dataset.size, parameters=self.parameters)

    def conclude(self, ending: str) -> int:
        """Says, logs and writes down how it ended. Returns the exit status."""
        faults, names = sum(self.dataset.faults.values()), self.dataset.fault_names
        self.log.event("end", reason=ending, step=self.step, faults=faults, examples=names[:20])
        if self.world.is_first:
            self.write_page()
        if faults:
            self.world.say(f"{faults:,} samples or shards were not as they should be, e.g. {names[0]}")
        if ending.startswith("SIG"):
            done = f"and saved at step {self.step:,}" if self.step else "before the first step"
            self.world.say(f"stopped {done}; the same command goes on from there")
            return 128 + signal.Signals[ending]
        if self.world.is_first:
            summary = self.summary(ending)
            with write_atomic(join(self.config.output, "summary.json"), "w") as stream:
                json.dump(summary, stream, indent=1)
            self.world.say(f"trained for {self.step:,} steps, {self.epoch} epochs: {summary['checkpoint']}")
        return 0

    def summary(self, ending: str) -> dict[str, Any]:
        """The contents of ``summary.json``."""
        newest = self.guard.newest()  # also of a run that was killed when only this was left to do
        return {
            "steps": self.step,
            "samples": self.step * self.config.batch_size,
            "epochs": self.epoch,
            "seconds": round(self.spent, 1),
            "loss": newest.loss if newest is not None and newest.finite else None,
            "ended_by": ending,
            "checkpoint": checkpoint.newest(self.config.output),
        }


def train(config: RunConfig, started: float) -> int:
    """Runs training from beginning to end; returns the exit status (143 after SIGTERM, 130 after Ctrl-C)."""
    with contextlib.ExitStack() as open_things:
        world = World(config.device, config.rank_seconds)
        open_things.callback(world.close)
        open_things.enter_context(world.told_of_losses())
        hold = Hold(config.output)
        open_things.callback(hold.close)
        world.first(lambda: hold.take() if is_folder(config.output) else None)
        begun = begin(config, world)
        open_things.callback(begun.dataset.library.close)
        world.first(hold.take)
        if begun.finished and begun.content is not None:
            world.say(f"{config.output}: finished already, after {begun.content.step:,} steps; nothing to do")
            return 0
        run = Run(config, begun, world, started)
        open_things.callback(run.log.close)
        run.announce()
        return run.conclude(run.loop() if run.step < run.total else "finished")
