"""What the words of a text say: kinds and triples of letters, against a plain reading of the same rules."""

import random
import re

import numpy as np
import pyarrow as pa
import pytest

from pipeline.text import english
from pipeline.text.english import (
    MEASURES,
    Lexicon,
    dictionary_from_queries,
    english_function_words,
    lexicon_from_queries,
    lexicon_of,
    measure,
)
from pipeline.text.evidence import evidence
from query_builder.normalize import words

KNOWN = frozenset({"cat", "bake", "box", "story", "paint", "quick", "owl", "table", "don", "art"})
LISTED = frozenset({"dlgs", "tamworth", "die", "bakes", "paris"})


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return lexicon_of(KNOWN, LISTED)


def _stems(word: str) -> set[str]:
    """What is left of a word without a common ending."""
    found = {word.removesuffix(ending) for ending in ("s", "es", "ed", "er", "ly", "ing")}
    found |= {word[:-1]} if word.endswith(("ed", "er")) else set()
    found |= {word[:-3] + "e"} if word.endswith("ing") else set()
    found |= {word[:-3] + "y"} if word.endswith(("ies", "ied")) else set()
    return {stem for stem in found - {word} if len(word) - len(stem) <= 3 and len(stem.rstrip("y")) >= 2}


def _of_dictionary(word: str) -> bool:
    others = english._other_function_words()
    shared = len(word) <= 4 and word in others
    single = word in english_function_words() and (len(word) == 1 or (len(word) == 2 and word in others))
    return word in KNOWN | english_function_words() and not shared and not single


def _kind(word: str) -> int:
    """The slow reading of a word's kind."""
    functional, others = english_function_words(), english._other_function_words()
    if word.isdigit() and word.isascii():
        return english.NUMBER
    if word in KNOWN | functional:
        if word in others and len(word) <= 4:
            return english.SHARED
        if word in functional:
            strong = len(word) > 2 or (len(word) == 2 and word not in others)
            return english.STRONG if strong else english.SHARED
        return english.KNOWN if len(word) > 3 else english.SHORT
    if word in others:
        return english.OTHER
    if any(len(stem) >= 3 - (word.endswith(("ies", "ied"))) and _of_dictionary(stem) for stem in _stems(word)):
        return english.KNOWN
    if re.fullmatch("[bcdfghjklmnpqrstvwxz]{2,6}", word):
        return english.ABBREVIATION
    if not word.isascii():
        return english.FOREIGN_LETTERS
    if word in LISTED:
        return english.LISTED
    return english.SHORT_UNKNOWN if len(word) <= 3 else english.UNKNOWN


def _slow(text: str) -> list[float]:
    found = [0.0] * MEASURES
    spoken = 0
    for word in words(text):
        kind = _kind(word)
        found[kind] += 1
        if kind in (english.NUMBER, english.ABBREVIATION):
            continue
        spoken += 1
        row = [0, *(ord(letter) - 96 if "a" <= letter <= "z" else -1 for letter in word.encode().decode("latin-1")), 0]
        triples = zip(row, row[1:], row[2:], strict=False)
        score = sum(float(english._triples()[(a * 27 + b) * 27 + c]) for a, b, c in triples if min(a, b, c) >= 0)
        unknown = kind in (english.SHORT_UNKNOWN, english.UNKNOWN, english.LISTED)
        length = len(word.encode())
        found[english.TRIPLES_UNKNOWN if unknown else english.TRIPLES_KNOWN] += score / length * min(length, 6)
    found[english.ALL_KNOWN] = float(spoken > 0 and sum(found[: english.SHARED + 1]) == spoken)
    return found


def test_the_compiled_reading_is_the_plain_one(lexicon: Lexicon) -> None:
    draw = random.Random(3)
    pieces = [
        *(
            "The",
            "of",
            "a",
            "Cats",
            "baking",
            "baker",
            "boxes",
            "stories",
            "storied",
            "painted",
            "quickly",
            "Die",
            "de",
        ),
        *(
            "owls",
            "arts",
            "dons",
            "bakes",
            "Tamworth",
            "und",
            "café",
            "12",
            "x9",
            "os",
            "tabling",
            "zzz",
            "pcb",
            "dlgs",
            "schwrz",
            "brrrrrr",
            "z",
            "lynx",
            "mp3",
            "Ωmega",
            "ing",
        ),
        *("s", "ed", "paris", "don't", "日本", "İstanbul", "supercalifragilistic", "me", "an", "with", "owl"),
    ]
    texts = ["", " ", "12", *(" ".join(draw.choices(pieces, k=draw.randint(1, 9))) for _ in range(400))]
    found = measure(pa.array(texts), lexicon)
    np.testing.assert_allclose(found, [_slow(text) for text in texts], rtol=1e-5, atol=1e-5)
    assert (found[:, : english.KINDS].sum(axis=0) > 0).all()


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("the", english.STRONG),
        ("tables", english.KNOWN),
        ("baking", english.KNOWN),
        ("owl", english.SHORT),
        ("in", english.SHARED),
        ("und", english.OTHER),
        ("tamworth", english.LISTED),
        ("straße", english.FOREIGN_LETTERS),
        ("xyz", english.SHORT_UNKNOWN),
        ("wxyz", english.UNKNOWN),
        ("2015", english.NUMBER),
        ("pcb", english.ABBREVIATION),
        ("lynx", english.UNKNOWN),
    ],
)
def test_kinds_of_words(lexicon: Lexicon, word: str, kind: int) -> None:
    found = measure(pa.array([word]), lexicon)[0]
    assert np.flatnonzero(found[: english.KINDS]).tolist() == [kind]


def test_abbreviations_hardly_speak_against_english(lexicon: Lexicon) -> None:
    captions = ["quick story", "quick pcb story", "quick dlgs story", "quick lynx story"]
    plain, *abbreviated, odd = evidence("fasttext", "en", pa.array(captions), lexicon_of(KNOWN | set("abc"), LISTED))
    assert measure(pa.array(captions), lexicon)[:, english.ALL_KNOWN].tolist() == [1, 1, 1, 0]
    assert min(abbreviated) > odd + 2 and 0 < plain - max(abbreviated) < 1


def test_english_triples_are_told_from_others() -> None:
    nothing = lexicon_of(())
    texts = pa.array(["thought nightly weighing", "knjiga przykład voordeel"])
    score = measure(texts, nothing)[:, english.TRIPLES_UNKNOWN]
    assert score[0] > 0 > score[1]


def test_the_files_are_whole() -> None:
    assert english._triples().shape == (27**3,) and abs(english._triples()).max() <= 4
    others = english._other_function_words()
    assert {"de", "und", "het", "el", "na"} <= others and not {"the", "of", "with", "and"} & others


def test_the_dictionary_of_a_query_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(english, "LEAST_WORDS", 3 + len(english_function_words() - {"red", "panda", "owl"}))
    queries = pa.table({"query": ["red panda", "der", "owl"], "sources": [["synset"], ["word"], ["synset", "word"]]})
    assert dictionary_from_queries(queries) == {"red", "panda", "owl"} | english_function_words()
    assert dictionary_from_queries(queries.slice(1, 1)) == frozenset()
    both = lexicon_from_queries(queries)
    assert both.known == len(english_function_words() | {"red", "panda", "owl"})
    told = measure(pa.array(["panda", "der"]), both)
    assert told[0, english.KNOWN] == 1 and told[1, english.OTHER] == 1
    assert lexicon_from_queries(queries.slice(1, 1)).known == 0
    # One name fewer, and it is no dictionary.
    few = lexicon_from_queries(queries.slice(1))
    assert few.known == 0
    told = measure(pa.array(["owl", "panda"]), few)
    assert told[0, english.LISTED] == 1 and told[1, english.UNKNOWN] == 1


def test_a_few_names_of_wordnet_are_no_dictionary() -> None:
    """Plain English captions of words that a small list lacks stay English with it."""
    names = ["owl", "panda", "circle"]
    queries = pa.table({"query": names, "sources": [["synset"]] * 3})
    texts = pa.array(["two children playing football on the beach", "Steps to create a brush", "cup of coffee"])
    assert (evidence("fasttext", "en", texts, lexicon_from_queries(queries)) > 1).all()
