"""What a harness of kills did, as a table for people: how many kills of each target came while each stage was open."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from signal import Signals

from tests.faults.kills.watched import MOMENTS

__all__ = ["Done", "table"]


@dataclass(frozen=True)
class Done:
    """A kill that was done, the operation at which it came, and what the program made of it."""

    stage: str
    moment: str
    target: str
    workers: int
    signal: int
    operation: str
    outcome: str


def table(done: Sequence[Done], stages: Sequence[str], targets: Sequence[str]) -> str:
    """A row a stage: for each target the kills while it was starting, working and ending, and all outcomes."""
    lines = [
        "| killed in | " + " | ".join(f"{target}: {', '.join(MOMENTS)}" for target in targets) + " | outcome |",
        "|---|" + "---|" * (len(targets) + 1),
    ]
    for stage in stages:
        mine = [each for each in done if each.stage == stage]
        cells = []
        for target in targets:
            found = Counter(each.moment for each in mine if each.target == target)
            cells.append(", ".join(str(found[moment]) for moment in MOMENTS) if found else "–")
        outcomes = Counter(each.outcome for each in mine)
        told = "; ".join(f"{count} × {outcome}" for outcome, count in sorted(outcomes.items()))
        lines.append(f"| {stage} | {' | '.join(cells)} | {told} |")
    names = Counter(Signals(each.signal).name for each in done)
    lines.append(f"\n{len(done)} in all: {', '.join(f'{count} {name}' for name, count in sorted(names.items()))}")
    return "\n".join(lines)
