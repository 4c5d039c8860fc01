"""What remained after each step of a run, and why the rest went: funnel.json, from the tables' manifests and the reject
ledgers.

In: a run folder, finished or half finished. Out: a :class:`Step` for each step that has run. Counts are data, not
engine metrics, so they are the same whatever ran the graphs; a pair that neither stayed nor has a ledger row shows as
``unaccounted``.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.audit.queries import query_facts
from pipeline.keeping import manifest
from pipeline.keeping.folder import MANIFEST_FILE, RunFolder
from pipeline.read.crawls import current_crawl
from pipeline.reasons import NOT_REACHED, by_frequency, in_rule_order
from webimagetext import files

__all__ = ["Step", "fetch_step", "funnel_steps", "ledger_files", "parquet_batches", "write_funnel"]

HOSTS = 3  # named, of those with open work


@dataclass(frozen=True)
class Step:
    """One step: ``rows_in`` = ``rows_out`` + ``set_aside`` + the sum of ``rejects`` + ``unaccounted``.

    ``unit`` is what is counted: pages, images, attempts (at images, in all rounds) or pairs. ``parts`` divides
    ``rows_out``, where it has parts. ``open`` are the addresses whose turn did not come: nobody asked for them, so they
    are no rows, and the step is not finished. ``open_at`` are the hosts with most of them.
    """

    name: str
    title: str
    unit: str
    rows_in: int
    rows_out: int
    rejects: dict[str, int] = field(default_factory=dict)
    set_aside: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    open: int = 0
    open_at: dict[str, int] = field(default_factory=dict)

    @property
    def unaccounted(self) -> int:
        """Rows that went without a reason; anything but 0 is a defect of the run."""
        return self.rows_in - self.rows_out - self.set_aside - sum(self.rejects.values())


def _is_written(folder: str) -> bool:
    return files.exists(files.join(folder, MANIFEST_FILE))


def parquet_batches(folder: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The batches of the Parquet files that the manifest of ``folder`` names; none when there is no manifest."""
    if _is_written(folder):
        names = [
            name for name in manifest.read_manifest(folder).column("file").to_pylist() if name.endswith(".parquet")
        ]
        yield from manifest.iter_batches(folder, columns, names)


def _parquet_rows(folder: str) -> int:
    """Rows of a folder, each once even where a tar stands beside its Parquet file."""
    if not _is_written(folder):
        return 0
    rows = manifest.read_manifest(folder).to_pylist()
    return sum(row["rows"] for row in rows if row["file"].endswith(".parquet"))


def ledger_files(run: RunFolder) -> Iterator[tuple[str, manifest.Entry]]:
    """The folder and the manifest row of every file of a run's ledgers, in the order of the steps."""
    for stage in ("extract", "match", "balance", "package"):
        if _is_written(folder := run.rejects(stage)):
            yield from ((folder, entry) for entry in manifest.read_manifest(folder).to_pylist())


def _count(batches: Iterable[pa.RecordBatch], *columns: str) -> Counter[tuple[str, ...]]:
    """How often each combination of values of ``columns`` occurs."""
    total: Counter[tuple[str, ...]] = Counter()
    for batch in batches:
        groups = pa.Table.from_batches([batch]).group_by(list(columns)).aggregate([([], "count_all")])
        values = zip(*(groups.column(name).to_pylist() for name in columns), strict=True)
        total.update(dict(zip(values, groups.column("count_all").to_pylist(), strict=True)))
    return total


def _ledger(folder: str, subject: str) -> Counter[str]:
    """Rejects by reason of one kind of subject."""
    counts = _count(parquet_batches(folder, ["subject", "reason"]), "subject", "reason")
    return Counter({reason: number for (kind, reason), number in counts.items() if kind == subject})


def _status_step(name: str, title: str, unit: str, folders: Iterable[str]) -> Step:
    """A step counted from a table whose column ``status`` is "success" or the reason of the failure."""
    counts: Counter[str] = Counter()
    for folder in folders:
        counts.update(
            {status: number for (status,), number in _count(parquet_batches(folder, ["status"]), "status").items()}
        )
    good = counts.pop("success", 0)
    counts.pop(NOT_REACHED, None)  # was not asked
    return Step(name, title, unit, good + counts.total(), good, in_rule_order(counts))


def funnel_steps(run: RunFolder) -> list[Step]:
    """The steps that have run, in order."""
    steps: list[Step] = []
    rounds = files.listing("round-*/pages", crawled) if (crawled := current_crawl(run)) else []
    if rounds:
        steps.append(_with_open(_status_step("crawl", "pages read", "pages", rounds), run.candidates))
    if _is_written(run.candidates):
        unpaired, repeated = (_ledger(run.rejects("extract"), subject) for subject in ("image", "pair"))
        rows = manifest.rows_in(run.candidates)
        found = _read_in(run)
        if found is None:
            found = rows + repeated.total()
        if unpaired:
            images = found + unpaired.total()
            steps.append(Step("images", "images with a text", "images", images, found, in_rule_order(unpaired)))
        steps.append(Step("extract", "candidate pairs", "pairs", found, rows, in_rule_order(repeated)))
    if _is_written(run.matched):
        steps.append(_pair_step("match", "pairs whose text passes and holds a query", run.candidates, run.matched, run))
    if _is_written(run.selected):
        steps.append(_pair_step("balance", "pairs that the balance kept", run.matched, run.selected, run, run.reserve))
    if _is_written(run.images):
        steps.append(fetch_step(run))
    if _is_written(run.joined):
        steps += _packaging(run)
    return steps


def _read_in(run: RunFolder) -> int | None:
    """Pairs that the pages or files of the source gave, and rows that were none, before each pair was kept once; None
    where that is not known."""
    made = manifest.read_made(run.candidates)
    if made is None:
        return None
    if made["settings"]["extract"]["source"] == "pages":
        crawled = current_crawl(run)
        pairs, rejects = (
            files.listing(f"round-*/{table}", crawled or run.crawl) for table in ("candidates", "rejects")
        )
    else:
        pairs, rejects = ([run.path("sources", table)] for table in ("candidates", "rejects"))
    if not pairs or not all(map(_is_written, pairs)):
        return None
    return sum(map(manifest.rows_in, pairs)) + sum(_ledger(folder, "pair").total() for folder in rejects)


def fetch_step(run: RunFolder) -> Step:
    """What became of the images that were asked for."""
    return _with_open(_status_step("fetch", "images stored", "attempts", [run.images]), run.images)


def _with_open(step: Step, folder: str) -> Step:
    """The step with what the marker of its folder says is still to be done."""
    made = manifest.read_made(folder) or {}
    hosts = by_frequency(made.get("open_by_host", {}))[:HOSTS]
    return dataclasses.replace(step, open=made.get("open", 0), open_at=dict(hosts))


def _pair_step(name: str, title: str, source: str, target: str, run: RunFolder, aside: str = "") -> Step:
    rejects = in_rule_order(_ledger(run.rejects(name), "pair"))
    set_aside = manifest.rows_in(aside) if aside and _is_written(aside) else 0
    return Step(name, title, "pairs", manifest.rows_in(source), manifest.rows_in(target), rejects, set_aside)


def _packaging(run: RunFolder) -> list[Step]:
    """Pairs with an image, then those in the shards. The ledger of packaging holds both and says which step a row is
    of."""
    ledgers = _count(
        parquet_batches(run.rejects("package"), ["subject", "stage", "reason"]), "subject", "stage", "reason"
    )
    lost, dropped = (
        Counter({reason: count for (kind, step, reason), count in ledgers.items() if (kind, step) == ("pair", name)})
        for name in ("join", "package")
    )
    topped_up = files.listing("round-*/pairs", run.path("packing"))
    selected = manifest.rows_in(run.selected) + sum(map(manifest.rows_in, topped_up))
    joined = Step("join", "pairs with an image", "pairs", selected, selected - lost.total(), in_rule_order(lost))
    steps = [_with_open(joined, run.joined)]
    if _is_written(run.shards):
        parts = {"shards": _parquet_rows(run.shards), "holdout": _parquet_rows(run.holdout)}
        title = "pairs in the shards"
        rejects = in_rule_order(dropped)
        steps.append(
            Step("package", title, "pairs", selected - lost.total(), sum(parts.values()), rejects, parts=parts)
        )
    return steps


def write_funnel(run: RunFolder) -> list[Step]:
    """Writes funnel.json; returns the steps that it states."""
    steps = funnel_steps(run)
    stated = [{**dataclasses.asdict(step), "unaccounted": step.unaccounted} for step in steps]
    with files.write_atomic(run.funnel, "w") as stream:
        json.dump({"format": 1, "steps": stated, **query_facts(run)}, stream, indent=1)
        stream.write("\n")
    return steps
