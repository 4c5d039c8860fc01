"""The stages of a run in order, and what decides whether one is run, continued or skipped.

In: a run folder, a configuration and an engine. A step is done when its folder holds ``_SUCCESS`` with the fingerprint
of what decides its result: the settings that decide (webimagetext/deciding.py), and the contents of its inputs and of
every file that a setting names; then it is skipped. A step of which one of these changed starts afresh; one that was
interrupted goes on where it stopped, and so does one that left work open: it has ``_OPEN`` in the place of
``_SUCCESS``, the steps after it run on what there is, and are done again once there is more. The marker also says with
which settings and inputs the step was made: reports read them there. A step of which a file is missing, cut short or
noted as damaged is not finished: :func:`reopen` makes it so, and the step makes that file anew.
"""

import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipeline.config import RunConfig
from pipeline.engines.engine import Engine
from pipeline.keeping import manifest
from pipeline.keeping.damage import NOTE, forget
from pipeline.keeping.folder import OPEN_FILE, SUCCESS_FILE, RunFolder, today
from pipeline.keeping.manifest import Marker
from pipeline.keeping.vouched import STARTED_FILE, Place, lacking, noted_below, vouched
from webimagetext import files
from webimagetext.contents import identity
from webimagetext.deciding import deciding
from webimagetext.errors import UserError
from webimagetext.progress import human_time
from webimagetext.settings import fingerprint, to_dict

__all__ = [
    "Context",
    "Markers",
    "Step",
    "counted",
    "markers_of",
    "refuse_older",
    "reopen",
    "run_steps",
    "settings_of",
]

Markers = dict[str, Marker | None]  # what the marker of each step says, by the folder that it lies in

TOLD = 5  # damaged files of a step that are named

# Raised when a step's output for the same settings changes, so that finished folders of older versions are not taken
# for today's.
FORMAT = 8


@dataclass(frozen=True)
class Context:
    """What every step gets."""

    run: RunFolder
    config: RunConfig
    engine: Engine
    # To be called by a step that has added to one of its own inputs: what it did so far then counts for the new
    # fingerprint.
    input_extended: Callable[[], None] = lambda: None
    fresh: bool = True  # the step begins anew, and does not go on where it stopped
    spent: Counter[str] = dataclasses.field(default_factory=Counter)  # by all steps of this command, of its budgets


@dataclass(frozen=True)
class Step:
    """One step of a run: from finished folders to a finished folder.

    ``output`` is the folder that carries the marker; ``owned`` are the other folders the step alone writes, removed
    with it before a fresh start. ``settings`` (by name), ``tables`` (the folders read) and ``documents`` (gives the
    single files read) make up the fingerprint. ``result`` words what came out, for the line that is printed.
    ``beside`` are single files that the step alone writes outside its folders, ``kept`` folders that it takes its
    output from and keeps, ``shared`` those of another step that it adds to. ``mend`` is told the folder and name of a
    damaged file in any of these: it makes sure that the step makes it anew, and says whether that is for this step.
    """

    name: str
    verb: str
    output: str
    work: Callable[[Context], None]
    settings: dict[str, Any]
    tables: tuple[str, ...]
    result: Callable[[Context], str]
    documents: Callable[[], Sequence[str]] = tuple
    owned: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    mend: Callable[[str, str], bool] = lambda _folder, _name: True
    keep: bool = False  # the output outlives changed settings and inputs: it is added to, never removed
    always: bool = False  # runs even when it is finished
    extends: bool = False  # its work adds to one of its own inputs, after which it calls ``input_extended``
    # What its work has left to do, by host: with any of it the step is not finished.
    left: Callable[[Context], Mapping[str, int]] = lambda _: {}

    def fingerprint(self) -> str:
        """Of what decides the step's result; raises UserError when an input is missing."""
        digests = [manifest.manifest_digest(folder) for folder in self.tables]
        contents = sorted(set(map(identity, self.documents())))
        return fingerprint(FORMAT, self.name, deciding(self.settings), digests, contents)

    def facts(self, root: str) -> dict[str, Any]:
        """What the marker says of how the output was made, besides the fingerprint; inputs by their place in the run
        folder."""
        inside = [folder for folder in self.tables if folder.startswith(f"{root}/")]
        inputs = {folder.removeprefix(f"{root}/"): manifest.manifest_digest(folder) for folder in inside}
        made = {"format": FORMAT, "step": self.name, "verb": self.verb, "day": today()}
        held = vouched(root, self.output, [self.output, *self.owned, *self.kept], self.beside)
        return {**made, "settings": to_dict(self.settings), "inputs": inputs, "files": held}

    def wrong(self, root: str, made: Marker | None) -> list[Place]:
        """The files of the step that are noted as damaged, and, of a finished one, those that are missing or cut
        short; ``made`` is what its marker says."""
        if is_older(made):
            return []
        notes = [
            place for folder in (self.output, *self.owned, *self.kept, *self.shared) for place in noted_below(folder)
        ]
        here = files.sizes(root) if self.beside else {}
        notes += [(folder, name) for folder, name in map(_split, self.beside) if NOTE + name in here]
        gone = lacking(root, made.get("files", {}), (self.output, *self.owned, *self.beside)) if made else []
        return list(dict.fromkeys([*notes, *gone]))


def _split(url: str) -> Place:
    folder, _, name = url.rpartition("/")
    return folder, name


def markers_of(steps: Sequence[Step]) -> Markers:
    """What the marker of each step says, read once for all that is asked before its turn comes."""
    return {step.output: manifest.read_made(step.output) for step in steps}


def reopen(steps: Sequence[Step], root: str, markers: Markers) -> list[tuple[Step, Place]]:
    """Makes the steps of which a file is missing, cut short or noted as damaged unfinished, in ``markers`` too, so that
    they make it anew; returns them, each with the first such file."""
    found, forgotten = [], set()
    for step in steps:
        places = [place for place in step.wrong(root, markers[step.output]) if step.mend(*place)]
        if not places:
            continue
        markers[step.output] = None
        for name in (SUCCESS_FILE, OPEN_FILE, STARTED_FILE):
            files.remove_file(files.join(step.output, name))
        found.append((step, places[0]))
        forgotten.update(places)
        for folder, name in places[:TOLD]:
            print(f"{files.join(folder, name)}: is damaged or missing: '{step.name}' makes it anew", file=sys.stderr)
    for place in sorted(forgotten):
        forget(*place)
    return found


def counted(folder: str, what: str) -> str:
    """The rows of a finished folder in words, for a step's result."""
    return f"{manifest.rows_in(folder):,} {what}"


def settings_of(steps: Sequence[Step], run: RunFolder) -> dict[str, Any]:
    """The settings that the steps of a run were made with, by name, as their markers say; a later step's word
    counts.

    Raises UserError for a step whose inputs were made anew since: what it holds is not what they say.
    """
    found: dict[str, Any] = {}
    for step in steps:
        if (made := manifest.read_made(step.output)) is None:
            continue
        for name, digest in made.get("inputs", {}).items():
            folder = run.path(name)
            if manifest.manifest_digest(folder) != digest:
                remedy = f"run `pipeline {step.verb}`, or `pipeline run`, first"
                raise UserError(f"{step.output}: was made before {folder} was made anew", remedy)
        found |= made.get("settings", {})
    return found


def _begin(step: Step, mark: str) -> str:
    """Prepares the step's folders; says how it begins: "" afresh, or that it continues."""
    url = files.join(step.output, STARTED_FILE)
    left = files.exists(files.join(step.output, OPEN_FILE))
    # What was open may be had now. A step that does not add to its output makes it again, from all there is then.
    if files.read(url) == mark.encode() and (step.keep or not left):
        return "goes on with what is open" if left else "continues where it stopped"
    # The marks go first: a removal that is cut short must not leave a folder that looks finished, or half way to
    # another mark.
    for name in (SUCCESS_FILE, OPEN_FILE, STARTED_FILE):
        files.remove_file(files.join(step.output, name))
    if not step.keep:
        for folder in (step.output, *step.owned, *step.beside):
            files.remove(folder)
    _mark_started(step, mark)
    return ""


def _mark_started(step: Step, mark: str | None = None) -> None:
    """Notes the fingerprint that the step's work counts for: ``mark``, or that of its inputs as they are now."""
    with files.write_atomic(files.join(step.output, STARTED_FILE), "w", safe=True) as stream:
        stream.write(step.fingerprint() if mark is None else mark)


def is_older(made: Marker | None) -> bool:
    """Whether a marker is one of an earlier version of this program."""
    return made is not None and made.get("format") != FORMAT


def refuse_older(steps: Sequence[Step], markers: Markers) -> None:
    """Raises UserError where an earlier version of this program has made the output of one of the steps."""
    for step in steps:
        if is_older(markers[step.output]):
            remedy = "give another --output, or go on with the version that made it; nothing was changed"
            raise UserError(f"{step.output}: was made by an earlier version of this program", remedy)


def run_steps(steps: Sequence[Step], context: Context, markers: Markers) -> None:
    """Runs ``steps`` in order, skipping those that are finished; only a step itself writes its marker."""
    for number, step in enumerate(steps, 1):
        head = f"[{number}/{len(steps)}] {step.name}"
        mark = step.fingerprint()
        if manifest.is_finished(markers[step.output], mark) and not step.always:
            print(f"{head}: finished before, skipped ({step.result(context)})", file=sys.stderr)
            continue
        how = _begin(step, mark)
        print(f"{head}{': ' + how if how else ''}", file=sys.stderr)
        start = time.monotonic()
        step.work(dataclasses.replace(context, input_extended=partial(_mark_started, step), fresh=not how))
        if step.extends:
            mark = step.fingerprint()
        left, facts = step.left(context), step.facts(context.run.root.rstrip("/"))
        if left:
            manifest.mark_open(step.output, mark, left, **facts)
        else:
            manifest.mark_complete(step.output, mark, **facts)
        still = f", {sum(left.values()):,} are open" if left else ""
        print(f"    {step.result(context)}{still}, {human_time(time.monotonic() - start)}", file=sys.stderr)
