"""What the cleaner reads letter by letter: characters by number, names of tags and templates, closing tags, XML's
escapes.

In: bytes and a position. Out: positions and lengths. All compiled, none ever steps back over what it has read.
"""

import numpy as np

from query_builder.clean.characters import (
    AND,
    BLANK,
    COLON,
    DOUBLE_QUOTE,
    GREATER,
    HASH,
    LESS,
    LOWER,
    NEWLINE,
    QUOTE,
    SEMICOLON,
    SLASH,
    TAB,
    UNDERSCORE,
)
from query_builder.hash_table import Bytes
from webimagetext.compiled import compiled

__all__ = [
    "LINK_PREFIX",
    "MAX_NAME",
    "TAG",
    "TEMPLATE_NAME",
    "at_line_start",
    "find_closing_tag",
    "put_code_point",
    "read_name",
    "read_number",
    "unescape_xml",
]

MAX_NAME = 64  # bytes of a template's, tag's or prefix's name that are looked at
TAG, LINK_PREFIX, TEMPLATE_NAME = range(3)
# What a byte says of such a name: it goes on, it ends, it is none.
WITHIN, ENDS, NO_NAME = range(3)
_NAMES = np.full((3, 256), WITHIN, np.uint8)
_NAMES[TAG] = NO_NAME
_NAMES[TAG, list(b"0123456789" + bytes(range(ord("a"), ord("z") + 1)) + bytes(range(ord("A"), ord("Z") + 1)))] = WITHIN
_NAMES[TAG, list(b" />\n\t")] = ENDS
_NAMES[LINK_PREFIX, list(b"|[]{\n")] = NO_NAME
_NAMES[LINK_PREFIX, COLON] = ENDS
_NAMES[TEMPLATE_NAME, list(b"|{}<\n")] = ENDS
LETTER_A, LETTER_G, LETTER_L, LETTER_M, LETTER_P, LETTER_Q, LETTER_T, LETTER_X = b"aglmpqtx"
# By the first byte of a UTF-8 sequence its length, 0 for none, and what the second may be (Unicode, table 3-7).
WIDTHS = np.array([0] * 0xC2 + [2] * 0x1E + [3] * 0x10 + [4] * 5 + [0] * 11, np.uint8)
LOWEST_SECOND, HIGHEST_SECOND = np.full(256, 0x80, np.uint8), np.full(256, 0xBF, np.uint8)
LOWEST_SECOND[[0xE0, 0xF0]] = 0xA0, 0x90
HIGHEST_SECOND[[0xED, 0xF4]] = 0x9F, 0x8F


@compiled
def put_code_point(out: Bytes, n: int, cp: int) -> int:
    """Writes a code point as UTF-8 at ``out[n]``; returns the new length. Surrogates and numbers beyond Unicode give a
    space."""
    if cp < 0x80:
        out[n] = 32 if cp < 32 and cp != 10 else cp
        return n + 1
    if cp < 0x800:
        out[n], out[n + 1] = 0xC0 | cp >> 6, 0x80 | cp & 63
        return n + 2
    if 0xD800 <= cp < 0xE000 or cp > 0x10FFFF:
        out[n] = 32
        return n + 1
    if cp < 0x10000:
        out[n], out[n + 1], out[n + 2] = 0xE0 | cp >> 12, 0x80 | cp >> 6 & 63, 0x80 | cp & 63
        return n + 3
    out[n], out[n + 1] = 0xF0 | cp >> 18, 0x80 | cp >> 12 & 63
    out[n + 2], out[n + 3] = 0x80 | cp >> 6 & 63, 0x80 | cp & 63
    return n + 4


@compiled
def read_number(text: Bytes, i: int, length: int) -> tuple[int, int]:
    """Reads ``#233;`` or ``#xE9;`` at ``i``: the code point and the position after it, or -1 and ``i``."""
    if i >= length or text[i] != HASH:
        return -1, i
    j, base = i + 1, 10
    if j < length and LOWER[text[j]] == LETTER_X:
        j, base = j + 1, 16
    value, first = 0, j
    while j < length and j - first < 8:
        c = LOWER[text[j]]
        if 48 <= c <= 57:
            value = value * base + c - 48
        elif base == 16 and 97 <= c <= 102:
            value = value * base + c - 87
        else:
            break
        j += 1
    if j == first or j >= length or text[j] != SEMICOLON:
        return -1, i
    return value, j + 1


@compiled
def unescape_xml(data: Bytes, start: int, end: int, out: Bytes) -> int:
    """Undoes the escaping of XML and checks the UTF-8. Returns the length, or -1 - offset of the first invalid byte."""
    n, i = 0, start
    while i < end:
        c = data[i]
        if c < 0x80 and c != AND:
            out[n] = c
            n, i = n + 1, i + 1
            continue
        if c == AND:
            cp, after = _escaped(data, i, end)
            if cp < 0:
                cp, after = read_number(data, i + 1, end)
            n, i = (put_code_point(out, n, cp), after) if cp >= 0 else (put_code_point(out, n, AND), i + 1)
            continue
        width = WIDTHS[c]
        if width == 0 or i + width > end or not LOWEST_SECOND[c] <= data[i + 1] <= HIGHEST_SECOND[c]:
            return -1 - i
        for k in range(2, width):
            if data[i + k] & 0xC0 != 0x80:
                return -1 - i
        for k in range(width):
            out[n + k] = data[i + k]
        n, i = n + width, i + width
    return n


@compiled
def _escaped(data: Bytes, i: int, end: int) -> tuple[int, int]:
    """The character that XML escapes at ``i`` as lt, gt, amp, quot or apos, and the position behind; or -1 and
    ``i``."""
    # All bytes are read before the first is looked at: the code is quicker without a branch between.
    last = end - 1
    first, second, third = data[min(i + 1, last)], data[min(i + 2, last)], data[min(i + 3, last)]
    fourth, fifth = data[min(i + 4, last)], data[min(i + 5, last)]
    left = last - i
    if left >= 3 and second == LETTER_T and third == SEMICOLON and first in (LETTER_L, LETTER_G):
        return LESS if first == LETTER_L else GREATER, i + 4
    if left >= 4 and first == LETTER_A and second == LETTER_M and third == LETTER_P and fourth == SEMICOLON:
        return AND, i + 5
    if left >= 5 and fifth == SEMICOLON and first in (LETTER_A, LETTER_Q):
        return QUOTE if first == LETTER_A else DOUBLE_QUOTE, i + 6
    return -1, i


@compiled
def read_name(text: Bytes, i: int, length: int, name: Bytes, kind: int) -> int:
    """Copies the lower-case name at ``i`` of a tag, a link prefix or a template into ``name``.

    Returns its length, or -1 if it doesn't end as such a name has to.
    """
    n, found = 0, WITHIN
    while i < length and n < MAX_NAME:
        c = text[i]
        found = _NAMES[kind, c]
        if found != WITHIN:
            break
        if n or (c != BLANK and c != UNDERSCORE):
            name[n] = BLANK if c == UNDERSCORE else LOWER[c]
            n += 1
        i += 1
    if found != ENDS:
        return -1
    while n and name[n - 1] == BLANK:
        n -= 1
    return n


@compiled
def find_closing_tag(text: Bytes, i: int, length: int, name: Bytes, size: int) -> int:
    """The position of ``</name`` at or after ``i``, or -1."""
    while i + size + 2 < length:
        if text[i] == LESS and text[i + 1] == SLASH:
            k = 0
            while k < size and LOWER[text[i + 2 + k]] == name[k]:
                k += 1
            after = text[i + 2 + size]
            if k == size and (after in (GREATER, BLANK, NEWLINE)):
                return i
        i += 1
    return -1


@compiled
def at_line_start(text: Bytes, i: int) -> bool:
    """Whether only blanks and indenting colons come before ``i`` on its line."""
    i -= 1
    while i >= 0 and (text[i] in (BLANK, TAB, COLON)):
        i -= 1
    return i < 0 or text[i] == NEWLINE
