"""report.html: the curves of a run on one page.

In: the events of its log and its settings. Out: one HTML file (webimagetext/page.py). Of a step that was logged twice,
because a killed run went back to a checkpoint, the later counts.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

from webimagetext.curves import Line, curves
from webimagetext.page import page

__all__ = ["render_run"]

Event = dict[str, Any]
SHOWN = 200  # evaluations in the table
STEPS = {
    "loss": "loss",
    "logit_scale": "logit scale",
    "learning_rate": "learning rate",
    "gradient_norm": "norm of the gradient",
    "data_wait": "share of the time spent waiting for data",
}
ACCURACIES = {"top1": "top-1", "top5": "top-5", "mean_per_class": "mean over classes"}
RECALLS = {
    f"{way}_{k}": f"{way.replace('_', ' ')} @{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5, 10)
}


def _of(events: Sequence[Event], kind: str) -> list[Event]:
    """The events of a kind, one a step, in the order of steps."""
    found = {event["step"]: event for event in events if event.get("event") == kind and "step" in event}
    return [found[step] for step in sorted(found)]


def _lines(events: Sequence[Event], names: dict[str, str], factor: float) -> list[Line]:
    return [
        Line(words, [(event["samples"], factor * event[name]) for event in events if name in event])
        for name, words in names.items()
    ]


def _evaluations(events: Sequence[Event]) -> str:
    if not events:
        return ""
    drawn = [curves(_lines(events, names, 100), across="samples", up="percent") for names in (ACCURACIES, RECALLS)]
    names = {name: words for name, words in (ACCURACIES | RECALLS).items() if any(name in event for event in events)}
    head = "".join(f'<th class="number">{escape(words)}</th>' for words in ("step", *names.values()))
    rows = "".join(
        f'<tr><td class="number">{event["step"]:,}</td>'
        + "".join(
            f'<td class="number">{100 * event[name]:.1f}</td>' if name in event else "<td></td>" for name in names
        )
        + "</tr>"
        for event in events[-SHOWN:]
    )
    caption = "Evaluations, in percent" + (f", the last {SHOWN}" if len(events) > SHOWN else "")
    table = f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return "".join(drawn) + f'<div tabindex="0" role="region" aria-label="Evaluations">{table}</div>'


def render_run(name: str, events: Sequence[Event], settings: str) -> str:
    """The page of the run ``name``; ``settings`` are its configuration as TOML."""
    steps = _of(events, "step")
    lead = ""
    if steps:
        last = steps[-1]
        lead = f"<p>Step {last['step']:,}, {last['samples']:,} samples, loss {last['loss']:.4f}.</p>"
    skipped = len(_of(events, "skipped"))
    if skipped:
        lead += f'<p class="warning">{skipped:,} steps did not move the weights.</p>'
    training = "".join(
        f"<h3>{escape(words.capitalize())}</h3>{drawn}"
        for key, words in STEPS.items()
        if (drawn := curves(_lines(steps, {key: words}, 1), across="samples", up=words))
    )
    about = f'<pre tabindex="0" role="region" aria-label="Settings as TOML">{escape(settings)}</pre>'
    sections = {
        "Evaluations": _evaluations(_of(events, "evaluation")),
        "Training": training,
        "Settings": f"<details><summary>as TOML</summary>{about}</details>",
    }
    return page(f"Training {name}", lead, sections)
