"""The training loop: batches to gradients to steps, with checkpoints, a log, a progress line, and an orderly stop.

In: a :class:`RunConfig`. Out: checkpoints, ``tokenizer.json``, ``config.toml``, ``log.jsonl`` and at the end ``summary.json`` in
the output folder. A signal (SIGTERM, Ctrl-C), the time limit or the last step ends the loop; each of them saves first.
"""

import io
import json
import math
import resource
import sys
import time
from typing import Any

import torch

from trainer import checkpoint
from trainer.config import RunConfig
from trainer.data.loader import Batch, Dataset, Loader
from trainer.data.portable import PortableLoader
from trainer.distributed import World
from trainer.log import Log, Watch
from trainer.models.clip import parameter_count
from trainer.optim import Average, clamp_scale, make_optimizer, set_rates, share_of_peak
from trainer.setup import check, check_resume, make_model, make_tokenizer, precision, set_phase
from trainer.state import collect, restore
from trainer.step import Stepper
from trainer.stop import Stop
from trainer.weights import spec_values
from webimagetext.errors import UserError
from webimagetext.files import exists, join, open_input, write_atomic
from webimagetext.progress import Progress, human_time
from webimagetext.settings import fingerprint, to_dict, to_toml

__all__ = ["Run", "train"]


class Run:
    """One call of the trainer: made ready by the constructor, which raises UserError for anything that cannot work."""

    def __init__(self, config: RunConfig, started: float) -> None:
        self.config, self.started = config, started
        self.world = World(config.device)
        self.spec = check(config, self.world)
        newest = checkpoint.newest(config.output)
        if newest and not config.resume:
            raise UserError(
                f"{config.output}: holds checkpoints already", "leave out --no-resume, or name another --output"
            )
        content = checkpoint.read(newest) if newest else None
        if content is not None and newest is not None:
            check_resume(config, self.spec, content, newest)
        self.say(f"reading the index of {', '.join(config.train_data)}")
        self.dataset = Dataset(config)
        self.total = config.steps or max(1, round(config.epochs * self.dataset.steps_per_epoch))
        stored = content.tokenizer if content else ""
        self.tokenizer = make_tokenizer(config, self.spec, self.dataset, self.world, stored)
        self.model = make_model(config, self.spec, self.world)
        self.dtype = precision(config, self.world.device)
        self.parameters = parameter_count(self.model)
        self.module = self.world.wrap(self.model, config.parallel)
        self.optimizer = make_optimizer(self.model, config)
        self.scaler = torch.amp.GradScaler(self.world.device.type, enabled=self.dtype is torch.float16)
        self.average = Average(self.model, config.ema) if config.ema else None
        self.step, self.seconds_before = 0, 0.0
        if content is not None:
            restore(content, self.model, self.optimizer, self.scaler, self.average)
            self.step, self.seconds_before = content.step, content.seconds
        self.stepper = Stepper(self.model, self.module, config, self.world, self.dtype, self.scaler, config.seed)
        self.rate = self.spec.learning_rate if config.learning_rate is None else config.learning_rate
        self.log = Log(config, self.world.is_first)
        self.losses: list[float] = []

    def say(self, text: str) -> None:
        """A line for the person who looks on, from the first process only."""
        if self.world.is_first:
            print(text, file=sys.stderr, flush=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self.started

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

    def save(self, log: Log) -> str:
        """Writes a checkpoint (every process takes part) and returns its address."""
        parts = collect(self.model, self.optimizer, self.scaler, self.average)
        url = ""
        if self.world.is_first:
            seconds = self.seconds_before + self.elapsed
            values = {"spec": spec_values(self.spec), "config": to_dict(self.config)}
            state = checkpoint.Checkpoint(self.step, seconds, tokenizer=self.tokenizer.to_json(), **values, **parts)
            url = checkpoint.write(self.config.output, state, self.config.keep)
            log.event("checkpoint", step=self.step, file=url)
        return url

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

    def make_loader(self) -> Loader | PortableLoader:
        """The batches from the next step on, by the path of --loader."""
        share = {"start": self.step, "stop": self.total, "rank": self.world.rank, "world": self.world.size}
        if self.config.loader == "indexed":
            return Loader(self.dataset, self.tokenizer, self.side, **share)
        urls = [shard.url for shards in self.dataset.sources for shard in shards]
        return PortableLoader(self.config, urls, self.dataset.fault, self.tokenizer, self.side, **share)

    def loop(self) -> str:
        """Trains until something ends it. Returns why: "finished", "time", or "signal"."""
        config, world = self.config, self.world
        loader = self.make_loader()
        watch = Watch(self.log, config.stall_seconds, lambda: loader.reading)
        stop = Stop()
        saved = time.monotonic()
        ending = "finished"
        total = None if config.max_seconds else self.total * config.batch_size
        self.model.train()
        try:
            with Progress("train", "samples", total, stream=None if world.is_first else io.StringIO()) as bar:
                bar.resume_at(self.step * config.batch_size)
                batches = iter(loader)
                while self.step < self.total:
                    with watch.phase("data"):
                        batch = next(batches)
                    with watch.phase("step"):
                        loss = self.take_step(batch)
                    bar.set(self.step * config.batch_size)
                    if self.step % config.log_steps == 0 or self.step in (1, self.total):
                        bar.note = self.report(float(loss), watch)
                    ending = self._ending(stop)
                    now = time.monotonic()
                    due = config.checkpoint_steps and self.step % config.checkpoint_steps == 0
                    late = (
                        world.same(now - saved) > 60 * config.checkpoint_minutes if config.checkpoint_minutes else False
                    )
                    if ending or self.step == self.total or due or late:
                        self.save(self.log)
                        saved = now
                    if ending:
                        break
        finally:
            loader.close()
            watch.close()
            stop.close()
        return ending or "finished"

    def _ending(self, stop: Stop) -> str:
        """Why to end now, agreed between all processes; empty to go on."""
        code = 2.0 if stop.signal else 0.0
        limit = self.config.max_seconds
        if limit and self.world.is_first and self.elapsed > limit:
            code = max(code, 1.0)
        return {0.0: "", 1.0: "time", 2.0: "signal"}[self.world.largest(code)]

    def report(self, loss: float, watch: Watch) -> str:
        """Logs the step's figures and returns them as a note for the progress line. Raises UserError for a broken loss."""
        loss = self.world.mean(loss)
        scale = float(self.model.logit_scale.detach().exp())
        if not math.isfinite(loss):
            raise UserError(
                f"step {self.step}: the loss is {loss}", "lower --learning-rate or give --clip-gradient 1, then resume"
            )
        self.losses.append(loss)
        data, step = watch.seconds["data"], watch.seconds["step"]
        wait = data / max(1e-9, data + step)
        if self.world.device.type == "cuda":
            memory = torch.cuda.max_memory_allocated() / 1e9
        else:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        self.log.event(
            "step",
            step=self.step,
            samples=self.step * self.config.batch_size,
            epoch=round(self.step / self.dataset.steps_per_epoch, 3),
            loss=loss,
            logit_scale=scale,
            learning_rate=self.optimizer.param_groups[0]["lr"] / self.optimizer.param_groups[0]["factor"],
            data_wait=round(wait, 4),
            memory_gb=round(memory, 2),
            seconds=round(self.elapsed, 2),
            faults=sum(self.dataset.faults.values()),
        )
        note = f"loss {loss:.3f}  scale {scale:.1f}  waiting for data {100 * wait:.0f} %  {memory:.1f} GB"
        if self.config.max_seconds:
            left = min(
                self.config.max_seconds - self.elapsed, self.elapsed * (1 / max(1e-9, self.step / self.total) - 1)
            )
            note += f"  {human_time(max(0, left))} left"
        return note

    def close(self) -> None:
        """Ends the log, the files and the connection between processes."""
        self.log.close()
        self.dataset.library.close()
        self.world.close()


def _already_done(config: RunConfig) -> dict[str, Any] | None:
    """The summary of an earlier call that finished with the same settings."""
    url = join(config.output, "summary.json")
    if not (config.output and config.resume and exists(url)):
        return None
    with open_input(url) as stream:
        summary: dict[str, Any] = json.load(stream)
    return summary if summary.get("settings") == fingerprint(config) else None


def train(config: RunConfig, started: float) -> int:
    """Runs training from beginning to end; returns the exit status (143 after SIGTERM, 130 after Ctrl-C)."""
    done = _already_done(config)
    if done is not None:
        print(f"{config.output}: finished already, after {done['steps']:,} steps; nothing to do", file=sys.stderr)
        return 0
    run = Run(config, started)
    try:
        processor = f"{run.world.size} × {run.world.device.type}, {'fp32' if run.dtype is None else str(run.dtype)[6:]}"
        run.say(
            f"{config.model}: {run.parameters:,} parameters, vocabulary {len(run.tokenizer):,}, {processor}\n"
            f"{run.dataset.size:,} pairs, {run.total:,} steps of {config.batch_size:,}"
            + (f", from step {run.step:,}" if run.step else "")
            + (f", at most {human_time(config.max_seconds)}" if config.max_seconds else "")
        )
        if run.world.is_first:
            with write_atomic(join(config.output, "config.toml"), "w") as stream:
                stream.write(to_toml(config))
            with write_atomic(join(config.output, "tokenizer.json"), "w") as stream:
                stream.write(run.tokenizer.to_json())
        run.log.event("start", step=run.step, total=run.total, pairs=run.dataset.size, parameters=run.parameters)
        ending = run.loop() if run.step < run.total else "finished"
        faults = sum(run.dataset.faults.values())
        run.log.event("end", reason=ending, step=run.step, faults=faults, examples=run.dataset.fault_names[:20])
        if faults:
            run.say(f"{faults:,} samples could not be read, e.g. {run.dataset.fault_names[0]}")
        if ending == "signal":
            run.say(f"stopped and saved at step {run.step:,}; the same command goes on from there")
            return 143
        if run.world.is_first:
            summary = {
                "settings": fingerprint(config),
                "steps": run.step,
                "samples": run.step * config.batch_size,
                "epochs": round(run.step / run.dataset.steps_per_epoch, 3),
                "seconds": round(run.seconds_before + run.elapsed, 1),
                "loss": run.losses[-1] if run.losses else None,
                "ended_by": ending,
                "checkpoint": checkpoint.newest(config.output),
            }
            with write_atomic(join(config.output, "summary.json"), "w") as stream:
                json.dump(summary, stream, indent=1)
            run.say(f"trained for {run.step:,} steps, {summary['epochs']} epochs: {summary['checkpoint']}")
        return 0
    finally:
        run.close()
