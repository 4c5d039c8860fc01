"""XML's escapes and the check of UTF-8 against Python's own, and names as they end."""

import html
import itertools

import numpy as np
import pytest

from query_builder.clean.scan import LINK_PREFIX, MAX_NAME, TAG, TEMPLATE_NAME, read_name, unescape_xml
from query_builder.hash_table import as_bytes


def unescaped(data: bytes) -> bytes | int:
    """The text, or the offset of the first invalid byte."""
    out = np.zeros(len(data) + 8, np.uint8)
    length = unescape_xml(as_bytes(data), 0, len(data), out)
    return out[:length].tobytes() if length >= 0 else -1 - length


def decoded(data: bytes) -> bytes | int:
    try:
        return data.decode().encode()
    except UnicodeDecodeError as error:
        return error.start


ENDINGS = (b"", b"\x7f", b"\x80", b"\x80\x7f", b"\x80\xc0", b"\x80\x80", b"\xbf\xbf", b"\xbf\xbfz")


@pytest.mark.parametrize("first", range(0x80, 0x100))
def test_only_valid_utf_8_passes(first: int) -> None:
    for second, ending in itertools.product((0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0), ENDINGS):
        data = b"a" + bytes([first, second]) + ending
        assert unescaped(data) == decoded(data), data
    assert unescaped(b"\xc3\xa9" + bytes([first])) == 2


@pytest.mark.parametrize(
    "text",
    [
        "&lt;b&gt;",
        "&amp;lt;",
        "&quot;&apos;",
        "&#233;&#xE9;&#XeA;&#8364;&#128512;",
        "é&lt;€&gt;😀",
        "a&",
        "&&amp;",
        "x & y;",
    ],
)
def test_escapes_are_those_of_xml(text: str) -> None:
    assert unescaped(text.encode()) == html.unescape(text).encode()


@pytest.mark.parametrize(
    "text",
    [
        "&",
        "&l",
        "&lt",
        "&gt ",
        "&amp",
        "&am;",
        "&quot",
        "&#",
        "&#;",
        "&#x;",
        "&#xg;",
        "&#12",
        "&nbsp;",
        "&lx;",
        "&#123456789;",
    ],
)
def test_what_escapes_nothing_stays(text: str) -> None:
    assert unescaped(text.encode()) == text.encode()


@pytest.mark.parametrize(
    ("number", "expected"), [("8", " "), ("10", "\n"), ("xD800", " "), ("x110000", " "), ("x10FFFF", "\U0010ffff")]
)
def test_numbers_that_are_no_character_are_a_space(number: str, expected: str) -> None:
    assert unescaped(f"&#{number};".encode()) == expected.encode()


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (TAG, "Ref name=x>", "ref"),
        (TAG, "h2>", "h2"),
        (TAG, "br/>", "br"),
        (TAG, "b\nx>", "b"),
        (TAG, "b\tx>", "b"),
        (TAG, "a_b>", None),
        (TAG, "a:b>", None),
        (TAG, "ref", None),
        (LINK_PREFIX, " _File_talk :x", "file talk"),
        (LINK_PREFIX, ":x", ""),
        *((LINK_PREFIX, f"a{c}b:c", None) for c in "|[]{\n"),
        *((TEMPLATE_NAME, f"_Dis_amb {c}b", "dis amb") for c in "|{}<\n"),
        (TEMPLATE_NAME, "x" * (MAX_NAME - 1) + "}", "x" * (MAX_NAME - 1)),
        (TEMPLATE_NAME, "x" * MAX_NAME + "}", None),
    ],
)
def test_names_end_as_they_have_to(kind: int, text: str, expected: str | None) -> None:
    name = np.zeros(MAX_NAME, np.uint8)
    size = read_name(as_bytes(text), 0, len(text), name, kind)
    assert (name[:size].tobytes().decode() if size >= 0 else None) == expected
