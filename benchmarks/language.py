"""Telling English captions from others, against langdetect (seeded).

In: captions with their language. Always the set beside this file, written for it; with ``LANGUAGE_STAMPS`` set to an
unpacked ``tuxpaint-stamps-default`` (Debian), its picture captions too: real, two to four words long, in 77 languages.
Out: texts a second of one core, and each set's F1 for "is English"; and what ours does of the captions of a real web
list, and of those put end to end to texts of twenty and eighty words. ``equal`` says that ours is not lower on any set.
The dictionary is the WordNet part of the larger data's query list where that is there; without it the rule does with
what it knows of function words.
"""

import gzip
import os
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.match import real_captions
from benchmarks.table import Row, figure, times
from pipeline.text.config import TextConfig
from pipeline.text.detectors import detect
from pipeline.text.english import Lexicon, english_function_words, lexicon_of
from pipeline.text.language import LanguageRule
from query_builder.normalize import words

__all__ = ["dictionary", "lexicon", "rows", "run"]

HERE = Path(__file__).parent
QUERIES = HERE.parents[1] / "shared" / "data" / "queries" / "queries_648573.tsv.gz"
FOREIGN = 1500  # captions in other languages taken from the stamps
TIMED = 400  # captions langdetect is timed on
ROUNDS = 3
LONG = (20, 80)  # words of long texts

Labelled = list[tuple[str, bool]]
Judge = Callable[[list[str]], list[bool]]


def _queries() -> list[tuple[str, str]]:
    """The larger data's query list, as (query, its sources); empty where that is not there."""
    if not QUERIES.exists():
        return []
    with gzip.open(QUERIES, "rt", encoding="utf-8") as stream:
        return [(row[0], row[1]) for row in (line.rstrip("\n").split("\t") for line in stream)]


def dictionary() -> frozenset[str]:
    """The words of WordNet's names in that list, and the function words; empty without the list."""
    names = [words(query) for query, sources in _queries() if "wordnet" in sources]
    return english_function_words().union(*names) if names else frozenset()


def lexicon() -> Lexicon:
    """What that list tells of English words; the function words alone where it is not there."""
    return lexicon_of(dictionary(), {word for query, told in _queries() if "wordfreq" in told for word in words(query)})


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


def _ours(rule: LanguageRule) -> Judge:
    return lambda texts: rule(pa.RecordBatch.from_pydict({"caption": texts}))[0].is_null().to_pylist()


def _peer(texts: list[str]) -> list[bool]:
    """langdetect's own answer: more likely English than not."""
    return [bool(wanted >= 0.5) for wanted in detect("langdetect", texts, "en")[0]]


def _f1(judge: Judge, labelled: Labelled) -> float:
    kept = judge([text for text, _ in labelled])
    right = sum(keep and english for keep, (_, english) in zip(kept, labelled, strict=True))
    return 2.0 * right / (sum(kept) + sum(english for _, english in labelled))


def _rate(judge: Judge, labelled: Labelled) -> float:
    """Captions a second, the best of several rounds."""
    texts, best = [text for text, _ in labelled], float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        judge(texts)
        best = min(best, time.process_time() - began)
    return len(labelled) / best


def run() -> dict[str, Any]:
    """The comparison."""
    known = lexicon()
    ours = _ours(LanguageRule("fasttext", "en", TextConfig().language_threshold, known))
    sets = {"own": _own()}
    if folder := os.environ.get("LANGUAGE_STAMPS"):
        sets["stamps"] = _stamps(Path(folder))
    scores = {name: (round(_f1(ours, data), 4), round(_f1(_peer, data), 4)) for name, data in sets.items()}
    timed = random.Random(1).choices([row for data in sets.values() for row in data], k=TIMED)
    rate, peer_rate = _rate(ours, timed * 20), _rate(_peer, timed)
    listed = real_captions()
    words_of = [word for caption in listed for word in caption.split()]
    real = {"as they are": listed} | {
        f"{size} words": [" ".join(words_of[first : first + size]) for first in range(0, len(words_of), size)]
        for size in LONG
    }
    return {
        "ours": round(rate),
        "peer": round(peer_rate),
        "ratio": round(rate / peer_rate, 1),
        "unit": "captions a second of one core",
        "equal": all(mine >= other for mine, other in scores.values()),
        "f1_ours_and_peer": scores,
        "dictionary_words": known.known,
        "real": {name: round(_rate(ours, [(text, True) for text in texts])) for name, texts in real.items()},
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    return [
        Row(
            f"the language rule alone: {figure(result['ours'])} captions a second; of a web list, "
            f"{figure(result['real']['as they are'])}; of eighty words, {figure(result['real']['80 words'])}",
            f"langdetect: {figure(result['peer'])}",
            times(result["ratio"]),
        )
    ]
