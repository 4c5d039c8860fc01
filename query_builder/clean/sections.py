"""Headings, and the sections that hold lists of links and sources in place of text: "External links", "References".

In: line ends as the cleaner meets them. Out: the plain text without the headings, and without the sections whose titles
a table lists (query_builder/clean/markup.py). ``section`` holds the level of the section that is left out (0: none) and
where it began in the plain text; its text is written like any other, and cut back where it ends.
"""

import numpy as np
import numpy.typing as npt

from query_builder.clean.characters import BLANK, LOWER, NEWLINE, TAB, UNDERSCORE
from query_builder.clean.nesting import KINDS, SHOWN, Counts, Stack
from query_builder.clean.scan import MAX_NAME
from query_builder.clean.templates import START, Shown
from query_builder.hash_table import Bytes, HashTable, hash_bytes, look_up
from webimagetext.compiled import compiled

__all__ = ["BEGAN", "LEVEL", "Section", "end_section", "heading_at"]

LEVEL, BEGAN = range(2)
EQUALS = ord("=")

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
