"""Telling English captions from others, against langdetect (seeded).

In: captions with their language. Always the set beside this file, written for it; with ``LANGUAGE_STAMPS`` set to an
unpacked ``tuxpaint-stamps-default`` (Debian), its picture captions too: real, two to four words long, in 77 languages.
Out: texts a second of one core, and each set's F1 for "is English". ``equal`` says that ours is not lower on any set.
The dictionary is the WordNet part of the larger data's query list where that is there; without it the rule does with
its lower threshold.
"""

import gzip
import os
import random
import re
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.table import Row, figure, times
from pipeline.text.config import TextConfig
from pipeline.text.language import LanguageRule, english_function_words
from query_builder.normalize import words

__all__ = ["rows", "run"]

HERE = Path(__file__).parent
QUERIES = HERE.parents[1] / "shared" / "data" / "queries" / "queries_648573.tsv.gz"
FOREIGN = 1500  # captions in other languages taken from the stamps
TIMED = 400  # captions langdetect is timed on
ROUNDS = 3

Labelled = list[tuple[str, bool]]


def _dictionary() -> frozenset[str]:
    if not QUERIES.exists():
        return frozenset()
    with gzip.open(QUERIES, "rt", encoding="utf-8") as stream:
        rows = [line.rstrip("\n").split("\t") for line in stream]
    return english_function_words().union(*(words(row[0]) for row in rows if "wordnet" in row[1]))


def _own() -> Labelled:
    lines = (HERE / "language_captions.tsv").read_text("utf-8").splitlines()
    return [(text, language == "en") for language, text in (line.split("\t") for line in lines)]


def _stamps(folder: Path) -> Labelled:
    """The first line of each file is English, the others ``language.utf8=caption``."""
    english, foreign = set(), set()
    for file in sorted(folder.rglob("*.txt")):
        lines = file.read_text("utf-8", errors="replace").splitlines()
        if lines and lines[0].strip():
            english.add(lines[0].strip())
        for line in lines[1:]:
            match = re.match(r"(?!en)[a-z]{2,3}(?:_[A-Z]+)?(?:@\w+)?\.utf8=(.+)", line)
            if match:
                foreign.add(match[1].strip())
    chosen = random.Random(0).sample(sorted(foreign - english), FOREIGN)
    return [(text, True) for text in sorted(english)] + [(text, False) for text in chosen]


def _batch(labelled: Labelled) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"caption": [text for text, _ in labelled]})


def _f1(rule: LanguageRule, labelled: Labelled) -> float:
    kept: list[bool] = rule(_batch(labelled))[0].is_null().to_pylist()
    right = sum(keep and english for keep, (_, english) in zip(kept, labelled, strict=True))
    return 2.0 * right / (sum(kept) + sum(english for _, english in labelled))


def _rate(rule: LanguageRule, labelled: Labelled) -> float:
    """Captions a second, the best of several rounds."""
    batch, best = _batch(labelled), float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        rule(batch)
        best = min(best, time.process_time() - began)
    return len(labelled) / best


def run() -> dict[str, Any]:
    """The comparison."""
    config = TextConfig()
    limits = (config.language_threshold, config.language_low_threshold, config.dictionary_share)
    ours = LanguageRule("fasttext", "en", *limits, _dictionary())
    peer = LanguageRule(
        "langdetect", "en", 0.5, 0.5, 1.0, frozenset({""})
    )  # its own answer: more likely English than not
    sets = {"own": _own()}
    if folder := os.environ.get("LANGUAGE_STAMPS"):
        sets["stamps"] = _stamps(Path(folder))
    scores = {name: (round(_f1(ours, data), 4), round(_f1(peer, data), 4)) for name, data in sets.items()}
    timed = random.Random(1).choices([row for data in sets.values() for row in data], k=TIMED)
    rate, peer_rate = _rate(ours, timed * 20), _rate(peer, timed)
    return {
        "ours": round(rate),
        "peer": round(peer_rate),
        "ratio": round(rate / peer_rate, 1),
        "unit": "captions a second of one core",
        "equal": all(mine >= other for mine, other in scores.values()),
        "f1_ours_and_peer": scores,
        "dictionary_words": len(ours.dictionary),
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    return [
        Row(
            f"the language rule alone: {figure(result['ours'])} captions a second",
            f"langdetect: {figure(result['peer'])}",
            times(result["ratio"]),
        )
    ]
