"""Wikitext to plain text in one pass: a scanner that never goes back, so a page costs time in proportion to its length.

In: the bytes between a dump's ``<text>`` and ``</text>`` (UTF-8, XML-escaped). Out: the words a reader sees, as UTF-8 bytes.
Templates, tables, files, categories, comments, references, formulas and addresses are gone; where something was taken out of
the middle of a text there is a newline, which ends a run of words just as punctuation does.

How it stays linear: text is written to ``out`` as it is met, and a stack remembers how long ``out`` was at every ``{{``, ``{|`` and
``[[``. When the closing mark comes, ``out`` is cut back to that length. An opening that is never closed costs nothing and its
text stays, as MediaWiki shows it. A search for a closing tag that fails is not tried again in the same page.
"""

import numpy as np
import numpy.typing as npt

from query_builder.clean.markup import ACTIONS, BREAK, DROP, LITERAL, TABLE, Markup
from query_builder.compiled import Bytes, as_bytes, compiled, hash_bytes, look_up

__all__ = ["MAX_DEPTH", "clean", "clean_text", "put_code_point", "unescape_xml"]

MAX_DEPTH = 1 << 16  # deeper openings are left as text
TEMPLATE, WIKI_TABLE, HTML_TABLE, HIDDEN_LINK, LINK_TARGET, LINK_TEXT = range(6)
MAX_NAME = 64  # bytes of a template's, tag's or prefix's name that are looked at
DISAMBIGUATES = 1  # the flag in ``flags[0]``

# Bytes that may begin markup; all others are copied without a further look.
SPECIAL = np.zeros(256, np.bool_)
SPECIAL[[ord(c) for c in "<&{}[]|'_:\n"]] = True
_LOWER = np.array([b + 32 if 65 <= b <= 90 else b for b in range(256)], np.uint8)
_MAGIC_DISAMBIGUATION = np.frombuffer(b"DISAMBIG", np.uint8)


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
def _number(text: Bytes, i: int, length: int) -> tuple[int, int]:
    """Reads ``#233;`` or ``#xE9;`` at ``i``: the code point and the position after it, or -1 and ``i``."""
    j, base = i + 1, 10
    if j < length and (text[j] == 120 or text[j] == 88):
        j, base = j + 1, 16
    value, first = 0, j
    while j < length and j - first < 8:
        c = _LOWER[text[j]]
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
                cp, after = _number(data, i + 1, end)
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
def _name(text: Bytes, i: int, length: int, name: Bytes, kind: int) -> int:
    """Copies the lower-case name at ``i`` of a tag, a link prefix or a template into ``name``.

    Returns its length, or -1 if it doesn't end as such a name has to.
    """
    n = 0
    while i < length and n < MAX_NAME:
        c = text[i]
        if kind == DROP:  # a tag: letters and digits, then a space, a slash or the end
            if c == 32 or c == 47 or c == 62 or c == 10 or c == 9:
                return n
            if not (97 <= _LOWER[c] <= 122 or 48 <= c <= 57):
                return -1
        elif kind == HIDDEN_LINK:  # up to a colon
            if c == 58:
                break
            if c == 124 or c == 93 or c == 91 or c == 10 or c == 123:
                return -1
        elif c == 124 or c == 125 or c == 10 or c == 123 or c == 60:
            break
        if not (n == 0 and (c == 32 or c == 95)):
            name[n] = 32 if c == 95 else _LOWER[c]
            n += 1
        i += 1
    if i >= length or n >= MAX_NAME:
        return -1
    while n and name[n - 1] == 32:
        n -= 1
    return n


@compiled
def _find_closing_tag(text: Bytes, i: int, length: int, name: Bytes, size: int) -> int:
    """The position of ``</name`` at or after ``i``, or -1."""
    while i + size + 2 < length:
        if text[i] == 60 and text[i + 1] == 47:
            k = 0
            while k < size and _LOWER[text[i + 2 + k]] == name[k]:
                k += 1
            after = text[i + 2 + size]
            if k == size and (after == 62 or after == 32 or after == 10):
                return i
        i += 1
    return -1


@compiled
def _at_line_start(text: Bytes, i: int) -> bool:
    """Whether only blanks and indenting colons come before ``i`` on its line."""
    i -= 1
    while i >= 0 and (text[i] == 32 or text[i] == 9 or text[i] == 58):
        i -= 1
    return i < 0 or text[i] == 10


@compiled
def clean(
    text: Bytes,
    length: int,
    out: Bytes,
    kinds: Bytes,
    marks: npt.NDArray[np.int64],
    tables: Markup,
    flags: npt.NDArray[np.int64],
) -> int:
    """Writes the plain text of ``text[:length]`` to ``out`` (at least as long, and 8 more); returns its length.

    ``kinds`` and ``marks`` are scratch of MAX_DEPTH entries. ``flags[0]`` becomes 1 for a disambiguation page.
    """
    flags[0] = 0
    name = np.empty(MAX_NAME, np.uint8)
    open_count = np.zeros(6, np.int64)
    no_closing = np.zeros(256, np.bool_)
    depth = n = i = literal_until = 0
    while i < length:
        c = text[i]
        if not SPECIAL[c] or (i < literal_until and c != 38):
            out[n] = c
            n, i = n + 1, i + 1
            continue
        following = text[i + 1] if i + 1 < length else 0
        opening = closing = -1
        if c == 10:
            # A link's target stays on one line: what looked like one was two square brackets.
            while depth and kinds[depth - 1] == LINK_TARGET:
                depth -= 1
                open_count[LINK_TARGET] -= 1
        elif c == 39:
            if following == 39:  # bold and italics
                while i < length and text[i] == 39:
                    i += 1
                continue
        elif c == 38:
            if following == 35:
                cp, after = _number(text, i + 1, length)
                if cp >= 0:
                    n, i = put_code_point(out, n, cp), after
                    continue
            j = i + 1
            while j < length and j - i < 33 and (97 <= _LOWER[text[j]] <= 122 or 48 <= text[j] <= 57):
                j += 1
            if j < length and text[j] == 59:
                value = look_up(tables.entities[0], tables.entities[1], hash_bytes(text, i + 1, j))
                if value >= 0:
                    n = put_code_point(out, n, value & 0x1FFFFF)
                    if value >> 21:
                        n = put_code_point(out, n, value >> 21)
                    i = j + 1
                    continue
        elif c == 123:  # {
            if following == 123:
                opening = TEMPLATE
                size = _name(text, i + 2, length, name, TEMPLATE)
                if (
                    size > 0
                    and look_up(tables.disambiguation[0], tables.disambiguation[1], hash_bytes(name, 0, size)) > 0
                ):
                    flags[0] = DISAMBIGUATES
            elif following == 124 and _at_line_start(text, i):
                opening = WIKI_TABLE
        elif c == 125:
            if following == 125 and open_count[TEMPLATE]:
                closing = TEMPLATE
        elif c == 124:
            if depth and kinds[depth - 1] == LINK_TARGET:
                n = marks[depth - 1]
                kinds[depth - 1] = LINK_TEXT
                open_count[LINK_TARGET] -= 1
                open_count[LINK_TEXT] += 1
                i += 1
                continue
            # The bar of "|}}" is a template's last and empty argument, not the end of a table.
            single = following == 125 and (i + 2 >= length or text[i + 2] != 125)
            if single and open_count[WIKI_TABLE] and _at_line_start(text, i):
                closing = WIKI_TABLE
        elif c == 91:  # [
            if following == 91:
                size = _name(text, i + 2, length, name, HIDDEN_LINK)
                hidden = size > 0 and look_up(tables.links[0], tables.links[1], hash_bytes(name, 0, size)) > 0
                opening = HIDDEN_LINK if hidden else LINK_TARGET
            elif following == 47 and i + 2 < length and text[i + 2] == 47:
                i += 3
                while i < length and text[i] > 32 and text[i] != 93 and text[i] != 60:
                    i += 1
                out[n] = 10
                n += 1
                continue
        elif c == 93:
            if following == 93 and open_count[HIDDEN_LINK] + open_count[LINK_TARGET] + open_count[LINK_TEXT]:
                closing = HIDDEN_LINK
        elif c == 95:
            if following == 95:  # a switch such as __NOTOC__
                j = i + 2
                while j < length and j - i < 32 and 65 <= text[j] <= 90:
                    j += 1
                if j + 1 < length and j > i + 2 and text[j] == 95 and text[j + 1] == 95:
                    if j - i - 2 == len(_MAGIC_DISAMBIGUATION):
                        k = 0
                        while k < len(_MAGIC_DISAMBIGUATION) and text[i + 2 + k] == _MAGIC_DISAMBIGUATION[k]:
                            k += 1
                        if k == len(_MAGIC_DISAMBIGUATION):
                            flags[0] = DISAMBIGUATES
                    i = j + 2
                    continue
        elif c == 58:
            if following == 47 and i + 2 < length and text[i + 2] == 47:  # an address: drop its scheme too
                k = n
                while k and n - k < 8 and 97 <= _LOWER[out[k - 1]] <= 122:
                    k -= 1
                if k < n:
                    n = k
                    while (
                        i < length
                        and text[i] > 32
                        and text[i] != 93
                        and text[i] != 60
                        and text[i] != 124
                        and text[i] != 125
                    ):
                        i += 1
                    out[n] = 10
                    n += 1
                    continue
        else:  # <
            if following == 33 and i + 3 < length and text[i + 2] == 45 and text[i + 3] == 45:
                i += 4
                while i < length and not (text[i] == 62 and text[i - 1] == 45 and text[i - 2] == 45):
                    i += 1
                i += 1
                continue
            ends = following == 47
            size = _name(text, i + 2 if ends else i + 1, length, name, DROP)
            value = look_up(tables.tags[0], tables.tags[1], hash_bytes(name, 0, size)) if size > 0 else -1
            if value >= 0:
                j = i + 1
                while j < length and text[j] != 62 and text[j] != 60:
                    j += 1
                if j < length and text[j] == 62:
                    action, number, alone = value % ACTIONS, value // ACTIONS, text[j - 1] == 47
                    i = j + 1
                    if action == BREAK:
                        out[n] = 10
                        n += 1
                    elif action == TABLE:
                        if not ends and depth < MAX_DEPTH:
                            kinds[depth], marks[depth] = HTML_TABLE, n
                            depth += 1
                            open_count[HTML_TABLE] += 1
                        elif ends and open_count[HTML_TABLE]:
                            closing = HTML_TABLE
                            i -= 2  # the common ending below steps over two bytes
                        out[n] = 10
                        n += 1
                    elif action in (DROP, LITERAL) and not ends:
                        # A note's mark stands between words but doesn't part them; anything else does.
                        if action == DROP:
                            out[n] = 32 if size == 3 and name[0] == 114 else 10
                            n += 1
                        if not alone and not no_closing[number]:
                            found = _find_closing_tag(text, i, length, name, size)
                            no_closing[number] = found < 0
                            if found >= 0 and action == LITERAL:
                                literal_until = found
                            elif found >= 0:
                                i = found
                    if closing < 0:
                        continue
        if opening >= 0 and depth < MAX_DEPTH:
            if opening in (TEMPLATE, WIKI_TABLE):
                kinds[depth], marks[depth] = opening, n
                out[n] = 10
                n += 1
            else:
                kinds[depth], marks[depth] = opening, n
            depth += 1
            open_count[opening] += 1
            i += 2
            continue
        if closing >= 0:
            # What was opened inside and never closed goes with it.
            while True:
                depth -= 1
                kind = kinds[depth]
                open_count[kind] -= 1
                if kind == closing or (closing == HIDDEN_LINK and kind >= HIDDEN_LINK):
                    break
            if kind < LINK_TARGET:
                n = marks[depth]
                out[n] = 10
                n += 1
            i += 2
            continue
        out[n] = c
        n, i = n + 1, i + 1
    return n


def clean_text(escaped: str, tables: Markup) -> tuple[str, bool]:
    """The plain text of one page as it stands in a dump, and whether it is a disambiguation page.

    For tests and for looking at single pages; the counting calls the compiled functions directly.
    """
    data = as_bytes(escaped)
    text, out = np.empty(len(data) + 8, np.uint8), np.empty(2 * len(data) + 16, np.uint8)
    flags = np.zeros(1, np.int64)
    length = unescape_xml(data, 0, len(data), text)
    n = clean(text, length, out, np.empty(MAX_DEPTH, np.uint8), np.empty(MAX_DEPTH, np.int64), tables, flags)
    return out[:n].tobytes().decode("utf-8", "replace"), bool(flags[0])
