"""The audit of a run: what ``python -m pipeline report`` writes, and the last step of ``python -m pipeline run``.

In: a run folder whose shards are written, and its configuration. Out: funnel.json, report.html, README.md (the dataset
card) and croissant.json. Equal runs give equal files.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import tomli_w

from pipeline.audit.card import render_card
from pipeline.audit.croissant import render_croissant
from pipeline.audit.funnel import Step, write_funnel
from pipeline.audit.report import render_report
from pipeline.audit.summary import summarise
from pipeline.balance.plan import read_t
from pipeline.keeping.folder import RunFolder, today
from pipeline.keeping.manifest import entry_of, read_success, write_manifest
from webimagetext import files

__all__ = ["write_audit"]

# Parts of other settings, for the steps alone.
INTERNAL = (
    "asked",
    "text.max_repeats",
    "top_up_rounds",
    "evaluation_sets",
    "normal_form",
    "verify_hash",
    "holdout",
    "holdout_distance",
)


def write_audit(run: RunFolder, made_with: Mapping[str, Any]) -> list[Step]:
    """Writes the four files and their manifest; returns the steps that the funnel counts.

    ``made_with`` are the settings of the steps by name, as these stored them, not those of today.
    Raises UserError when the shards have not been written.
    """
    summary = summarise(run)
    steps = write_funnel(run)
    name = (
        os.path.basename(os.path.abspath(run.root))
        if not files.is_url(run.root)
        else run.root.rstrip("/").rsplit("/", 1)[-1]
    )
    settings = tomli_w.dumps({name: value for name, value in made_with.items() if name not in INTERNAL})
    threshold = read_t(run) or made_with.get("balance", {}).get("t", 0)
    formats = made_with.get("image", {}).get("formats", ())
    with files.write_atomic(run.report, "w") as stream:
        stream.write(render_report(name, steps, summary, settings, threshold, formats))
    with files.write_atomic(run.card, "w") as stream:
        stream.write(render_card(name, steps, summary, made_with, settings))
    day = (read_success(run.shards) or {}).get("day") or today()
    with files.write_atomic(run.croissant, "w") as stream:
        json.dump(render_croissant(name, summary, day), stream, indent=1)
        stream.write("\n")
    root = run.root.rstrip("/")
    written = (url.removeprefix(f"{root}/") for url in (run.funnel, run.report, run.card, run.croissant))
    write_manifest(root, [entry_of(root, name, 0) for name in written])
    return steps
