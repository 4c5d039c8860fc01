"""What is open while a page is read: templates, tables and links, and where the plain text stood when each began.

In: the marks that open and close. Out: how far the plain text is cut back when one closes. ``stack`` holds an entry for
each that is open, the outermost first: the length of the plain text before it, times KINDS, plus its kind. ``counts``
holds how many of each kind are open. They are handed on one by one: in a tuple, the counting of references to its
arrays takes longer than the work.
"""

import numpy as np
import numpy.typing as npt

from query_builder.clean.characters import BAR, BRACE, BRACKET, CLOSING_BRACE, CLOSING_BRACKET
from query_builder.clean.scan import at_line_start
from query_builder.hash_table import Bytes
from webimagetext.compiled import compiled

__all__ = [
    "HIDDEN_LINK",
    "HTML_TABLE",
    "KINDS",
    "LINK_TARGET",
    "MAX_DEPTH",
    "NOTHING",
    "SHOWN",
    "TEMPLATE",
    "Counts",
    "Stack",
    "begin_link_text",
    "close",
    "closing_at",
    "give_up_targets",
    "opening_at",
    "remember",
]

MAX_DEPTH = 1 << 16  # deeper openings are left as text
# SHOWN is a template some of whose arguments show (query_builder/clean/templates.py).
TEMPLATE, WIKI_TABLE, HTML_TABLE, HIDDEN_LINK, LINK_TARGET, LINK_TEXT, SHOWN = range(7)
NOTHING = -1  # in place of one of these
KINDS = 8

Stack = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]


@compiled
def opening_at(text: Bytes, i: int, length: int) -> int:
    """The kind of what the two bytes at ``i`` open, or NOTHING; LINK_TARGET stands for any link."""
    c, following = text[i], text[i + 1] if i + 1 < length else 0
    kind = NOTHING
    if c == BRACE and following == BRACE:
        kind = TEMPLATE
    elif c == BRACE and following == BAR and at_line_start(text, i):
        kind = WIKI_TABLE
    elif c == BRACKET and following == BRACKET:
        kind = LINK_TARGET
    return kind


@compiled
def closing_at(text: Bytes, i: int, length: int, counts: Counts) -> int:
    """The kind of what the two bytes at ``i`` close, or NOTHING where none is open; HIDDEN_LINK stands for any link,
    TEMPLATE for any template."""
    c, following = text[i], text[i + 1] if i + 1 < length else 0
    kind = NOTHING
    if c == CLOSING_BRACE and following == CLOSING_BRACE and counts[TEMPLATE] + counts[SHOWN]:
        kind = TEMPLATE
    elif c == CLOSING_BRACKET and following == CLOSING_BRACKET:
        kind = HIDDEN_LINK if counts[HIDDEN_LINK] + counts[LINK_TARGET] + counts[LINK_TEXT] else NOTHING
    elif c == BAR and following == CLOSING_BRACE and counts[WIKI_TABLE]:
        # The bar of "|}}" is a template's last and empty argument, not the end of a table.
        single = i + 2 >= length or text[i + 2] != CLOSING_BRACE
        kind = WIKI_TABLE if single and at_line_start(text, i) else NOTHING
    return kind


@compiled
def remember(kind: int, n: int, depth: int, stack: Stack, counts: Counts) -> int:
    """Notes that a ``kind`` begins where the plain text is ``n`` long; returns the new depth. There must be room."""
    stack[depth] = n * KINDS + kind
    counts[kind] += 1
    return depth + 1


@compiled
def close(closing: int, depth: int, stack: Stack, counts: Counts) -> int:
    """Closes what ``closing_at`` told; returns the new depth, at which its entry still lies."""
    # What was opened inside and never closed goes with it.
    while True:
        depth -= 1
        kind = stack[depth] % KINDS
        counts[kind] -= 1
        if kind == closing or (closing == TEMPLATE and kind == SHOWN):
            break
        if closing == HIDDEN_LINK and HIDDEN_LINK <= kind <= LINK_TEXT:
            break
    return depth


@compiled
def begin_link_text(depth: int, stack: Stack, counts: Counts) -> int:
    """Turns from a link's target to its text; returns the length of the plain text without the target."""
    n = int(stack[depth - 1]) // KINDS
    stack[depth - 1] = n * KINDS + LINK_TEXT
    counts[LINK_TARGET] -= 1
    counts[LINK_TEXT] += 1
    return n


@compiled
def give_up_targets(depth: int, stack: Stack, counts: Counts) -> int:
    """Forgets links whose target does not end on its line: what looked like one was two square brackets. Returns the
    depth."""
    while depth and stack[depth - 1] % KINDS == LINK_TARGET:
        depth -= 1
        counts[LINK_TARGET] -= 1
    return depth
