"""Text from outside becomes text that a table, a file and a terminal can hold, and good text stays as it is."""

import json
import random
from typing import Any

import pyarrow as pa
import pytest

from webimagetext.foreign import encodable, one_line, shown, valid, valid_values


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("", ""),
        ("a dog", "a dog"),
        ("café 🐕 \u2028 ﷺ\t\r\n", "café 🐕 \u2028 ﷺ\t\r\n"),
        ("caf\udce9", "caf�"),
        ("\ud800 dog", "� dog"),
        ("\ud83d\udc15", "🐕"),
        ("\udc15\ud83d", "��"),
        ("a\0b\x1b[31mc\x7f\x85", "a b [31mc  "),
        (b"caf\xe9", "caf�"),
        (b"caf\xc3\xa9\0", "café "),
    ],
)
def test_valid_text(given: str | bytes, made: str) -> None:
    assert valid(given) == made
    assert valid(made) == made


def test_whatever_it_is_given_a_table_can_hold() -> None:
    draw = random.Random(4)
    for _ in range(300):
        codes = (draw.randrange(0x80), 0xD7F0 + draw.randrange(0x900), draw.randrange(0x110000))
        text = "".join(chr(draw.choice(codes)) for _ in range(draw.randrange(9)))
        for made in (valid(text), encodable(text), one_line(text)):
            assert pa.array([made], pa.string()).to_pylist() == [made]
        assert "\n" not in one_line(text)


def test_control_characters_stay_where_only_halves_are_mended() -> None:
    assert encodable("a\0b\ud800") == "a\0b�"


def test_a_terminal_obeys_nothing_of_what_is_shown() -> None:
    said = "a\x1b]0;title\x07b\rc\x9b31m\ud800\u202edne\u2069\x00\ttab\nline ü 画"
    assert shown(said) == "a\\x1b]0;title\\x07b\\rc\\x9b31m\\ud800\\u202edne\\u2069\\x00\ttab\nline ü 画"
    assert shown("") == ""


def test_one_line_has_an_end() -> None:
    assert one_line("a\r\n  b\t c") == "a b c"
    assert one_line("x" * 10_000_000) == "x" * 200
    assert len(one_line("é \ud800" * 900, 77)) <= 77


def test_whole_rows() -> None:
    row: dict[str, Any] = {"a\ud800": ["b\0", ("c\udcff", 1, None)], "d": {"e": True, "f": 2.5}, "g": b"\xff"}
    made = valid_values(row)
    assert made == {"a�": ["b ", ("c�", 1, None)], "d": {"e": True, "f": 2.5}, "g": b"\xff"}
    json.dumps({**made, "g": ""}, ensure_ascii=False).encode()
