"""The stages of a run in order, and what decides whether one is run, continued or skipped.

In: a run folder, a configuration and an engine. A step is done when its folder holds ``_SUCCESS`` with the fingerprint of the
step's settings and of its inputs' contents; then it is skipped. A step whose settings or inputs changed starts afresh; one that
was interrupted goes on where it stopped.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline import manifest
from pipeline.config import RunConfig
from pipeline.layout import SUCCESS_FILE, RunFolder
from pipeline.runners import Engine
from webimagetext import files
from webimagetext.progress import human_time
from webimagetext.settings import fingerprint

__all__ = ["Context", "Step", "run_steps"]

STARTED_FILE = "_STARTED"
# Raised when a step's output for the same settings changes, so that finished folders of older versions are made again.
FORMAT = 1


@dataclass(frozen=True)
class Context:
    """What every step gets."""

    run: RunFolder
    config: RunConfig
    engine: Engine
    # To be called by a step that has added to one of its own inputs: what it did so far then counts for the new fingerprint.
    input_extended: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Step:
    """One step of a run: from finished folders to a finished folder.

    ``output`` is the folder that carries the marker; ``owned`` are the other folders the step alone writes, removed with it
    before a fresh start. ``settings``, ``tables`` (the folders read) and ``documents`` (the single files read) make up the
    fingerprint. ``result`` words what came out, for the line that is printed.
    """

    name: str
    verb: str
    output: str
    work: Callable[[Context], None]
    settings: tuple[Any, ...]
    tables: tuple[str, ...]
    result: Callable[[Context], str]
    documents: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    keep: bool = False  # the output outlives changed settings and inputs: it is added to, never removed
    always: bool = False  # runs even when it is finished
    extends: bool = False  # its work adds to one of its own inputs, after which it calls ``input_extended``

    def fingerprint(self) -> str:
        """Of the step's settings and the contents of its inputs; raises UserError when an input is missing."""
        digests = [manifest.manifest_digest(folder) for folder in self.tables]
        digests += [files.digest(url) for url in self.documents]
        return fingerprint(FORMAT, self.name, *self.settings, digests)


def _begin(step: Step, mark: str) -> str:
    """Prepares the step's folders; says how it begins: "" afresh, or that it continues."""
    url = files.join(step.output, STARTED_FILE)
    if files.read(url) == mark.encode():
        return "continues where it stopped"
    # The marks go first: a removal that is cut short must not leave a folder that looks finished, or half way to another mark.
    for name in (SUCCESS_FILE, STARTED_FILE):
        files.remove_file(files.join(step.output, name))
    if not step.keep:
        for folder in (step.output, *step.owned):
            files.remove(folder)
    _mark_started(step, mark)
    return ""


def _mark_started(step: Step, mark: str | None = None) -> None:
    """Notes the fingerprint that the step's work counts for: ``mark``, or that of its inputs as they are now."""
    with files.write_atomic(files.join(step.output, STARTED_FILE), "w") as stream:
        stream.write(step.fingerprint() if mark is None else mark)


def run_steps(steps: Sequence[Step], context: Context) -> None:
    """Runs ``steps`` in order, skipping those that are finished."""
    for number, step in enumerate(steps, 1):
        head = f"[{number}/{len(steps)}] {step.name}"
        mark = step.fingerprint()
        if manifest.is_complete(step.output, mark) and not step.always:
            print(f"{head}: finished before, skipped ({step.result(context)})", file=sys.stderr)
            continue
        how = _begin(step, mark)
        print(f"{head}{': ' + how if how else ''}", file=sys.stderr)
        start = time.monotonic()
        step.work(dataclasses.replace(context, input_extended=partial(_mark_started, step)))
        if step.extends:
            mark = step.fingerprint()
        manifest.mark_complete(step.output, mark, step=step.name)
        print(f"    {step.result(context)}, {human_time(time.monotonic() - start)}", file=sys.stderr)
