"""Wikitext to plain text in one pass: a scanner that never goes back, so a page costs time in proportion to its length.

In: the bytes between a dump's ``<text>`` and ``</text>`` (UTF-8, XML-escaped). Out: the words a reader sees, as UTF-8
bytes. Templates, tables, files, categories, comments, references, formulas and addresses are gone; where something was
taken out of the middle of a text there is a newline, which ends a run of words just as punctuation does.

How it stays linear: text is written to ``out`` as it is met, and a stack remembers how long ``out`` was at every
``{{``, ``{|`` and ``[[``. When the closing mark comes, ``out`` is cut back to that length. An opening that is never
closed costs nothing and its text stays, as MediaWiki shows it. A search for a closing tag that fails is not tried again
in the same page.
"""

import numpy as np

from query_builder.clean.addresses import address_at, drop_address, slashes_follow
from query_builder.clean.characters import (
    AND,
    BAR,
    BRACE,
    BRACKET,
    COLON,
    LESS,
    LOWER,
    NEWLINE,
    QUOTE,
    SEMICOLON,
    UNDERSCORE,
)
from query_builder.clean.emphasis import MAX_MARKS, Marks, after_quotes, drop_marks, end_line
from query_builder.clean.markup import Markup
from query_builder.clean.nesting import (
    HIDDEN_LINK,
    HTML_TABLE,
    KINDS,
    LINK_TARGET,
    MAX_DEPTH,
    NOTHING,
    SHOWN,
    TEMPLATE,
    Counts,
    Stack,
    begin_link_text,
    close,
    closing_at,
    give_up_targets,
    opening_at,
    remember,
)
from query_builder.clean.scan import (
    LINK_PREFIX,
    MAX_NAME,
    TEMPLATE_NAME,
    put_code_point,
    read_name,
    read_number,
    unescape_xml,
)
from query_builder.clean.sections import BEGAN, LEVEL, end_section, heading_at, source_at
from query_builder.clean.tags import tag_at
from query_builder.clean.templates import MAX_SHOWN, begin_argument, begin_block, begin_shown, end_shown, find_shown
from query_builder.hash_table import Bytes, HashTable, as_bytes, hash_bytes, look_up
from webimagetext.compiled import compiled

__all__ = ["clean", "clean_text"]

EQUALS = ord("=")
LONGEST_ENTITY, LONGEST_SWITCH = 32, 30
# Bytes that may begin markup; all others are copied without a further look.
SPECIAL = np.zeros(256, np.bool_)
SPECIAL[list(b"<&{}[]|'_:\n")] = True
_DISAMBIGUATION_SWITCH = np.frombuffer(b"DISAMBIG", np.uint8)


@compiled
def clean(text: Bytes, length: int, out: Bytes, stack: Stack, tables: Markup) -> tuple[int, bool]:
    """Writes the plain text of ``text[:length]`` to ``out`` (at least a fifth longer, and 8 more); ``stack`` is scratch
    of MAX_DEPTH.

    Returns its length and whether the page is a disambiguation page.
    """
    counts, unclosed, name = np.zeros(KINDS, np.int64), np.zeros(256, np.bool_), np.empty(MAX_NAME, np.uint8)
    shown, marks = np.empty((MAX_SHOWN, 4), np.int64), np.empty(MAX_MARKS, np.int64)
    marks[0] = 0
    section = np.zeros(2, np.int64)
    skips = tables.sections[1].any()
    disambiguates = False
    depth = n = i = literal_until = 0
    if skips:
        level, listed, i = heading_at(text, 0, length, name, tables.sections)
        section[LEVEL] = level if listed else 0
    while i < length:
        c = text[i]
        if not SPECIAL[c] or (i < literal_until and c != AND):
            out[n] = c
            n, i = n + 1, i + 1
            continue
        began = i  # a step that finds no markup stays there
        if c == LESS:
            n, i, depth, literal_until = tag_at(
                text, i, length, out, n, depth, literal_until, stack, counts, unclosed, name, tables.tags
            )
            drop_marks(marks, n)
        elif c == AND:
            n, i = _entity(text, i, length, out, n, tables.entities)
        elif c == COLON:
            n, i = address_at(text, i, length, out, n)
        elif c == QUOTE:
            n, i = after_quotes(text, i, length, out, n, marks)
        elif c == UNDERSCORE:
            i = _after_switch(text, i, length)
            disambiguates |= _is_disambiguation_switch(text, began, i)
        elif c == NEWLINE:
            depth = give_up_targets(depth, stack, counts)
            if marks[0] and not counts[TEMPLATE]:
                n = end_line(out, n, marks, depth, stack, shown, counts)
            behind = source_at(text, i + 1, length) if skips and not counts[TEMPLATE] else i + 1
            if behind > i + 1:
                out[n] = NEWLINE
                n, i = n + 1, behind
            elif skips and i + 1 < length and text[i + 1] == EQUALS and not counts[TEMPLATE]:
                level, listed, after = heading_at(text, i + 1, length, name, tables.sections)
                if level:
                    if 0 < level <= section[LEVEL]:
                        n = end_section(n, section, depth, stack, shown, counts)
                    if listed and not section[LEVEL]:
                        section[LEVEL], section[BEGAN] = level, n
                    out[n] = NEWLINE
                    n, i = n + 1, after
        elif c in (BRACE, BRACKET):
            kind, named, spec = _opening(text, i, length, name, tables)
            disambiguates |= named
            if kind != NOTHING and depth < MAX_DEPTH:
                if kind == TEMPLATE and spec != NOTHING and counts[SHOWN] < MAX_SHOWN:
                    n = begin_block(out, n, spec)
                    depth = remember(SHOWN, n, depth, stack, counts)
                    i = begin_shown(text, i, length, n, spec, shown, counts)
                else:
                    n, depth, i = _open(kind, out, n, depth, stack, counts), depth + 1, i + 2
            elif c == BRACKET and slashes_follow(text, i, length):
                n, i = drop_address(text, i + 3, length, out, n, False)
        elif c == BAR and depth and stack[depth - 1] % KINDS == LINK_TARGET:
            n, i = begin_link_text(depth, stack, counts), i + 1
            drop_marks(marks, n)
        elif c == BAR and depth and stack[depth - 1] % KINDS == SHOWN:
            n, i = begin_argument(text, i, length, out, n, stack[depth - 1] // KINDS, shown, counts)
            drop_marks(marks, n)
        else:
            kind = closing_at(text, i, length, counts)
            if kind != NOTHING:
                depth, i = close(kind, depth, stack, counts), i + 2
                if stack[depth] % KINDS == SHOWN:
                    n = end_shown(out, n, stack[depth] // KINDS, shown, counts)
                else:
                    n = _cut_back(stack[depth], out, n, marks)
        if i == began:
            out[n] = c
            n, i = n + 1, i + 1
    n = end_line(out, n, marks, depth, stack, shown, counts)
    return end_section(n, section, depth, stack, shown, counts) if section[LEVEL] else n, disambiguates


@compiled
def _opening(text: Bytes, i: int, length: int, name: Bytes, tables: Markup) -> tuple[int, bool, int]:
    """What the bracket or brace at ``i`` opens, whether it is a template that marks a disambiguation page, and what the
    table says of one that shows something (NOTHING of others)."""
    kind, named, spec = opening_at(text, i, length), False, NOTHING
    if kind == TEMPLATE:
        size = read_name(text, i + 2, length, name, TEMPLATE_NAME)
        listed = tables.disambiguation
        named = size > 0 and look_up(listed[0], listed[1], hash_bytes(name, 0, size)) > 0
        spec = find_shown(name, size, tables.shown)
    elif kind == LINK_TARGET and _is_listed(text, i + 2, length, name, tables.links):
        kind = HIDDEN_LINK
    return kind, named, spec


@compiled
def _open(kind: int, out: Bytes, n: int, depth: int, stack: Stack, counts: Counts) -> int:
    """Remembers a ``kind``, and parts the text unless it is a link; returns the length of the text."""
    remember(kind, n, depth, stack, counts)
    out[n] = NEWLINE  # a link's first letter comes over it
    return n + 1 if kind <= HTML_TABLE else n


@compiled
def _cut_back(entry: int, out: Bytes, n: int, marks: Marks) -> int:
    """The length of the text without what a stack's ``entry`` opened, which a line end replaces; links that show
    stay."""
    if entry % KINDS >= LINK_TARGET:
        return n
    drop_marks(marks, entry // KINDS)
    out[entry // KINDS] = NEWLINE
    return entry // KINDS + 1


@compiled
def _is_listed(text: Bytes, i: int, length: int, name: Bytes, names: HashTable) -> bool:
    """Whether the link prefix at ``i`` is one of ``names``; ``name`` is scratch."""
    size = read_name(text, i, length, name, LINK_PREFIX)
    return size > 0 and look_up(names[0], names[1], hash_bytes(name, 0, size)) > 0


@compiled
def _entity(text: Bytes, i: int, length: int, out: Bytes, n: int, entities: HashTable) -> tuple[int, int]:
    """Writes the character that HTML names at ``i``: length and position, the same as before if there is none."""
    cp, after = read_number(text, i + 1, length)
    if cp >= 0:
        return put_code_point(out, n, cp), after
    j = i + 1
    while j < length and j - i <= LONGEST_ENTITY and (97 <= LOWER[text[j]] <= 122 or 48 <= text[j] <= 57):
        j += 1
    if j >= length or text[j] != SEMICOLON:
        return n, i
    value = look_up(entities[0], entities[1], hash_bytes(text, i + 1, j))
    if value < 0:
        return n, i
    n = put_code_point(out, n, value & 0x1FFFFF)
    if value >> 21:
        n = put_code_point(out, n, value >> 21)
    return n, j + 1


@compiled
def _after_switch(text: Bytes, i: int, length: int) -> int:
    """The position behind a switch such as ``__NOTOC__`` at ``i``; ``i`` if there is none."""
    if i + 1 >= length or text[i + 1] != UNDERSCORE:
        return i
    j = i + 2
    while j < length and j - i - 2 < LONGEST_SWITCH and 65 <= text[j] <= 90:
        j += 1
    whole = j > i + 2 and j + 1 < length and text[j] == UNDERSCORE and text[j + 1] == UNDERSCORE
    return j + 2 if whole else i


@compiled
def _is_disambiguation_switch(text: Bytes, i: int, after: int) -> bool:
    """Whether the switch from ``i`` to ``after`` is ``__DISAMBIG__``."""
    if after - i - 4 != len(_DISAMBIGUATION_SWITCH):
        return False
    same = True
    for k in range(len(_DISAMBIGUATION_SWITCH)):
        same &= text[i + 2 + k] == _DISAMBIGUATION_SWITCH[k]
    return same


def clean_text(escaped: str, tables: Markup) -> tuple[str, bool]:
    """The plain text of one page as it stands in a dump, and whether it is a disambiguation page.

    For tests and for looking at single pages; the counting calls the compiled functions directly.
    """
    data = as_bytes(escaped)
    text, out = np.empty(len(data) + 8, np.uint8), np.empty(2 * len(data) + 16, np.uint8)
    length = unescape_xml(data, 0, len(data), text)
    n, disambiguates = clean(text, length, out, np.empty(MAX_DEPTH, np.int64), tables)
    return out[:n].tobytes().decode("utf-8", "replace"), disambiguates
