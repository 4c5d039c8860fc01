"""``python -m pipeline check FOLDER``: proves that all of a run, or of a folder of shards, is what was written.

In: a run folder, or shards of this program or of another one. Out: a line for each file that is damaged, missing or at
odds with the others, with what makes it anew; a report as JSON on demand. Of a run each damaged file is noted
(keeping/damage.py), so that `pipeline run` makes it anew; nothing else is written.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from pipeline.audit.check_files import Finding, Seen, check_files
from pipeline.audit.check_readers import check_readers
from pipeline.audit.check_shards import check_shards
from pipeline.audit.funnel import funnel_steps
from pipeline.keeping.damage import damaged
from pipeline.keeping.folder import MANIFEST_FILE, OPEN_FILE, SUCCESS_FILE, RunFolder
from pipeline.keeping.manifest import manifest_digest, read_made
from pipeline.keeping.vouched import STARTED_FILE
from pipeline.removing.found import hits_in, stems_of
from pipeline.removing.tombstones import tombstones_of
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.foreign import shown
from webimagetext.progress import Progress, human_bytes

__all__ = ["Checked", "check_folder", "run_check"]

STEPS = (
    "candidates",
    "frequent_captions",
    "site_languages",
    "matched",
    "selected",
    "images",
    "evaluation",
    "joined",
    "held_out",
    "shards",
)
DAMAGED = 2  # exit status
COPY = "copy it once more from where it came, or make it anew with the program that made it"


@dataclass
class Checked:
    """What was looked at, and what was found."""

    folder: str
    kind: str  # run, shards
    files: int = 0
    bytes: int = 0
    samples: int = 0
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # what is no damage, such as a step that is not finished


def check_folder(folder: str, sample: int = 0, *, readers: bool = True, note: bool = True) -> Checked:
    """Looks at all of a folder: ``sample`` pictures of each shard (0: all), and whether other libraries read the first.

    ``note`` leaves notes of what is damaged in a run. Raises UserError where there is nothing to look at.
    """
    root = folder.rstrip("/")
    names = files.below(root) if files.is_folder(root) else []
    if not names:
        raise UserError(f"{folder}: no such folder, or nothing in it", "give the folder of a run, or of shards")
    is_run = any(f"{step}/{mark}" in names for step in STEPS for mark in (SUCCESS_FILE, STARTED_FILE, MANIFEST_FILE))
    checked = Checked(folder, "run" if is_run else "shards")
    seen = Seen(root, names)
    total = sum(files.size(files.join(root, name)) for name in names)
    with Progress("check", "B", total) as progress:
        checked.findings += check_files(seen, progress.advance)
    checked.files, checked.bytes = len(names), total
    if is_run:
        checked.remarks += _unfinished(seen)
        if "funnel.json" in seen.names and MANIFEST_FILE not in seen.names:
            checked.findings.append(Finding(MANIFEST_FILE, "it is missing: nothing vouches for the reports"))
        if not checked.findings:
            checked.findings += _counts(RunFolder(root))
    places = (
        [place for place in ("shards", "holdout") if is_run and f"{place}/{MANIFEST_FILE}" in names] if is_run else [""]
    )
    broken = {finding.file for finding in checked.findings}
    for place in places:
        shards = f"{root}/{place}".rstrip("/")
        with Progress(f"check pictures of {place or root}", "samples") as progress:
            found = check_shards(shards, sample, {files.join(root, name) for name in broken}, progress.advance)
        prefix = f"{place}/" if place else ""
        checked.findings += [Finding(prefix + finding.file, finding.problem) for finding in found.findings]
        checked.samples += found.samples
        if readers and not found.findings:
            checked.findings += [Finding(prefix + name, problem) for name, problem in check_readers(shards, found.tars)]
        if not found.findings:
            checked.findings += [Finding(f"{prefix}{name}", problem) for name, problem in _taken_out(root, shards)]
    if is_run and note:
        _note(root, checked.findings)
    return checked


def _taken_out(root: str, shards: str) -> Iterator[tuple[str, str]]:
    """(file, problem) for each shard that holds a pair under a tombstone."""
    if stones := tombstones_of([root]):
        for stem in stems_of(shards):
            if back := hits_in(shards, stem, stones):
                ending = ".tar" if files.exists(files.join(shards, f"{stem}.tar")) else ".parquet"
                yield f"{stem}{ending}", f"it holds {len(back):,} pairs that were taken out"


def _unfinished(seen: Seen) -> Iterator[str]:
    for step in STEPS:
        if f"{step}/{STARTED_FILE}" in seen.names and read_made(files.join(seen.root, step)) is None:
            yield f"{step}/ is not finished: `pipeline run` goes on with it"
        elif f"{step}/{OPEN_FILE}" in seen.names:
            yield f"{step}/ has open work: `pipeline run` goes on with it"


def _counts(run: RunFolder) -> Iterator[Finding]:
    """Whether the numbers of rows add up, and each step was made from what lies there now."""
    for name in STEPS:
        for place, digest in ((read_made(run.path(name)) or {}).get("inputs") or {}).items():
            if manifest_digest(run.path(place)) != digest:
                yield Finding(f"{name}/{SUCCESS_FILE}", f"was made before {place}/ was made anew")
    try:
        steps = funnel_steps(run)
    except UserError as error:
        yield Finding("funnel.json", f"the steps cannot be counted: {error.problem}")
        return
    for step in steps:
        if step.unaccounted:
            yield Finding(
                "funnel.json", f"{step.unaccounted:,} {step.unit} of the step {step.name} went without a reason"
            )
    content = files.read(run.funnel)
    stated = json.loads(content)["steps"] if content else []
    for step, told in zip(steps, stated, strict=False):
        if (step.name, step.rows_in, step.rows_out) != (told["name"], told["rows_in"], told["rows_out"]):
            yield Finding("funnel.json", f"the step {step.name} is no more as it says")
            return


def _note(root: str, findings: list[Finding]) -> None:
    """Leaves notes of the damaged files of steps; a marker that is not whole says enough itself, and reports are
    written by every run."""
    for finding in findings:
        folder, _, name = finding.file.rpartition("/")
        of_a_step = name in (SUCCESS_FILE, OPEN_FILE) and folder in STEPS
        if not of_a_step and (folder or name in ("counts.parquet", "shortfall.parquet")):
            damaged(files.join(root, folder) if folder else root, name, finding.problem)


def run_check(folder: str, sample: int, readers: bool, note: bool, report: str) -> int:
    """The command: prints what was found, and writes it to ``report`` as JSON; returns the exit status."""
    checked = check_folder(folder, sample, readers=readers, note=note)
    if report:
        with files.write_atomic(report, "w") as stream:
            json.dump({"format": 1, "whole": not checked.findings, **asdict(checked)}, stream, indent=1)
            stream.write("\n")
    for remark in checked.remarks:
        print(shown(f"note: {remark}"))
    for finding in checked.findings:
        print(shown(f"damaged: {files.join(folder, finding.file)}: {finding.problem}"))
    looked = f"{checked.files:,} files, {human_bytes(checked.bytes)}, {checked.samples:,} samples in shards"
    if not checked.findings:
        print(f"{folder}: {looked}: all as it was written")
        return 0
    again = f"`pipeline run CONFIG.toml --output {folder}` makes it anew: {_how(checked)}"
    print(f"{folder}: {looked}: {len(checked.findings):,} damaged\n  {again if checked.kind == 'run' else COPY}")
    return DAMAGED


def _how(checked: Checked) -> str:
    if any(finding.file.startswith("images/") for finding in checked.findings):
        return "pictures of a damaged part are asked for once more"
    return "what is whole is kept"
