"""What the words of a text say of its being English, beside what a language detector makes of its letters.

In: texts, and a :class:`Lexicon`. Out: a row of numbers for each text (MEASURES): how many of its words are of which
kind, and how English their triples of letters are. A detector that reads the letters alone is unsure of five words;
whether they stand in a dictionary, or are the articles and prepositions of other languages, it does not know.

A word's kind is the first of these that holds: a number; a function word of English alone; one that other languages
have too; a word that they use all the time and English lacks; with letters beyond ASCII; in the dictionary, as it
stands or without a common ending; two to six letters without a vowel ("pcb", "dlg"), which are an abbreviation in most
languages; in the query list; none. Where it counts whether all words are known, numbers and abbreviations are none. Two
files beside this one, made by ``benchmarks.language_training``, hold what is known of other languages.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.match.fold import Bytes, Offsets, UInt64, fold_words, raw_texts, readonly
from pipeline.text.phrases import read_phrases
from webimagetext.compiled import compiled

__all__ = [
    "MEASURES",
    "Lexicon",
    "dictionary_from_queries",
    "english_function_words",
    "lexicon_from_queries",
    "lexicon_of",
    "measure",
]

Floats = npt.NDArray[np.float32]
# Kinds of words, as they stand in the lexicon and as columns of what is measured.
STRONG, KNOWN, SHORT, SHARED, OTHER, LISTED, FOREIGN_LETTERS, SHORT_UNKNOWN, UNKNOWN, NUMBER, ABBREVIATION = range(11)
KINDS = 11
ALL_KNOWN, TRIPLES_UNKNOWN, TRIPLES_KNOWN = 11, 12, 13  # the columns after those of the kinds
MEASURES = 14
NONE = 255  # the kind of a word that the lexicon lacks
SHORT_LETTERS, SHARED_LETTERS = 3, 4  # a word of so few letters may well be another language's too
STEM = 3  # letters that stay at least when an ending is taken off
# Words of a dictionary at least, of WordNet's 88,000. To a smaller one most English words are unknown, which speaks
# against English: of 2,500 captions of a LAION list 94 % stay with all of them, 72 % with 40,000 drawn at random, 22 %
# with 500, and 93 % without any.
LEAST_WORDS = 60_000
ABBREVIATED = 6  # letters of an abbreviation at most
TRIPLES_COUNTED = 6  # of one word, so that a long one does not outvote the rest
LETTERS = 27  # a to z, and the edge of a word
LEVELS, ZERO, STEPS = 64, 48, 8.0  # of trigrams.txt: characters from "0" on, the middle one 0, so many levels a nat
FNV_OFFSET, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@functools.cache
def english_function_words() -> frozenset[str]:
    """The articles, prepositions, pronouns and the like, which WordNet doesn't have."""
    return frozenset(read_phrases(_beside("english_function_words.txt")))


@functools.cache
def _other_function_words() -> frozenset[str]:
    """Words of up to six letters that make up 0.8 % and more of a text in some other language."""
    return frozenset(read_phrases(_beside("other_function_words.txt")))


@functools.cache
def _triples() -> Floats:
    """The log of how much likelier each triple of letters is in English words than in others, first letter first."""
    lines = read_phrases(_beside("trigrams.txt"))
    levels = np.frombuffer("".join(lines).encode(), np.uint8).astype(np.float32)
    return readonly((levels - ZERO - LEVELS // 2) / STEPS)


def _beside(name: str) -> str:
    return str(Path(__file__).with_name(name))


@dataclass(frozen=True)
class Lexicon:
    """A table of words by their hashes: ``keys``, 0 where a place is free, and ``kinds``. ``known`` says how many words
    of a dictionary are in it."""

    keys: UInt64
    kinds: Bytes
    known: int


def lexicon_of(known: Iterable[str], listed: Iterable[str] = ()) -> Lexicon:
    """The lexicon for a dictionary of English words (empty: none) and further words of a query list, all in normal
    form."""
    kinds: dict[str, int] = dict.fromkeys(listed, LISTED)
    dictionary = frozenset(known)
    functional, others = english_function_words(), _other_function_words()
    kinds.update(dict.fromkeys(others, OTHER))
    for word in dictionary | functional:
        if word in others and len(word) <= SHARED_LETTERS:
            kinds[word] = SHARED
        elif word in functional:
            kinds[word] = STRONG if len(word) > 2 or (word not in others and len(word) > 1) else SHARED
        else:
            kinds[word] = KNOWN if len(word) > SHORT_LETTERS else SHORT
    size = 1 << (2 * len(kinds)).bit_length()
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.uint8)
    data, offsets = raw_texts(pa.array(kinds, pa.string()))
    _enter(data, offsets, readonly(np.fromiter(kinds.values(), np.uint8, len(kinds))), keys, values)
    return Lexicon(readonly(keys), readonly(values), len(dictionary))


def dictionary_from_queries(queries: pa.Table) -> frozenset[str]:
    """The English words of a query list with columns query and sources: those in WordNet's names, and the function
    words.

    Empty when the list holds no WordNet names, for then it is no dictionary.
    """
    known = _words_of(queries, "synset")
    return known | english_function_words() if known else frozenset()


def lexicon_from_queries(queries: pa.Table) -> Lexicon:
    """What a query list with columns query and sources tells of English words. The WordNet names of a list with few of
    them are no dictionary, but words of the list like others."""
    dictionary, listed = dictionary_from_queries(queries), _words_of(queries, "word")
    if len(dictionary) < LEAST_WORDS:
        return lexicon_of((), listed | _words_of(queries, "synset"))
    return lexicon_of(dictionary, listed)


def _words_of(queries: pa.Table, source: str) -> frozenset[str]:
    """The words of the queries that came from a source."""
    rows = zip(queries.column("query").to_pylist(), queries.column("sources").to_pylist(), strict=True)
    return frozenset(word for query, sources in rows if source in (sources or ()) for word in query.split())


def measure(texts: pa.Array, lexicon: Lexicon) -> Floats:
    """What the words of each text say: an array (texts, MEASURES)."""
    folded = fold_words(texts)
    found = np.zeros((len(texts), MEASURES), np.float32)
    _measure(folded.data, folded.offsets, folded.stops, folded.first, lexicon.keys, lexicon.kinds, _triples(), found)
    return found


@compiled
def _enter(data: Bytes, offsets: Offsets, kinds: Bytes, keys: UInt64, values: Bytes) -> None:
    """Enters words into an empty table."""
    mask = np.uint64(len(keys) - 1)
    for row in range(len(kinds)):
        value = FNV_OFFSET
        for position in range(offsets[row], offsets[row + 1]):
            value = (value ^ np.uint64(data[position])) * FNV_PRIME
        place = value & mask
        while keys[place] != 0 and keys[place] != value:
            place = (place + np.uint64(1)) & mask
        keys[place], values[place] = value, kinds[row]


@compiled
def _kind(value: np.uint64, keys: UInt64, values: Bytes) -> int:
    """The kind of the word with a hash."""
    mask = np.uint64(len(keys) - 1)
    place = value & mask
    while keys[place] != 0:
        if keys[place] == value:
            return int(values[place])
        place = (place + np.uint64(1)) & mask
    return NONE


@compiled
def _is_known(value: np.uint64, keys: UInt64, values: Bytes) -> bool:
    kind = _kind(value, keys, values)
    return kind in (KNOWN, SHORT, STRONG)


@compiled
def _is_inflected(data: Bytes, start: int, stop: int, hashes: UInt64, keys: UInt64, values: Bytes) -> bool:
    """Whether a word is one of the dictionary with -s, -es, -ed, -ing, -er or -ly; ``hashes`` are those of the word
    without its last 1, 2 and 3 letters."""
    length = stop - start
    if length < STEM + 1:
        return False
    last, before = data[stop - 1], data[stop - 2]
    ends_s, ends_d, ends_r = last == ord("s"), last == ord("d"), last == ord("r")
    after_e = before == ord("e")
    if (ends_s or (after_e and (ends_d or ends_r))) and _is_known(hashes[0], keys, values):
        return True
    if length < STEM + 2:
        return False
    if after_e and (ends_s or ends_d or ends_r) and _is_known(hashes[1], keys, values):
        return True
    if before == ord("l") and last == ord("y") and _is_known(hashes[1], keys, values):
        return True
    if length < STEM + 3:
        return False
    third = data[stop - 3]
    if third == ord("i") and before == ord("n") and last == ord("g"):
        with_e = (hashes[2] ^ np.uint64(ord("e"))) * FNV_PRIME
        return _is_known(hashes[2], keys, values) or _is_known(with_e, keys, values)
    if third == ord("i") and after_e and (ends_s or ends_d):
        return _is_known((hashes[2] ^ np.uint64(ord("y"))) * FNV_PRIME, keys, values)
    return False


@compiled
def _is_abbreviation(data: Bytes, start: int, stop: int) -> bool:
    """Whether a word has nothing but consonants."""
    if not 1 < stop - start <= ABBREVIATED:
        return False
    for position in range(start, stop):
        byte = data[position]
        if not 97 <= byte <= 122 or byte in (97, 101, 105, 111, 117, 121):  # aeiouy
            return False
    return True


@compiled
def _triple_score(data: Bytes, start: int, stop: int, triples: Floats) -> float:
    """How English the triples of a word are: their mean, times their number up to TRIPLES_COUNTED."""
    score = 0.0
    before, here = -1, 0  # the edge before the word
    first = True
    for position in range(start, stop + 1):
        following = 0
        if position < stop:
            byte = data[position]
            following = int(byte) - 96 if 97 <= byte <= 122 else -1
        if not first and before >= 0 and here >= 0 and following >= 0:
            score += triples[(before * LETTERS + here) * LETTERS + following]
        before, here = here, following
        first = False
    length = stop - start
    return score / length * min(length, TRIPLES_COUNTED)


@compiled
def _measure(
    data: Bytes,
    offsets: Offsets,
    stops: Offsets,
    first: Offsets,
    keys: UInt64,
    values: Bytes,
    triples: Floats,
    found: Floats,
) -> None:
    hashes = np.empty(3, np.uint64)
    for row in range(len(found)):
        start = offsets[row]
        english = words = 0
        for word in range(first[row], first[row + 1]):
            stop = stops[word]
            value = FNV_OFFSET
            digits = ascii_only = True
            for position in range(start, stop):
                hashes[2], hashes[1], hashes[0] = hashes[1], hashes[0], value
                byte = data[position]
                digits = digits and 48 <= byte <= 57
                ascii_only = ascii_only and byte < 0x80
                value = (value ^ np.uint64(byte)) * FNV_PRIME
            if stop > start:
                kind = NUMBER
                if not digits:
                    kind = _kind(value, keys, values)
                    if kind in (NONE, LISTED) and _is_inflected(data, start, stop, hashes, keys, values):
                        kind = KNOWN
                    if kind in (NONE, LISTED) and _is_abbreviation(data, start, stop):
                        kind = ABBREVIATION
                    if not ascii_only and kind in (NONE, LISTED):
                        kind = FOREIGN_LETTERS
                    if kind == NONE:
                        kind = SHORT_UNKNOWN if stop - start <= SHORT_LETTERS else UNKNOWN
                if kind not in (NUMBER, ABBREVIATION):
                    words += 1
                    english += kind <= SHARED
                    score = _triple_score(data, start, stop, triples)
                    unknown = kind in (SHORT_UNKNOWN, UNKNOWN, LISTED)
                    found[row, TRIPLES_UNKNOWN if unknown else TRIPLES_KNOWN] += score
                found[row, kind] += 1
            start = stop + 1
        found[row, ALL_KNOWN] = words > 0 and english == words
