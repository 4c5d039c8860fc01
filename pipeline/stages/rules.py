"""``python -m pipeline rules``: what each text rule would drop of a run's candidates, without writing anything.

In: a configuration, a run folder with candidates, and how many of them to look at. Out: a line for each rule, with what
it would drop if it stood alone, what falls to it in its place in the order, and what nothing but this rule would drop;
then examples.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.checks import check
from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import iter_batches, read_success, read_table, rows_in
from pipeline.stages.captions import repeat_settings
from pipeline.stages.languages import COLUMNS, language_settings
from pipeline.tables.ledger import Rule
from pipeline.tables.schema import FREQUENT_CAPTIONS, SITE_LANGUAGES
from pipeline.text.repeated import first_pairs, frequent
from pipeline.text.rules import read_rules, sites_of
from webimagetext.hashing import mix

__all__ = ["RuleCounts", "format_counts", "try_rules"]

EXAMPLES = 3
WIDTH = 100  # characters of an example that are shown


@dataclass
class RuleCounts:
    """What one rule would drop: of all pairs, in its place in the order, and alone of all rules."""

    name: str
    alone: int = 0
    in_order: int = 0
    only: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[str, str]] = field(default_factory=list)  # reason, caption


def _sample(run: RunFolder, size: int) -> Iterator[pa.RecordBatch]:
    """About ``size`` candidates by a hash of their ids (0: all): the same ones every time."""
    rows = rows_in(run.candidates)
    share = 1.0 if size <= 0 or size >= rows else size / rows
    for batch in iter_batches(run.candidates, ["pair_id", *COLUMNS, "texts"]):
        if share < 1:
            chosen = mix(batch.column("pair_id").to_numpy()) < np.uint64(share * 2.0**64)
            batch = batch.filter(pa.array(chosen))
        if batch.num_rows:
            yield batch


def _rules(run: RunFolder, config: RunConfig) -> list[Rule]:
    repeated = None
    if config.text.max_repeats:
        made = read_success(run.frequent_captions) or {}
        if made.get("settings") == repeat_settings(config.text):
            repeated = read_table(run.frequent_captions, FREQUENT_CAPTIONS)
        else:
            most = config.text.max_repeats
            pairs = iter_batches(run.candidates, ["pair_id", "caption"])
            repeated = frequent((first_pairs(batch, most) for batch in pairs), most)
    told = read_success(run.site_languages) or {}
    if told.get("settings") == language_settings(config.text):
        sites = read_table(run.site_languages, SITE_LANGUAGES)
    else:
        sites = sites_of(iter_batches(run.candidates, COLUMNS), config.text, config.queries)
    return read_rules(config.text, config.queries, repeated, sites)


def try_rules(run: RunFolder, config: RunConfig, sample: int) -> tuple[int, list[RuleCounts]]:
    """(pairs looked at, the counts of each rule in the order of the rules). Raises UserError when there are no
    candidates."""
    check("rules", run, config)
    rules = _rules(run, config)
    found = [RuleCounts(rule.name) for rule in rules]
    seen = 0
    for batch in _sample(run, sample):
        seen += batch.num_rows
        reasons = [rule(batch)[0] for rule in rules]
        drops: npt.NDArray[np.bool_] = np.stack([r.is_valid().to_numpy(zero_copy_only=False) for r in reasons])
        first, times = drops.argmax(axis=0), drops.sum(axis=0)
        for number, (counts, reason) in enumerate(zip(found, reasons, strict=True)):
            own = drops[number]
            counts.alone += int(own.sum())
            counts.in_order += int((own & (first == number)).sum())
            counts.only += int((own & (times == 1)).sum())
            counts.reasons.update(
                {row["values"]: row["counts"] for row in pc.value_counts(reason.drop_null()).to_pylist()}
            )
            for row in np.flatnonzero(own)[: EXAMPLES - len(counts.examples)].tolist():
                counts.examples.append((reason[row].as_py(), batch.column("caption")[row].as_py()))
    return seen, found


def format_counts(seen: int, found: list[RuleCounts]) -> str:
    """The counts as text for a terminal."""
    total = sum(counts.in_order for counts in found)
    lines = [
        f"Of {seen:,} candidate pairs the text rules would drop {total:,} ({total / max(seen, 1):.1%}). Nothing was "
        "written.",
        "",
        f"{'rule':<16}{'alone':>12}{'in order':>12}{'only this':>12}",
    ]
    for counts in found:
        lines.append(f"{counts.name:<16}{counts.alone:>12,}{counts.in_order:>12,}{counts.only:>12,}")
        for reason, number in sorted(counts.reasons.items(), key=lambda item: (-item[1], item[0])):
            lines.append(f"    {reason}: {number:,}")
        for reason, caption in counts.examples:
            text = " ".join(caption.split())
            lines.append(f"      {reason}: {text[:WIDTH]}{'…' if len(text) > WIDTH else ''}")
    return "\n".join(lines)
