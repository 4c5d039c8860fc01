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
from query_builder.clean.scan import (
    LINK_PREFIX,
    LOWER,
    MAX_NAME,
    TAG,
    TEMPLATE_NAME,
    at_line_start,
    find_closing_tag,
    put_code_point,
    read_name,
    read_number,
    unescape_xml,
)
from query_builder.hash_table import Bytes, as_bytes, hash_bytes, look_up
from webimagetext.compiled import compiled

__all__ = ["MAX_DEPTH", "clean", "clean_text"]

MAX_DEPTH = 1 << 16  # deeper openings are left as text
TEMPLATE, WIKI_TABLE, HTML_TABLE, HIDDEN_LINK, LINK_TARGET, LINK_TEXT = range(6)
DISAMBIGUATES = 1  # the flag in ``flags[0]``

# Bytes that may begin markup; all others are copied without a further look.
SPECIAL = np.zeros(256, np.bool_)
SPECIAL[[ord(c) for c in "<&{}[]|'_:\n"]] = True
_MAGIC_DISAMBIGUATION = np.frombuffer(b"DISAMBIG", np.uint8)


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
                cp, after = read_number(text, i + 1, length)
                if cp >= 0:
                    n, i = put_code_point(out, n, cp), after
                    continue
            j = i + 1
            while j < length and j - i < 33 and (97 <= LOWER[text[j]] <= 122 or 48 <= text[j] <= 57):
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
                size = read_name(text, i + 2, length, name, TEMPLATE_NAME)
                if (
                    size > 0
                    and look_up(tables.disambiguation[0], tables.disambiguation[1], hash_bytes(name, 0, size)) > 0
                ):
                    flags[0] = DISAMBIGUATES
            elif following == 124 and at_line_start(text, i):
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
            if single and open_count[WIKI_TABLE] and at_line_start(text, i):
                closing = WIKI_TABLE
        elif c == 91:  # [
            if following == 91:
                size = read_name(text, i + 2, length, name, LINK_PREFIX)
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
                while k and n - k < 8 and 97 <= LOWER[out[k - 1]] <= 122:
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
            size = read_name(text, i + 2 if ends else i + 1, length, name, TAG)
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
                            found = find_closing_tag(text, i, length, name, size)
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
