"""What a text itself says of being in a language: the evidence of the detector, and for English that of its words.

In: texts, a language, and for English a lexicon (english.py). Out: log-odds, 0 where both are as likely.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.text.detectors import detect
from pipeline.text.english import MEASURES, Lexicon, measure

__all__ = ["Floats", "chance_of", "evidence", "odds_of"]

Floats = npt.NDArray[np.float64]

# Fitted on captions of the GIMP manual in 27 languages and names of emoji in 160 (benchmarks.language_training), held
# against four other sets (docs/curation.md). The first two stand for what the detector says, the others for MEASURES.
FLOOR = 0.003  # added to a probability before its logarithm is taken
# From these log-odds of the words on the detector, which says from -4.0 to +3.0 and is most of what a caption costs,
# is not asked: with a page that speaks against the words (language.py) it would not change the answer.
DECIDED = 8.0
_DETECTOR, _ALONE = (0.56, 0.68), 0.80
_WORDS = (2.41, 1.17, 0.48, -0.93, -2.79, -0.09, -0.31, -1.31, -0.70, 0.17, -0.20, 3.97, 0.12, 0.11)
_WITH_DICTIONARY = ((0.45, 0.23), _WORDS, -2.41)
_FEW_WORDS = (3.25, 1.50, 0.0, -0.31, -1.22, 0.0, -0.91, -0.25, -0.30, 0.05, -0.38, 0.0, 0.23, -0.01)
_WITHOUT = ((0.52, 0.17), _FEW_WORDS, -0.16)


def evidence(detector: str, language: str, texts: pa.Array, lexicon: Lexicon | None) -> Floats:
    """What texts themselves say of being in ``language``, as log-odds. ``lexicon`` serves English alone: None for
    another language. Raises UserError for a detector that is not installed or does not know the language."""
    if lexicon is None:
        return _detected(detector, language, texts, _DETECTOR) + _ALONE
    weights, of_words, constant = _WITH_DICTIONARY if lexicon.known else _WITHOUT
    # Column by column: a matrix product may add up in another order on another machine.
    result = np.full(len(texts), constant)
    measured = measure(texts, lexicon)
    for number in range(MEASURES):
        result += of_words[number] * measured[:, number]
    unsure = np.flatnonzero(np.abs(result) < DECIDED)
    result[unsure] += _detected(detector, language, texts.take(pa.array(unsure)), weights)
    return result


def _detected(detector: str, language: str, texts: pa.Array, weights: tuple[float, float]) -> Floats:
    """What the detector says of texts, as log-odds."""
    wanted, other = (answer.astype(np.float64) + FLOOR for answer in detect(detector, texts.to_pylist(), language))
    found: Floats = weights[0] * np.log(wanted / other) + weights[1] * np.log(wanted)
    return found


def odds_of(share: Floats | float) -> Floats:
    """The logarithm of a probability's odds."""
    return np.log(np.asarray(share, np.float64)) - np.log1p(-np.asarray(share, np.float64))


def chance_of(odds: Floats) -> Floats:
    """The probability that has these log-odds."""
    return 1.0 / (1.0 + np.exp(-odds))
