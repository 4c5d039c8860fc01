import re
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.tables.schema import CANDIDATES
from pipeline.text import detectors
from pipeline.text import evidence as evidence_module
from pipeline.text.detectors import detect, language_of
from pipeline.text.english import Lexicon, lexicon_of
from pipeline.text.evidence import evidence, odds_of
from pipeline.text.language import OTHER_PAGE, SAME_PAGE, TEXTS, TEXTS_MOST, LanguageRule
from pipeline.text.sites import count_sites, read_sites
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


_NOUNS = ("cat", "sofa", "child", "football", "park", "owl", "banana", "pear", "fox", "field")
DICTIONARY = lexicon_of({"black", "red", "sleep", "play", *_NOUNS})


def rule(detector: str, lexicon: Lexicon | None = None, language: str = "en") -> LanguageRule:
    return LanguageRule(detector, language, 0.5, lexicon)


@pytest.mark.parametrize("detector", ["fasttext", "langdetect"])
def test_english_stays_and_the_rest_goes(detector: str, batch_of: Batch) -> None:
    verdicts, added = rule(detector)(batch_of([*ENGLISH, *OTHER]))
    assert verdicts.to_pylist() == [None] * len(ENGLISH) + ["other_language"] * len(OTHER)
    assert added["p_english"].type == pa.float32() and added["p_english"].null_count == 0
    assert max(added["p_english"].to_pylist()) <= 1
    assert added["p_context"].to_pylist() == [0.5] * len(verdicts)


def test_another_language_can_be_wanted(batch_of: Batch) -> None:
    verdicts, _ = rule("fasttext", language="de")(batch_of([OTHER[0], ENGLISH[0]]))
    assert verdicts.to_pylist() == [None, "other_language"]


def test_a_dictionary_saves_short_captions(batch_of: Batch) -> None:
    captions = [f"{article} {word}." for article in ("A", "The") for word in ("red pears", "black banana", "owl park")]
    verdicts, added = rule("fasttext", DICTIONARY)(batch_of(captions))
    assert verdicts.null_count == len(captions)
    _, without = rule("fasttext", lexicon_of({"zebra"}))(batch_of(captions))
    assert pc.all(pc.greater(added["p_english"], without["p_english"])).as_py()


def test_another_languages_words_weigh_against_a_caption(batch_of: Batch) -> None:
    captions = ["the red sofa of the owl", "red sofa de la owl", "red sofa und owl"]
    told = rule("fasttext", DICTIONARY)(batch_of(captions))[1]["p_english"].to_pylist()
    assert told[0] > 0.9 > 0.5 > max(told[1:])


def test_langdetect_is_seeded(batch_of: Batch) -> None:
    unsure = ["pizza pasta", "radio hotel taxi", "menu bar"] * 3
    answers = detect("langdetect", unsure, "en")[0].tolist()
    assert answers[:3] == answers[3:6] == answers[6:]


def test_texts_that_try_a_detector() -> None:
    odd = ["", " ", "\n", "a\nb\nc", "12345", "🐕" * 50, "\x00", "x" * 20_000, "e\u0301" * 100]
    for detector in ("fasttext", "langdetect"):
        assert [len(answers) for answers in detect(detector, odd, "en")] == [len(odd)] * 2


def test_unknown_languages_and_detectors_are_named() -> None:
    with pytest.raises(UserError, match="'english' is not known to fasttext"):
        detect("fasttext", ["x"], "english")
    with pytest.raises(UserError, match="'xx' is not known to langdetect"):
        detect("langdetect", ["x"], "xx")


def test_py3langid() -> None:
    wanted, other = detect("py3langid", [ENGLISH[0], OTHER[0]], "en")
    assert wanted[0] > 0.5 > wanted[1] and other[1] > 0.5


@pytest.mark.parametrize("detector", ["fasttext", "langdetect", "py3langid"])
def test_a_detector_tells_the_likeliest_other_language(detector: str) -> None:
    wanted, other = detect(detector, [ENGLISH[0], OTHER[0], "radio hotel taxi"], "en")
    assert wanted[0] > 0.5 and other[0] == 0
    assert other[1] > 0.5 > wanted[1]
    assert ((other == 0) | (wanted <= other)).all() and (wanted + other <= 1.001).all()


UNSURE = "Edge radius examples"  # where English is not even among the first


def chance(caption: str, page: str | None, language: str = "en", lexicon: Lexicon | None = None) -> tuple[float, float]:
    """p and p of the surroundings."""
    batch = pa.RecordBatch.from_pydict({"caption": [caption], "page_language": pa.array([page], pa.string())})
    _, added = rule("fasttext", lexicon, language)(batch)
    return added["p_english"][0].as_py(), added["p_context"][0].as_py()


@pytest.mark.parametrize("page", ["en", "EN-us", "en_GB"])
def test_a_page_in_the_language_makes_a_caption_likelier(page: str) -> None:
    own = odds_of(chance(UNSURE, None)[0])
    assert odds_of(chance(UNSURE, page)[0]) == pytest.approx(own + SAME_PAGE, abs=1e-4)
    assert odds_of(chance(UNSURE, page)[1]) == pytest.approx(SAME_PAGE, abs=1e-4)
    assert chance(OTHER[0], page)[0] < 0.5 and chance(OTHER[3], page)[0] < 0.5


def test_on_a_page_in_another_language_a_caption_has_to_be_surely_in_this_one() -> None:
    """Untranslated captions stay."""
    own = odds_of(chance(UNSURE, "")[0])
    assert odds_of(chance(UNSURE, "de")[0]) == pytest.approx(own + OTHER_PAGE, abs=1e-4)
    assert chance(ENGLISH[0], "de", lexicon=DICTIONARY)[0] > 0.5 > chance(OTHER[0], "de")[0]
    assert chance(OTHER[0], "de-CH", language="de")[0] > 0.5 > chance(ENGLISH[0], "en", language="de")[0]


def test_the_threshold_decides(batch_of: Batch) -> None:
    batch = batch_of([*ENGLISH, *OTHER, UNSURE])
    told = rule("fasttext")(batch)[1]["p_english"].to_numpy()
    for threshold in (0.02, 0.3, 0.9, 0.99):
        kept = LanguageRule("fasttext", "en", threshold)(batch)[0].is_null().to_numpy(False)
        assert (kept == (told >= threshold)).all()
    assert len({threshold for threshold in (0.02, 0.3, 0.9, 0.99) if (told >= threshold).all()}) == 0


def with_texts(caption: str, *others: str) -> pa.RecordBatch:
    texts = [{"kind": "alt", "text": caption}, *({"kind": "title", "text": text} for text in others)]
    row = {"pair_id": 1, "url": "http://a.example/1.png", "caption": caption, "texts": texts}
    return pa.RecordBatch.from_pylist([row], schema=CANDIDATES)


def test_the_other_texts_of_an_image_speak_where_the_caption_does_not() -> None:
    doubtful = "Banana radius"
    alone = rule("fasttext", DICTIONARY)(with_texts(doubtful))[1]
    same = rule("fasttext", DICTIONARY)(with_texts(doubtful, doubtful))[1]
    english = rule("fasttext", DICTIONARY)(with_texts(doubtful, ENGLISH[0]))[1]
    german = rule("fasttext", DICTIONARY)(with_texts(doubtful, OTHER[0]))[1]
    own = odds_of(alone["p_english"][0].as_py())
    assert abs(own) < TEXTS_MOST and alone["p_context"][0].as_py() == same["p_context"][0].as_py() == 0.5
    assert odds_of(english["p_context"][0].as_py()) == pytest.approx(TEXTS_MOST, abs=1e-4)
    assert odds_of(german["p_context"][0].as_py()) == pytest.approx(-TEXTS_MOST, abs=1e-4)
    assert odds_of(german["p_english"][0].as_py()) == pytest.approx(own - TEXTS_MOST, abs=1e-4)
    mild = ["Sofa radio owl", "Radio park model"]
    mean = evidence("fasttext", "en", pa.array(mild), DICTIONARY).mean()
    several = rule("fasttext", DICTIONARY)(with_texts(doubtful, *mild))[1]
    assert 0.1 < abs(TEXTS * mean) < TEXTS_MOST / 2
    assert odds_of(several["p_context"][0].as_py()) == pytest.approx(TEXTS * mean, abs=1e-4)
    sure = rule("fasttext", DICTIONARY)(with_texts(ENGLISH[0], OTHER[0]))[1]
    assert sure["p_context"][0].as_py() == 0.5


def test_sites_speak_where_no_page_does(batch_of: Batch) -> None:
    batch = batch_of([*OTHER, UNSURE, *OTHER])
    counts = count_sites(batch, "fasttext", "en", None)
    sites = read_sites(pa.Table.from_batches([counts]))
    _, added = LanguageRule("fasttext", "en", 0.5, None, sites)(batch)
    assert max(added["p_context"].to_pylist()) < 0.2
    paged = batch.set_column(
        batch.schema.get_field_index("page_language"), "page_language", pa.array(["en"] * len(batch))
    )
    told = LanguageRule("fasttext", "en", 0.5, None, sites)(paged)[1]["p_context"]
    assert odds_of(told[0].as_py()) == pytest.approx(SAME_PAGE, abs=1e-4)


def test_the_ledger_has_the_numbers(batch_of: Batch) -> None:
    batch = batch_of([OTHER[0], ENGLISH[0]])
    told = rule("fasttext")(batch)[1]["language_detail"].to_pylist()
    assert told[1] is None
    assert re.fullmatch(re.escape(OTHER[0]) + r" \[p 0\.0\d: caption -\d+\.\d\]", told[0])
    paged = pa.RecordBatch.from_pydict({"caption": [OTHER[0]], "page_language": ["de"]})
    assert f"page {OTHER_PAGE:+.1f}]" in rule("fasttext")(paged)[1]["language_detail"][0].as_py()
    sites = read_sites(pa.Table.from_batches([count_sites(batch_of(OTHER), "fasttext", "en", None)]))
    told = LanguageRule("fasttext", "en", 0.5, None, sites)(batch_of(OTHER[:1]))[1]["language_detail"]
    assert re.search(r", site, 6 others, -\d\.\d\]$", told[0].as_py())


def test_batches_know_their_rows(batch_of: Batch) -> None:
    captions = [UNSURE, UNSURE, OTHER[0], ENGLISH[0], UNSURE, OTHER[0]]
    pages = ["de", "en", "en", "de", "en-US", None]
    batch = pa.RecordBatch.from_arrays([pa.array(captions), pa.array(pages)], ["caption", "page_language"])
    verdicts, added = rule("fasttext", DICTIONARY)(batch)
    each = [chance(caption, page, lexicon=DICTIONARY) for caption, page in zip(captions, pages, strict=True)]
    assert added["p_english"].to_pylist() == [p for p, _ in each]
    assert verdicts.is_null().to_pylist() == [p >= 0.5 for p, _ in each]


def test_the_language_of_a_text() -> None:
    assert language_of(" ".join(OTHER[:1] * 2)) == "de" and language_of(" ".join(ENGLISH[:2])) == "en"
    assert language_of("Katze") == "" and language_of("1 2 3 4 5 6 7 8 9 10 " * 9) == ""


def test_captions_that_their_words_decide_need_no_detector(batch_of: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they say is the same as with it, whatever the page is in."""
    captions = [
        *("the red owl and the black fox of the field", "the child of the park sleeps with a red sofa"),
        *(
            "eine schwarze katze und der hund von dem",
            "red sofa of the park",
            "de la red sofa",
            "Menu bar",
            "red fox of a field",
        ),
    ]
    asked: list[str] = []

    def detect_and_note(detector: str, texts: list[str], language: str) -> tuple[npt.NDArray[np.float32], ...]:
        asked.extend(texts)
        return detect(detector, texts, language)

    monkeypatch.setattr(evidence_module, "detect", detect_and_note)
    kept = {page: chances(captions, page) for page in ("en", "de", None)}
    assert set(asked) == set(captions[4:])
    monkeypatch.setattr(evidence_module, "DECIDED", np.inf)
    for page, found in kept.items():
        whole = chances(captions, page)
        assert [chance > 0.5 for chance in found] == [chance > 0.5 for chance in whole]
        assert found[4:] == whole[4:] and found[:4] != whole[:4]


def chances(captions: list[str], page: str | None) -> list[float]:
    columns = {"caption": captions, "page_language": pa.array([page] * len(captions), pa.string())}
    found: list[float] = rule("fasttext", DICTIONARY)(pa.RecordBatch.from_pydict(columns))[1]["p_english"].to_pylist()
    return found


def test_a_detector_reads_the_beginning_of_a_long_caption() -> None:
    long = " ".join(["Zwei rote Füchse laufen über das Feld"] * 3)
    assert len(long) > detectors.READ
    wanted, other = detect("fasttext", [long, long[: detectors.READ]], "de")
    assert wanted[0] == wanted[1] > 0.5 and other[0] == other[1]
    begun = "The red ball of the old town and the Zug aus der kleinen Stadt fährt heute sehr langsam über die Brücke"
    assert detect("fasttext", [begun], "de")[0][0] > 0.9 > 0.5 > detect("fasttext", [begun[:30]], "de")[0][0]


def test_pages_of_english_words_need_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "_fasttext_model", lambda: pytest.fail("asked"))
    assert language_of("The owl that you saw was one of the birds which have their nests in this wood of ours.") == "en"
    for text in (
        "Owl Bridge River Town Evening People Walking There Every Single Day Without Pause",  # no such words
        "The the the the the the the the the the the the the the the the the the the the",  # one alone
        "the and of with " + "Brücke über den Fluß für größere Güter, " * 4,  # letters of others
        "the and of with " + "ponte vecchio sul fiume della nostra bella piccola città " * 5,  # few among many
    ):
        with pytest.raises(pytest.fail.Exception):
            language_of(text)
