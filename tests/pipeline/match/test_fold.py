import itertools
import random

import pyarrow as pa
import pytest

from pipeline.match.fold import fold_column
from query_builder.normalize import normalize


def folded(texts: pa.Array) -> list[str]:
    data, offsets = fold_column(texts)
    return [data[a:b].tobytes().decode() for a, b in itertools.pairwise(offsets)]


def test_every_character_alone_and_between_letters_equals_the_scalar_function() -> None:
    # All of the tables, and some that take the scalar way.
    codes = [*range(0xD800), *range(0xF900, 0x10000), *range(0x1F000, 0x1FC00)]
    characters = [chr(code) for code in codes]
    between = [f"a{character}b" for character in characters]
    assert folded(pa.array(characters)) == [normalize(text) for text in characters]
    assert folded(pa.array(between)) == [normalize(text) for text in between]


def test_characters_side_by_side_equal_the_scalar_function() -> None:
    generator = random.Random(1)
    pools = [
        range(0x20, 0x250),
        range(0x300, 0x600),
        range(0x1100, 0x1200),
        range(0x2000, 0x3400),
        range(0x3400, 0xD800),
        range(0xAC00, 0xAC40),
        range(0xFE00, 0xFFFE),
        [0xAD, 0x34F, 0x180B, 0x200B, 0x200C, 0x200D, 0xFE0F, 0xFEFF, 0x1F468, 0xE0041, 0x30000],
        [0xB2, 0xBD, 0x2082, 0x2122, 0x2460, 0x2776, 0x338F, 0x20E3, 0xFDFA],
    ]
    texts = [
        "".join(chr(generator.choice(generator.choice(pools))) for _ in range(generator.randint(0, 7)))
        for _ in range(20_000)
    ]
    assert folded(pa.array(texts)) == [normalize(text) for text in texts]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_slices_nulls_and_both_kinds_of_string(kind: pa.DataType) -> None:
    column = pa.array(["left out", "A (dog)", None, "Σίσυφος", "left out"], kind).slice(1, 3)
    assert folded(column) == ["a dog", "", "σίσυφος"]
    assert folded(column.slice(0, 0)) == []


def test_forms_longer_than_their_characters_fit() -> None:
    texts = ["ﷺ" * 2000, "dog"]  # one character, eighteen in normal form
    assert folded(pa.array(texts)) == [normalize(text) for text in texts]
