"""Takes the fingerprints of the evaluation pictures that the data must not hold.

In: the sets that package.evaluation_sets names; their contents decide. Out: evaluation/.
"""

import sys

from pipeline.config import RunConfig
from pipeline.dedup.evaluation import EvaluationSet, evaluation_files
from pipeline.keeping.folder import RunFolder, part_name
from pipeline.keeping.manifest import write_manifest
from pipeline.keeping.step import Context, Step, counted
from pipeline.tables.sink import write_part

__all__ = ["step"]


def step(run: RunFolder, config: RunConfig) -> Step | None:
    """The stage, for a run with these settings; None where no set is named."""
    sets = config.package.evaluation_sets
    if not sets:
        return None
    return Step(
        name="read evaluation sets",
        verb="package",
        output=run.evaluation,
        settings={"evaluation_sets": len(sets)},
        tables=(),
        documents=lambda: evaluation_files(sets),
        work=_work,
        result=lambda _: counted(run.evaluation, "evaluation pictures"),
    )


def _work(context: Context) -> None:
    run = context.run
    known = EvaluationSet.read(context.config.package.evaluation_sets)
    if known.unreadable:
        print(
            f"warning: {len(known.unreadable):,} evaluation pictures cannot be read, so the data may hold them, e.g. "
            f"{known.unreadable[0]}",
            file=sys.stderr,
        )
    if lacking := known.sketches.count(None):
        print(
            f"warning: {lacking:,} evaluation pictures have no sketch, so altered copies of them are not found: give "
            "the pictures, or tables with a column sketch",
            file=sys.stderr,
        )
    write_manifest(run.evaluation, [write_part(run.evaluation, part_name(0), known.table())])
