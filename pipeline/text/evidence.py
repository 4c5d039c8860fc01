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
_DETECTOR, _ALONE = (0.56, 0.68), 0.80
_WORDS = (2.37, 1.21, 0.47, -0.90, -2.86, -0.04, -0.32, -1.38, -0.74, 0.19, 3.92, 0.11, 0.11)
_WITH_DICTIONARY = ((0.47, 0.21), _WORDS, -2.51)
_FEW_WORDS = (3.26, 1.43, 0.0, -0.31, -1.23, 0.0, -0.92, -0.26, -0.32, 0.05, 0.0, 0.23, -0.01)
_WITHOUT = ((0.53, 0.16), _FEW_WORDS, -0.15)


def evidence(detector: str, language: str, texts: pa.Array, lexicon: Lexicon | None) -> Floats:
    """What texts themselves say of being in ``language``, as log-odds. ``lexicon`` serves English alone: None for
    another language. Raises UserError for a detector that is not installed or does not know the language."""
    wanted, other = (answer.astype(np.float64) + FLOOR for answer in detect(detector, texts.to_pylist(), language))
    told = np.log(wanted / other), np.log(wanted)
    if lexicon is None:
        return _DETECTOR[0] * told[0] + _DETECTOR[1] * told[1] + _ALONE
    weights, of_words, constant = _WITH_DICTIONARY if lexicon.known else _WITHOUT
    # Column by column: a matrix product may add up in another order on another machine.
    result = weights[0] * told[0] + weights[1] * told[1] + constant
    measured = measure(texts, lexicon)
    for number in range(MEASURES):
        result += of_words[number] * measured[:, number]
    return result


def odds_of(share: Floats | float) -> Floats:
    """The logarithm of a probability's odds."""
    return np.log(np.asarray(share, np.float64)) - np.log1p(-np.asarray(share, np.float64))


def chance_of(odds: Floats) -> Floats:
    """The probability that has these log-odds."""
    return 1.0 / (1.0 + np.exp(-odds))
