"""What a run tells: one JSON object a line in ``log.jsonl``, and on request TensorBoard and Weights & Biases.

In: events (``step``, ``checkpoint``, ``stall`` …) with numbers. Out: the file, each line complete. :class:`Watch` names
what the run waits for when a batch or a step takes too long.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

from trainer.config import OutputConfig
from webimagetext.errors import UserError, full_disk_names
from webimagetext.extras import needed_by
from webimagetext.files import is_url, join, make_folder, read, write_atomic

__all__ = ["Log", "Watch"]


SENT_AT = ("start", "checkpoint", "stall", "end")


def _is_cut(path: str) -> bool:
    """Whether a local file ends within a line."""
    with open(path, "rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, end - 1))
        return stream.read(1) not in (b"", b"\n")


class Log:
    """Writes events; a log that is not ``active`` (another process's) swallows them."""

    def __init__(self, config: OutputConfig, active: bool) -> None:
        self._file: IO[str] | None = None
        self._path = self._url = ""
        self._board: Any = None
        self._wandb: Any = None
        self._lock = threading.Lock()
        if not active:
            return
        path = join(config.output, "log.jsonl")
        if is_url(config.output):
            # Nothing can be appended to there: the log grows on this machine and is sent whole, at the events of
            # :data:`SENT_AT`.
            self._url = path
            self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
            self._file.write((read(path) or b"").decode())
        else:
            make_folder(config.output)
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115
            if _is_cut(path):
                self._file.write("\n")  # behind a line that a full disk or a crash has cut
            self._path = path
        if config.tensorboard:
            if is_url(config.output):
                raise UserError("--tensorboard appends to local files", "give a local --output, or use --wandb")
            with needed_by("--tensorboard"):
                from torch.utils.tensorboard import SummaryWriter
            self._board = SummaryWriter(join(config.output, "tensorboard"))
        if config.wandb:
            with needed_by("--wandb"):
                import wandb  # type: ignore[import-not-found, unused-ignore]
            wandb.init(project=config.wandb, dir=None if is_url(config.output) else config.output)
            self._wandb = wandb

    def event(self, kind: str, **values: Any) -> None:
        """Writes one event; numbers of a "step" or "evaluation" also go to the boards, those of the latter with that
        word in front."""
        with self._lock:
            if self._file is not None:
                line = json.dumps({"event": kind, "time": round(time.time(), 3), **values})
                with full_disk_names(self._path):
                    self._file.write(line + "\n")
                    self._file.flush()
                if self._url and kind in SENT_AT:
                    self._send()
            if kind in ("step", "evaluation"):
                step, front = values["step"], "" if kind == "step" else f"{kind}/"
                numbers = {f"{front}{name}": value for name, value in values.items() if isinstance(value, (int, float))}
                if self._board is not None:
                    for name, value in numbers.items():
                        self._board.add_scalar(name, value, step)
                if self._wandb is not None:
                    self._wandb.log(numbers, step=step)

    def events(self) -> list[dict[str, Any]]:
        """All that this run has logged, over all of its calls; lines that were cut are left out."""
        with self._lock:
            if self._file is None:
                return []
            if self._url:
                self._file.seek(0)
                lines = self._file.readlines()  # leaves the file's end as the place to write
            else:
                with open(self._path, encoding="utf-8") as stream:
                    lines = stream.readlines()
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [event for event in found if isinstance(event, dict)]

    def _send(self) -> None:
        """Writes the whole log to its place on an object store."""
        assert self._file is not None
        self._file.seek(0)
        with write_atomic(self._url, "w") as stream:
            shutil.copyfileobj(self._file, stream)  # leaves the file's end as the place to write

    def close(self) -> None:
        """Ends the log."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()


class Watch:
    """Notices when one phase of a step takes longer than ``limit`` seconds, and says which: "data" or "step"."""

    def __init__(self, log: Log, limit: float, detail: Callable[[], str]) -> None:
        self._log, self._limit, self._detail = log, limit, detail
        self._phase, self._since = "", time.monotonic()
        self._end = threading.Event()
        self.seconds = {"data": 0.0, "step": 0.0}
        threading.Thread(target=self._look, name="watch", daemon=True).start()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Marks the time inside as spent on ``name``."""
        self._phase, self._since = name, time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] += time.monotonic() - self._since
            self._phase = ""

    def share(self, name: str) -> float:
        """The share of the time so far that was spent on ``name``."""
        return self.seconds[name] / max(1e-9, sum(self.seconds.values()))

    def words(self) -> str:
        """What is done now."""
        data = f"waiting for data, last read {self._detail()}"
        return {"data": data, "step": "inside one step"}.get(self._phase, "between two steps")

    def close(self) -> None:
        """Stops looking."""
        self._end.set()

    def _look(self) -> None:
        told = 0.0
        while not self._end.wait(min(1.0, self._limit / 4)):
            since, phase = self._since, self._phase
            spent = time.monotonic() - since
            if phase and spent > self._limit and told != since:
                told = since
                print(f"\nstalled for {spent:.0f} s: {self.words()}", file=sys.stderr)
                self._log.event("stall", phase=phase, seconds=round(spent, 1), detail=self._detail())
