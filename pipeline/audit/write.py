"""The audit of a run: what ``python -m pipeline report`` writes, and the last step of ``python -m pipeline run``.

In: a run folder whose shards are written, and its configuration. Out: funnel.json, report.html, README.md (the dataset card) and
croissant.json. Equal runs give equal files.
"""

import json
import os

from pipeline.audit.card import render_card
from pipeline.audit.croissant import render_croissant
from pipeline.audit.funnel import write_funnel
from pipeline.audit.report import render_report
from pipeline.audit.summary import summarise
from pipeline.balancing import read_t
from pipeline.config import RunConfig
from pipeline.layout import RunFolder
from webimagetext import files
from webimagetext.settings import to_dict, to_toml

__all__ = ["write_audit"]


def write_audit(run: RunFolder, config: RunConfig) -> None:
    """Writes the four files. Raises UserError when the shards have not been written."""
    summary = summarise(run)
    steps = write_funnel(run)
    name = (
        os.path.basename(os.path.abspath(run.root))
        if not files.is_url(run.root)
        else run.root.rstrip("/").rsplit("/", 1)[-1]
    )
    settings = to_toml(config)
    found = read_t(run)  # which the settings may have left to be found
    threshold = config.balance.t if found is None else found
    with files.write_atomic(run.report, "w") as stream:
        stream.write(render_report(name, steps, summary, settings, threshold, config.image.formats))
    with files.write_atomic(run.card, "w") as stream:
        stream.write(render_card(name, steps, summary, to_dict(config), settings))
    with files.write_atomic(run.croissant, "w") as stream:
        json.dump(render_croissant(name, summary), stream, indent=1)
        stream.write("\n")
