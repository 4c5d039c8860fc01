"""The dataset card: README.md of a run folder, for whoever is handed the dataset.

In: what the audit counted, and the run's settings. Out: Markdown with the YAML head that dataset hubs read, so that a
copy of the folder loads by its name.
"""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.audit.charts import number
from pipeline.audit.funnel import Step
from pipeline.audit.queries import asked_in_words
from pipeline.audit.summary import Summary
from pipeline.reasons import in_words

__all__ = ["RIGHTS", "consent_in_words", "render_card", "size_class"]

# The size classes that dataset hubs know, by their upper end.
SIZES = {10**3: "n<1K", 10**4: "1K<n<10K", 10**5: "10K<n<100K", 10**6: "100K<n<1M", 10**7: "1M<n<10M"}
SIZES |= {10**8: "10M<n<100M", 10**9: "100M<n<1B", 10**10: "1B<n<10B"}

WHAT_A_SAMPLE_IS = {
    True: "A tar member `KEY.jpg` (or `.png`, `.webp`) with `KEY.txt` (the caption) and `KEY.json` (all columns, of "
    "which none is ever null: a text\n"
    'that is not known is "", a number -1); the Parquet file beside each tar has the same columns, with nulls.',
    False: "A row of a Parquet file: the picture in the column `jpg`, the text in `caption`, and what is known of "
    "both.",
}
LOADING = {
    True: """import webdataset
pairs = webdataset.WebDataset("shards/00000.tar", shardshuffle=False).decode("pil").to_tuple("jpg;png;webp", "txt")

from datasets import load_dataset
pairs = load_dataset("webdataset", data_files={"train": "shards/*.tar"}, split="train", streaming=True)""",
    False: """from datasets import load_dataset
pairs = load_dataset("parquet", data_files={"train": "shards/*.parquet"}, split="train", streaming=True)""",
}


RIGHTS = """\
The images and texts belong to their authors; nobody has cleared rights in them, and this collection grants none.
Whoever uses it must judge whether the use is lawful where they are. Texts were written by strangers: they can be wrong,
offensive or personal. Filters are rules and models with errors, and the choice of sites and queries decides whose world
the pairs show. Nothing here was checked by people one by one."""


def size_class(pairs: int) -> str:
    """What hubs call a dataset of so many rows."""
    return next((name for limit, name in SIZES.items() if pairs < limit), "n>10B")


def _head(name: str, language: str, summary: Summary, parts: Mapping[str, int]) -> str:
    size = size_class(summary.pairs)
    ending = "tar" if summary.tars else "parquet"
    files = ["  - split: train", f"    path: shards/*.{ending}"]
    if parts.get("holdout"):
        files += ["  - split: test", f"    path: holdout/*.{ending}"]
    lines = ["license: other", f"language: [{language}]", f"pretty_name: {json.dumps(name)}"]
    lines += ["task_categories: [zero-shot-image-classification, image-to-text, text-to-image]"]
    lines += [f"tags: [image-text, clip, {'webdataset' if summary.tars else 'parquet'}, webimagetext]"]
    lines += [f'size_categories: ["{size}"]', "configs:", "- config_name: default", "  data_files:", *files]
    return "\n".join(["---", *lines, "---"])


def _funnel(steps: list[Step]) -> str:
    lines = ["| step | in | out | what went |", "|---|---:|---:|---|"]
    for step in steps:
        went = [f"{in_words(reason)}: {number(count)}" for reason, count in step.rejects.items()]
        if step.set_aside:
            went.append(f"kept in reserve: {number(step.set_aside)}")
        if step.open:
            went.append(f"not asked for yet: {number(step.open)} addresses")
        lines.append(
            f"| {step.title} | {number(step.rows_in)} {step.unit} | {number(step.rows_out)} | "
            f"{', '.join(went) or '–'} |"
        )
    return "\n".join(lines)


def consent_in_words(settings: Mapping[str, Any]) -> str:
    """How the sites were asked, as the steps that asked them stored it: pages and images may have been asked
    differently."""
    asked = []
    if settings.get("extract", {}).get("source", "pages") == "pages":
        asked.append(_manners(settings.get("http", {})))
    asked.append(_manners(settings.get("http_of_images", settings.get("http", {}))))
    if len(set(asked)) > 1:
        asked = [f"For pages: {asked[0]}", f"For images: {asked[1]}"]
    return (
        f"{' '.join(dict.fromkeys(asked))} What was decided, and on what evidence, stands with each pair in the "
        "columns `consent` and `consent_evidence`. An owner's later objection is to be followed too: the columns "
        "`url` and `page_url` say where a pair came from."
    )


OTHERS = " So was what robots.txt says to well-known crawlers that gather data for AI."


def _manners(http: Mapping[str, Any]) -> str:
    agent, delay = http.get("user_agent", "?"), http.get("delay", "?")
    contact = f" (contact: {http['contact']})" if http.get("contact") else ""
    signals = ", ".join(str(signal).replace("_", " ") for signal in http.get("binding_signals", ())) or "none"
    return (
        f"Sites were asked as `{agent}`{contact}, at most one request in {delay} seconds a host. A refusal by any of "
        f"these signals was obeyed, before the request where it can be known before: {signals}."
        f"{OTHERS if http.get('obey_ai_crawler_rules') else ''}"
    )


def _apart(settings: Mapping[str, Any]) -> str:
    """How far the pictures that are kept apart are from the others."""
    package = settings.get("package", {})
    distance = package.get("holdout_distance", -1)
    if distance < 0:
        return " (no equal picture is in both; near ones may be)"
    altered = ", nor an altered copy of one, as far as those are found" if package.get("holdout_altered") else ""
    return (
        f" (no picture there is within {distance} of the 64 bits of the perceptual hash of one in `shards/`{altered})"
    )


def render_card(name: str, steps: list[Step], summary: Summary, settings: Mapping[str, Any], settings_text: str) -> str:
    """The card. ``settings`` are the run's, as nested dictionaries, and ``settings_text`` the same as TOML."""
    parts = next((step.parts for step in steps if step.parts), {})
    held = f" and {number(parts['holdout'])} kept apart in `holdout/`{_apart(settings)}" if parts.get("holdout") else ""
    queries = ""
    if summary.queries is not None:
        queries = f" {number(len(summary.queries.matched))} queries of the list have a match in the pairs."
    if summary.asked is not None:
        queries += f" The balance was {asked_in_words(summary.asked)}."
    language = settings.get("text", {}).get("language", "en")
    return f"""{_head(name, language, summary, parts)}

# {name}

Images from the web with the texts that describe them on their pages: {number(parts.get("shards", summary.pairs))} pairs
in `shards/`{held}.

## How it was made

Pairs of an image and a text were taken from pages, filtered by rules on the text, matched against a list of queries,
and balanced, so that common queries do not drown the rare ones; the images were then downloaded, filtered and
packed.{queries} `report.html` shows each step with samples, `funnel.json` has the same numbers as data, and `rejects/`
names every pair that was dropped, with the reason.

{_funnel(steps)}

## What a sample is

{WHAT_A_SAMPLE_IS[summary.tars]}
`url` is where the image came from and `page_url` where the text stood; `sha256` is of the image as received.

## Loading

```python
{LOADING[summary.tars]}
```

## Consent

{consent_in_words(settings)}

## Licence, and what to mind

{RIGHTS}

## Settings

```toml
{settings_text.strip()}
```
"""
