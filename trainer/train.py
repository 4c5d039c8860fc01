"""The training loop: batches to gradients to steps, with checkpoints, a log, a progress line, and an orderly stop.

In: a :class:`RunConfig`. Out: checkpoints, ``tokenizer.json``, ``config.toml``, ``log.jsonl`` and at the end
``summary.json`` in the output folder. A signal (SIGTERM, Ctrl-C), the time limit or the last step ends the loop; each
of them saves first.
"""

import contextlib
import io
import json
import math
import resource
import time
from typing import Any

import torch

from trainer import checkpoint
from trainer.config import RunConfig
from trainer.data.loader import Batch, Loader
from trainer.data.portable import PortableLoader
from trainer.distributed import World
from trainer.log import Log, Watch
from trainer.models.clip import parameter_count
from trainer.optim import Average, clamp_scale, make_optimizer, set_rates, share_of_peak
from trainer.resume import Beginning, begin
from trainer.setup import make_model, make_tokenizer, precision, set_phase
from trainer.state import collect, restore
from trainer.step import Stepper
from trainer.stop import Stop
from trainer.weights import spec_values
from webimagetext.errors import UserError
from webimagetext.files import join, write_atomic
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
        self.model = make_model(config, self.spec, world, resumed=content is not None)
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
        self.stepper = Stepper(self.model, self.module, config, world, self.dtype, self.scaler, config.seed)
        self.rate = self.spec.learning_rate if config.learning_rate is None else config.learning_rate
        self.log = Log(config, world.is_first)
        self.losses: list[float] = []
        self.saved = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self.started

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
            share = max(share, self.world.same(self.elapsed / self.config.max_seconds))
        return share

    def loop(self) -> str:
        """Trains until something ends it. Returns why: "finished", "time", or "signal"."""
        loader, stop = self.make_loader(), Stop()
        watch = Watch(self.log, self.config.stall_seconds, lambda: loader.reading)
        self.saved = time.monotonic()
        self.model.train()
        try:
            with self.progress_line() as bar:
                batches = iter(loader)
                while self.step < self.total:
                    with watch.phase("data"):
                        batch = next(batches)
                    with watch.phase("step"):
                        loss = self.take_step(batch)
                    bar.set(self.step * self.config.batch_size)
                    if self.step % self.config.log_steps == 0 or self.step in (1, self.total):
                        bar.note = self.report(float(loss), watch)
                    ending, due = self.ending(stop), self.is_save_due()
                    if ending or due:
                        self.save()
                    if ending:
                        return ending
        finally:
            loader.close()
            watch.close()
            stop.close()
        return "finished"

    def make_loader(self) -> Loader | PortableLoader:
        """The batches from the next step on, by the path of --loader."""
        share = {"start": self.step, "stop": self.total, "rank": self.world.rank, "world": self.world.size}
        if self.config.loader == "indexed":
            return Loader(self.dataset, self.tokenizer, self.side, **share)
        urls = [shard.url for shards in self.dataset.sources for shard in shards]
        return PortableLoader(self.config, urls, self.dataset.fault, self.tokenizer, self.side, **share)

    def progress_line(self) -> Progress:
        """What the person who looks on sees; the other processes' go nowhere."""
        size = self.config.batch_size
        total = None if self.config.max_seconds else self.total * size
        bar = Progress("train", "samples", total, stream=None if self.world.is_first else io.StringIO())
        bar.resume_at(self.step * size)
        return bar

    def take_step(self, batch: Batch) -> torch.Tensor:
        """Moves the parameters by one batch; returns the loss, still on the device."""
        config, device = self.config, self.world.device
        images = batch.images.to(device, non_blocking=True)
        ids = batch.ids.to(device, non_blocking=True)
        warmup = max(1, min(config.warmup_steps, self.total // 10))
        share = share_of_peak(self.step, warmup, self.progress_made(), warmup / self.total)
        set_rates(self.optimizer, self.rate * share)
        set_phase(self.model, config, self.step >= self.total - config.final_steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.stepper.gradient(self.step, images, ids)
        if config.clip_gradient:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_gradient)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        clamp_scale(self.model)
        if self.average is not None:
            self.average.update(self.model)
        self.step += 1
        return loss

    def ending(self, stop: Stop) -> str:
        """Why to end now, agreed between all processes; empty to go on."""
        code = 2.0 if stop.signal else 0.0
        limit = self.config.max_seconds
        if limit and self.world.is_first and self.elapsed > limit:
            code = max(code, 1.0)
        return {0.0: "", 1.0: "time", 2.0: "signal"}[self.world.largest(code)]

    def is_save_due(self) -> bool:
        """Whether a checkpoint belongs here: by steps, by minutes, or after the last step. Every process must ask at
        every step."""
        steps, minutes = self.config.checkpoint_steps, self.config.checkpoint_minutes
        late = minutes and self.world.same(time.monotonic() - self.saved) > 60 * minutes
        return bool(late) or self.step == self.total or bool(steps and self.step % steps == 0)

    def save(self) -> None:
        """Writes a checkpoint; every process takes part."""
        self.saved = time.monotonic()
        parts = collect(self.model, self.optimizer, self.scaler, self.average)
        if self.world.is_first:
            seconds = self.seconds_before + self.elapsed
            values = {"spec": spec_values(self.spec), "config": to_dict(self.config), "inputs": self.inputs}
            state = checkpoint.Checkpoint(self.step, seconds, tokenizer=self.tokenizer.to_json(), **values, **parts)
            url = checkpoint.write(self.config.output, state, self.config.keep)
            self.log.event("checkpoint", step=self.step, file=url)

    def report(self, loss: float, watch: Watch) -> str:
        """Logs the step's figures and returns them as a note for the progress line. Raises UserError for a broken
        loss."""
        loss = self.world.mean(loss)
        scale = float(self.model.logit_scale.detach().exp())
        if not math.isfinite(loss):
            raise UserError(
                f"step {self.step}: the loss is {loss}", "lower --learning-rate or give --clip-gradient 1, then resume"
            )
        self.losses.append(loss)
        wait, memory = watch.share("data"), self.memory_gb()
        self.log.event(
            "step",
            step=self.step,
            samples=self.step * self.config.batch_size,
            epoch=self.epoch,
            loss=loss,
            logit_scale=scale,
            learning_rate=self.optimizer.param_groups[0]["lr"] / self.optimizer.param_groups[0]["factor"],
            data_wait=round(wait, 4),
            memory_gb=round(memory, 2),
            seconds=round(self.elapsed, 2),
            faults=sum(self.dataset.faults.values()),
        )
        note = f"loss {loss:.3f}  scale {scale:.1f}  waiting for data {100 * wait:.0f} %  {memory:.1f} GB"
        return f"{note}  {human_time(self.seconds_left())} left" if self.config.max_seconds else note

    def seconds_left(self) -> float:
        """Until the time limit, or the last step where that comes sooner."""
        by_steps = self.elapsed * (1 / max(1e-9, self.step / self.total) - 1)
        return max(0.0, min(self.config.max_seconds - self.elapsed, by_steps))

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
        if faults:
            self.world.say(f"{faults:,} samples could not be read, e.g. {names[0]}")
        if ending == "signal":
            self.world.say(f"stopped and saved at step {self.step:,}; the same command goes on from there")
            return 143
        if self.world.is_first:
            summary = self.summary(ending)
            with write_atomic(join(self.config.output, "summary.json"), "w") as stream:
                json.dump(summary, stream, indent=1)
            self.world.say(f"trained for {self.step:,} steps, {self.epoch} epochs: {summary['checkpoint']}")
        return 0

    def summary(self, ending: str) -> dict[str, Any]:
        """The contents of ``summary.json``."""
        return {
            "steps": self.step,
            "samples": self.step * self.config.batch_size,
            "epochs": self.epoch,
            "seconds": round(self.seconds_before + self.elapsed, 1),
            "loss": self.losses[-1] if self.losses else None,
            "ended_by": ending,
            "checkpoint": checkpoint.newest(self.config.output),
        }


def train(config: RunConfig, started: float) -> int:
    """Runs training from beginning to end; returns the exit status (143 after a signal)."""
    with contextlib.ExitStack() as open_things:
        world = World(config.device)
        open_things.callback(world.close)
        begun = begin(config, world)
        open_things.callback(begun.dataset.library.close)
        if begun.finished and begun.content is not None:
            world.say(f"{config.output}: finished already, after {begun.content.step:,} steps; nothing to do")
            return 0
        run = Run(config, begun, world, started)
        open_things.callback(run.log.close)
        run.announce()
        return run.conclude(run.loop() if run.step < run.total else "finished")
