"""Headings, and the sections that hold lists of links and sources in place of text: "External links", "References"; and
single sources in lists under other headings.

In: line ends as the cleaner meets them. Out: the plain text without the headings, without the sections whose titles
a table lists (query_builder/clean/markup.py), and without list items that name a book or journal by its number.
``section`` holds the level of the section that is left out (0: none) and where it began in the plain text; its text is
written like any other, and cut back where it ends.
"""

import numpy as np
import numpy.typing as npt

from query_builder.clean.characters import (
    BLANK,
    BRACE,
    BRACKET,
    CLOSING_BRACE,
    CLOSING_BRACKET,
    COLON,
    HASH,
    LESS,
    LOWER,
    NEWLINE,
    SEMICOLON,
    SLASH,
    TAB,
    UNDERSCORE,
)
from query_builder.clean.nesting import KINDS, SHOWN, Counts, Stack
from query_builder.clean.scan import MAX_NAME
from query_builder.clean.templates import START, Shown
from query_builder.hash_table import Bytes, HashTable, hash_bytes, look_up
from webimagetext.compiled import compiled

__all__ = ["BEGAN", "LEVEL", "Section", "end_section", "heading_at", "source_at"]

LEVEL, BEGAN = range(2)
EQUALS = ord("=")
LETTER_I, ASTERISK = b"I*"
_CITE, _ISBN, _ISSN = (np.frombuffer(word, np.uint8) for word in (b"cit", b"isbn", b"issn"))

Section = npt.NDArray[np.int64]


@compiled
def heading_at(text: Bytes, i: int, length: int, name: Bytes, titles: HashTable) -> tuple[int, bool, int]:
    """The level of the heading whose line begins at ``i`` (0: there is none), whether its title is one of ``titles``,
    and where its line ends. ``name`` is scratch."""
    if i >= length or text[i] != EQUALS:
        return 0, False, i
    end = i
    while end < length and text[end] != NEWLINE:
        end += 1
    last = end
    while last > i and text[last - 1] in (BLANK, TAB):
        last -= 1
    level = 0
    while i + level < last - 1 - level and text[i + level] == EQUALS and text[last - 1 - level] == EQUALS:
        level += 1
    if level == 0:
        return 0, False, i
    first, last = i + level, last - level
    while first < last and text[first] in (BLANK, TAB):
        first += 1
    while first < last and text[last - 1] in (BLANK, TAB):
        last -= 1
    size = last - first
    if size <= 0 or size > MAX_NAME:
        return level, False, end
    for k in range(size):
        c = text[first + k]
        name[k] = BLANK if c == UNDERSCORE else LOWER[c]
    return level, look_up(titles[0], titles[1], hash_bytes(name, 0, size)) >= 0, end


@compiled
def source_at(text: Bytes, i: int, length: int) -> int:
    """Where the line ends that begins at ``i`` and is an item of a list with an ISBN, an ISSN or a template of sources;
    ``i`` for any other line, and for one in which something begins that goes on behind it."""
    if i >= length or text[i] not in (ASTERISK, HASH, COLON, SEMICOLON):
        return i
    end, named, opened = i, False, 0
    while end < length and text[end] != NEWLINE:
        c, following = text[end], text[end + 1] if end + 1 < length else 0
        if c == LESS and following != SLASH:
            return i  # a note or comment may end on another line
        if c == following and c in (BRACE, BRACKET):
            named = named or (c == BRACE and _begins(text, end + 2, length, _CITE))
            opened, end = opened + 1, end + 1
        elif c == following and c in (CLOSING_BRACE, CLOSING_BRACKET):
            opened, end = opened - 1, end + 1
        elif c == LETTER_I:
            named = named or _begins(text, end, length, _ISBN) or _begins(text, end, length, _ISSN)
        end += 1
    return min(end, length) if named and opened == 0 else i


@compiled
def _begins(text: Bytes, i: int, length: int, word: Bytes) -> bool:
    """Whether ``word``, in lower case, begins at ``i``."""
    if i + len(word) > length:
        return False
    same = True
    for k in range(len(word)):
        same &= LOWER[text[i + k]] == word[k]
    return same


@compiled
def end_section(n: int, section: Section, depth: int, stack: Stack, shown: Shown, counts: Counts) -> int:
    """Ends the section that is left out; returns the length of the plain text without it."""
    began = int(section[BEGAN])
    section[LEVEL] = 0
    # What was opened in it and is not closed has nothing before the cut that belongs to it.
    while depth and stack[depth - 1] // KINDS > began:
        depth -= 1
        stack[depth] = began * KINDS + stack[depth] % KINDS
    for top in range(counts[SHOWN]):
        shown[top, START] = min(shown[top, START], began)
    return began
