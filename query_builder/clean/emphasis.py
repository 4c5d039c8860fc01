"""Quotes that make bold and italics, and those that are apostrophes: MediaWiki's rule, by the line.

In: runs of quotes as the cleaner meets them. Out: the apostrophes among them in the plain text. Four quotes are an
apostrophe and bold, more than five are apostrophes and both; where a line has an odd number of bold and of italic
marks, one of the bold marks is an apostrophe and italics: the first behind a word of one letter, else behind a longer
word, else behind a blank (``Parser::doQuotes``). ``marks`` holds how many runs the line has so far, and for each its
length times eight plus the quotes that count, as it may yet turn out to be a bold mark.
"""

import numpy as np
import numpy.typing as npt

from query_builder.clean.characters import BLANK, NEWLINE, QUOTE
from query_builder.clean.nesting import KINDS, SHOWN, Counts, Stack
from query_builder.clean.templates import START, Shown
from query_builder.hash_table import Bytes
from webimagetext.compiled import compiled

__all__ = ["MAX_MARKS", "Marks", "after_quotes", "drop_marks", "end_line"]

MAX_MARKS = 1 << 10  # of a line; in one with more every run is a mark
QUOTES = 8  # a mark is the length of the plain text before it times this, plus its quotes
ITALIC, BOLD, BOTH = 2, 3, 5

Marks = npt.NDArray[np.int64]


@compiled
def after_quotes(text: Bytes, i: int, length: int, out: Bytes, n: int, marks: Marks) -> tuple[int, int]:
    """Notes the run of quotes at ``i``, unless it is a single one: length, with an apostrophe where the run is longer
    than its mark, and position."""
    j = i
    while j < length and text[j] == QUOTE:
        j += 1
    quotes = j - i
    if quotes == 1:
        return n, i
    if quotes == BOLD + 1 or quotes > BOTH:
        out[n] = QUOTE
        n += 1
    if marks[0] < MAX_MARKS - 1:
        marks[0] += 1
        marks[marks[0]] = n * QUOTES + (BOTH if quotes >= BOTH else min(quotes, BOLD))
    return n, j


@compiled
def drop_marks(marks: Marks, n: int) -> None:
    """Forgets the marks in what was taken out: those beyond ``n``."""
    while marks[0] and marks[marks[0]] // QUOTES > n:
        marks[0] -= 1


@compiled
def end_line(out: Bytes, n: int, marks: Marks, depth: int, stack: Stack, shown: Shown, counts: Counts) -> int:
    """Ends a line: its marks are forgotten, and the bold one that is none becomes an apostrophe. Returns the length."""
    at = _apostrophe(out, marks)
    marks[0] = 0
    if at < 0:
        return n
    for k in range(n, at, -1):
        out[k] = out[k - 1]
    out[at] = QUOTE
    # What is open, and began behind the apostrophe, now begins one further.
    while depth and stack[depth - 1] // KINDS > at:
        depth -= 1
        stack[depth] += KINDS
    for top in range(counts[SHOWN]):
        shown[top, START] += shown[top, START] > at
    return n + 1


@compiled
def _apostrophe(out: Bytes, marks: Marks) -> int:
    """Where the plain text of a line gets an apostrophe in place of a bold mark; -1 where its marks are in order."""
    bold = italic = 0
    for k in range(1, marks[0] + 1):
        quotes = marks[k] % QUOTES
        bold += quotes >= BOLD
        italic += quotes != BOLD
    if not (bold % 2 and italic % 2) or marks[0] == MAX_MARKS - 1:
        return -1
    longer = blank = -1
    for k in range(1, marks[0] + 1):
        if marks[k] % QUOTES != BOLD:
            continue
        at = int(marks[k]) // QUOTES
        before = marks[k - 1] // QUOTES if k > 1 else 0
        if at > before and out[at - 1] == BLANK:
            blank = at if blank < 0 else blank
        elif at - 1 > before and out[at - 1] != NEWLINE and out[at - 2] == BLANK:
            return at
        elif longer < 0:
            longer = at
    return longer if longer >= 0 else blank
