"""The compiled word counter against the normal form itself."""

import itertools
import random
import sys
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_builder.count.tokens import FIRST, FORM_MASK, JOINT_MASK, JOINTS, SECOND, Counts
from query_builder.hash_table import as_bytes
from query_builder.normalize import IGNORABLE, words


def counted(text: str) -> tuple[Counter[str], list[str]]:
    """Forms with their counts, and the pairs in order."""
    data = as_bytes(text)
    counts = Counts(len(data) + 16)
    counts.add(data, len(data))
    ends = counts.offsets[: counts.forms + 1].astype(int).tolist()
    forms = [counts.letters[a:b].tobytes().decode() for a, b in itertools.pairwise(ends)]
    pairs = counts.pairs[: int(counts.sizes[1])]
    texts = [
        forms[int(key >> FIRST)] + JOINTS[int(key & JOINT_MASK)] + forms[int(key >> SECOND & FORM_MASK)]
        for key in pairs
    ]
    return Counter(dict(zip(forms, counts.occurrences.tolist(), strict=True))), texts


def test_bigrams_cross_blanks_and_a_hyphen_but_no_other_mark() -> None:
    _, pairs = counted("Los Angeles, Coca-Cola; U.S. dog's end\nnext – line state - wide a\u00a0b")
    assert pairs == ["Los Angeles", "Coca-Cola", "s end", "line state", "wide a", "a b"]


def test_what_nobody_sees_parts_neither_words_nor_bigrams() -> None:
    forms, pairs = counted("soft\u00adhyphen new\u200b \u200byork \u200b\u200b city")
    assert set(forms) == {"soft\u00adhyphen", "new\u200b", "york", "city"}
    assert pairs == ["soft\u00adhyphen new\u200b", "new\u200b york", "york city"]


def test_words_of_scripts_without_blanks_are_characters() -> None:
    forms, pairs = counted("日本 abc")
    assert set(forms) == {"日", "本", "abc"}
    assert pairs == ["日本", "本 abc"]


def test_forms_give_the_same_words_as_the_normal_form_of_the_whole_text() -> None:
    draw = random.Random(1)
    # A capital sigma's lower case depends on what is around it beyond the word.
    pool = [chr(cp) for cp in range(32, 0x30000) if not 0xD800 <= cp < 0xE000 and cp != 0x3A3]
    marks = [character for character in pool if unicodedata.category(character)[0] == "M"]
    unseen = [character for character in [*pool, "\U000e0041", "\U000e0100"] if IGNORABLE.match(character)]
    for _ in range(60):
        text = "".join(draw.choice(draw.choice([pool, marks, unseen, " aB-=<.'1½²™日"])) for _ in range(400))
        forms, _ = counted(text)
        found: Counter[str] = Counter()
        for form, number in forms.items():
            for word in words(form):
                found[word] += number
        expected = Counter(words(text))
        assert found == expected, (ascii(found - expected), ascii(expected - found))


UNSEEN = "\u00ad\u200b\u200d\u2060\ufe0f\ufeff\U000e0100"


@given(
    st.text(
        st.one_of(st.sampled_from(UNSEEN + " aé-½²日\u0301'\n"), st.characters(exclude_categories=["Cs"])), max_size=60
    )
)
def test_any_text_has_the_words_of_its_normal_form(text: str) -> None:
    text = text.replace("Σ", "s")  # its lower case depends on what is around it beyond the word
    found: Counter[str] = Counter()
    for form, number in counted(text)[0].items():
        for word in words(form):
            found[word] += number
    assert found == Counter(words(text))


@pytest.mark.parametrize("unseen", list(UNSEEN))
def test_what_nobody_sees_is_no_word_and_parts_none(unseen: str) -> None:
    forms, pairs = counted(f"{unseen} a{unseen}b {unseen} c-{unseen}d{unseen}")
    assert [words(form) for form in forms] == [["ab"], ["c"], ["d"]]
    assert [words(pair) for pair in pairs] == [["ab", "c"], ["c", "d"]]


def test_the_vocabulary_grows_without_losing_a_count() -> None:
    draw = random.Random(2)
    names = ["".join(draw.choices("abcdefghijk", k=draw.randrange(1, 15))) for _ in range(60_000)]
    counts = Counts(400_000)
    for start in range(0, len(names), 1000):
        data = as_bytes(" ".join(names[start : start + 1000]))
        counts.add(data, len(data))
    assert counts.forms == len(set(names))
    assert int(counts.occurrences.sum()) == len(names)
    assert sorted(counts.occurrences.tolist()) == sorted(Counter(names).values())
    assert counts.pairs.dtype == np.uint64
    assert sys.getsizeof(counts.slots) < 1 << 30
