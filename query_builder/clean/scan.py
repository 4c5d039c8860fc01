"""What the cleaner reads letter by letter: characters by number, names of tags and templates, closing tags, XML's escapes.

In: bytes and a position. Out: positions and lengths. All compiled, none ever steps back over what it has read.
"""

import numpy as np

from query_builder.hash_table import Bytes
from webimagetext.compiled import compiled

__all__ = [
    "LINK_PREFIX",
    "LOWER",
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
LOWER = np.array([b + 32 if 65 <= b <= 90 else b for b in range(256)], np.uint8)


@compiled
def put_code_point(out: Bytes, n: int, cp: int) -> int:
    """Writes a code point as UTF-8 at ``out[n]``; returns the new length. Surrogates and numbers beyond Unicode give a space."""
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
    j, base = i + 1, 10
    if j < length and (text[j] == 120 or text[j] == 88):
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
    if j == first or j >= length or text[j] != 59:
        return -1, i
    return value, j + 1


@compiled
def unescape_xml(data: Bytes, start: int, end: int, out: Bytes) -> int:
    """Undoes the escaping of XML and checks the UTF-8. Returns the length, or -1 - offset of the first invalid byte."""
    n, i = 0, start
    while i < end:
        c = data[i]
        if c == 38:  # &
            if i + 3 < end and data[i + 2] == 116 and data[i + 3] == 59 and (data[i + 1] == 108 or data[i + 1] == 103):
                out[n] = 60 if data[i + 1] == 108 else 62
                n, i = n + 1, i + 4
                continue
            if i + 4 < end and data[i + 1] == 97 and data[i + 2] == 109 and data[i + 3] == 112 and data[i + 4] == 59:
                out[n] = 38
                n, i = n + 1, i + 5
                continue
            if i + 5 < end and data[i + 5] == 59 and (data[i + 1] == 113 or data[i + 1] == 97):
                out[n] = 34 if data[i + 1] == 113 else 39
                n, i = n + 1, i + 6
                continue
            if i + 1 < end and data[i + 1] == 35:
                cp, after = read_number(data, i + 1, end)
                if cp >= 0:
                    n, i = put_code_point(out, n, cp), after
                    continue
        elif c >= 0x80:
            width = 2 if 0xC2 <= c < 0xE0 else 3 if 0xE0 <= c < 0xF0 else 4 if 0xF0 <= c < 0xF5 else 0
            if width == 0 or i + width > end:
                return -1 - i
            for k in range(1, width):
                if data[i + k] & 0xC0 != 0x80:
                    return -1 - i
            second = data[i + 1]
            if (c == 0xE0 and second < 0xA0) or (c == 0xED and second > 0x9F):
                return -1 - i
            if (c == 0xF0 and second < 0x90) or (c == 0xF4 and second > 0x8F):
                return -1 - i
            for k in range(width):
                out[n + k] = data[i + k]
            n, i = n + width, i + width
            continue
        out[n] = c
        n, i = n + 1, i + 1
    return n


@compiled
def read_name(text: Bytes, i: int, length: int, name: Bytes, kind: int) -> int:
    """Copies the lower-case name at ``i`` of a tag, a link prefix or a template into ``name``.

    Returns its length, or -1 if it doesn't end as such a name has to.
    """
    n = 0
    while i < length and n < MAX_NAME:
        c = text[i]
        if kind == TAG:  # a tag: letters and digits, then a space, a slash or the end
            if c == 32 or c == 47 or c == 62 or c == 10 or c == 9:
                return n
            if not (97 <= LOWER[c] <= 122 or 48 <= c <= 57):
                return -1
        elif kind == LINK_PREFIX:  # up to a colon
            if c == 58:
                break
            if c == 124 or c == 93 or c == 91 or c == 10 or c == 123:
                return -1
        elif c == 124 or c == 125 or c == 10 or c == 123 or c == 60:
            break
        if not (n == 0 and (c == 32 or c == 95)):
            name[n] = 32 if c == 95 else LOWER[c]
            n += 1
        i += 1
    if i >= length or n >= MAX_NAME:
        return -1
    while n and name[n - 1] == 32:
        n -= 1
    return n


@compiled
def find_closing_tag(text: Bytes, i: int, length: int, name: Bytes, size: int) -> int:
    """The position of ``</name`` at or after ``i``, or -1."""
    while i + size + 2 < length:
        if text[i] == 60 and text[i + 1] == 47:
            k = 0
            while k < size and LOWER[text[i + 2 + k]] == name[k]:
                k += 1
            after = text[i + 2 + size]
            if k == size and (after == 62 or after == 32 or after == 10):
                return i
        i += 1
    return -1


@compiled
def at_line_start(text: Bytes, i: int) -> bool:
    """Whether only blanks and indenting colons come before ``i`` on its line."""
    i -= 1
    while i >= 0 and (text[i] == 32 or text[i] == 9 or text[i] == 58):
        i -= 1
    return i < 0 or text[i] == 10
