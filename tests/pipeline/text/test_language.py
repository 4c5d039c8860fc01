from collections.abc import Callable

import pyarrow as pa
import pytest

from pipeline.text.detectors import detect
from pipeline.text.language import LanguageRule, dictionary_from_queries, english_function_words
from webimagetext.errors import UserError

Batch = Callable[[list[str]], pa.RecordBatch]
ENGLISH = [
    "A black cat sleeps on a red sofa",
    "Two children play football in the park",
    "AN OLD MAN READS THE NEWSPAPER ON A BENCH",
    "The Eiffel Tower at night",
    "A bowl of soup with bread and cheese",
    "Snow covered mountains under a blue sky",
]
OTHER = [
    "Eine schwarze Katze schläft auf dem roten Sofa",
    "Deux enfants jouent au football dans le parc",
    "UN ANCIANO LEE EL PERIÓDICO EN UN BANCO",
    "Две собаки бегут по пляжу",
    "Uma tigela de sopa com pão e queijo",
    "Góry pokryte śniegiem pod błękitnym niebem",
    "公園で遊ぶ子供たち",
]


def rule(detector: str, dictionary: frozenset[str] = frozenset(), language: str = "en") -> LanguageRule:
    return LanguageRule(detector, language, 0.5, 0.1, 0.8, dictionary)


@pytest.mark.parametrize("detector", ["fasttext", "langdetect"])
def test_english_stays_and_the_rest_goes(detector: str, batch_of: Batch) -> None:
    verdicts, added = rule(detector)(batch_of([*ENGLISH, *OTHER]))
    assert verdicts.to_pylist() == [None] * len(ENGLISH) + ["other_language"] * len(OTHER)
    assert added["p_english"].type == pa.float32() and added["p_english"].null_count == 0
    assert max(added["p_english"].to_pylist()) <= 1


def test_another_language_can_be_wanted(batch_of: Batch) -> None:
    verdicts, _ = rule("fasttext", language="de")(batch_of([OTHER[0], ENGLISH[0]]))
    assert verdicts.to_pylist() == [None, "other_language"]


def test_a_dictionary_saves_short_captions(batch_of: Batch) -> None:
    known = frozenset({"banana", "owl", "pear"}) | english_function_words()
    captions = [f"{article} {word}." for article in ("A", "The") for word in ("red pears", "banana", "owl")]
    low = LanguageRule("fasttext", "en", 1.0, 0.0, 0.6, known)
    assert low(batch_of(captions))[0].null_count == len(captions)
    high = LanguageRule("fasttext", "en", 1.0, 0.0, 0.6, frozenset({"zebra"}))
    assert high(batch_of(captions))[0].null_count == 0


def test_langdetect_is_seeded(batch_of: Batch) -> None:
    unsure = ["pizza pasta", "radio hotel taxi", "menu bar"] * 3
    answers = detect("langdetect", unsure, "en").tolist()
    assert answers[:3] == answers[3:6] == answers[6:]


def test_texts_that_try_a_detector() -> None:
    odd = ["", " ", "\n", "a\nb\nc", "12345", "🐕" * 50, "\x00", "x" * 20_000, "e\u0301" * 100]
    for detector in ("fasttext", "langdetect"):
        assert len(detect(detector, odd, "en")) == len(odd)


def test_the_dictionary_of_a_query_list() -> None:
    queries = pa.table({"query": ["red panda", "der", "owl"], "sources": [["synset"], ["word"], ["synset", "word"]]})
    assert dictionary_from_queries(queries) == {"red", "panda", "owl"} | english_function_words()
    assert dictionary_from_queries(queries.slice(1, 1)) == frozenset()


def test_unknown_languages_and_detectors_are_named() -> None:
    with pytest.raises(UserError, match="'english' is not known to fasttext"):
        detect("fasttext", ["x"], "english")
    with pytest.raises(UserError, match="'xx' is not known to langdetect"):
        detect("langdetect", ["x"], "xx")


def test_py3langid() -> None:
    assert detect("py3langid", [ENGLISH[0]], "en")[0] > 0.5 > detect("py3langid", [OTHER[0]], "en")[0]
