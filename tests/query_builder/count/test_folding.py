"""Folding letter by letter against the normal form of the whole."""

import itertools
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from query_builder.count.folding import fold_forms
from query_builder.normalize import words

LETTERS = st.characters(exclude_categories=["Cs"])
# Letters and marks of scripts in which marks are usual, and such as compose, fold to several or change by place.
MARKED = "e\u0301é\u0327\u0332\u0307й\u0306कि\u094dड\u093c\u09c7\u09beعَّの\u3099"
USUAL = st.sampled_from(f"abZÅåßﬁΣσςΩİıſКё가ᄀᆨ日Ａ²½ªǅⅣ𝒜\u200d\u00ad{MARKED}")
FORM = st.one_of(st.text(USUAL, min_size=1, max_size=6), st.text(LETTERS, min_size=1, max_size=4))


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def folded(forms: list[str]) -> list[str | None]:
    """The word of each form, None where the fold is not to be used."""
    data = [form.encode() for form in forms]
    offsets = np.cumsum([0, *map(len, data)])
    out, out_offsets, right = fold_forms(np.frombuffer(b"".join(data), np.uint8), offsets)
    texts = [out[a:b].tobytes().decode() for a, b in itertools.pairwise(out_offsets)]
    return [text if fits else None for text, fits in zip(texts, right.tolist(), strict=True)]


@settings(deadline=None)  # the first call compiles
@given(st.lists(FORM, min_size=1))
@example(["a²", "²", "日", "日本", "ΑΣ", "e\u0332\u0301", "각", "ᄀ", "क\u093c"])
def test_a_fold_that_is_right_is_the_normal_form(forms: list[str]) -> None:
    for form, word in zip(forms, folded(forms), strict=True):
        if word is not None:
            assert words(form) == [word], form.encode("unicode_escape")


def test_every_character_beside_letters_and_marks() -> None:
    for code in range(0x30000):
        if 0xD800 <= code < 0xE000:
            continue
        character = chr(code)
        forms = [character, f"x{character}", f"{character}x", f"é{character}", f"\u0932{character}\u094d"]
        for form, word in zip(forms, folded(forms), strict=True):
            assert word is None or words(form) == [word], form.encode("unicode_escape")


@pytest.mark.parametrize(
    "text",
    [
        "Ёлка СЪЕЗД Łódź ÅNGSTRÖM École Größe Ήλιος ქართული ԵՐԵՎԱՆ ÇAĞ",
        "हिन्दी विश्वविद्यालय বাংলা தமிழ் العربية עברית 한국어 日 の",
    ],
)
def test_usual_words_are_folded(text: str) -> None:
    forms = text.split()
    assert folded(forms) == [" ".join(words(form)) for form in forms] == [nfc(form.lower()) for form in forms]


def test_what_needs_the_whole_form_is_left() -> None:
    forms = ["ΟΔΟΣ", "e\u0301", "ﬁn", "2½", "日本", "İstanbul", "x" * 1001, "\u09c7\u09be", "ड\u093c"]
    assert folded(forms) == [None] * len(forms)
