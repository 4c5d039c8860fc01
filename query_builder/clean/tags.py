"""Tags and comments of wikitext: what each does to the text, and where what it hides ends.

In: the position of a ``<``. Out: the text's new length and the position behind. All compiled.
"""

import numpy as np
import numpy.typing as npt

from query_builder.clean.characters import BLANK, DASH, EXCLAMATION, GREATER, LESS, NEWLINE, SLASH
from query_builder.clean.markup import ACTIONS, BREAK, DROP, INLINE, LITERAL, TABLE
from query_builder.clean.nesting import HTML_TABLE, KINDS, MAX_DEPTH, Counts, Stack, close, remember
from query_builder.clean.scan import TAG, find_closing_tag, read_name
from query_builder.hash_table import Bytes, HashTable, hash_bytes, look_up
from webimagetext.compiled import compiled

__all__ = ["tag_at"]

LETTER_R = ord("r")


@compiled
def tag_at(
    text: Bytes,
    i: int,
    length: int,
    out: Bytes,
    n: int,
    depth: int,
    literal_until: int,
    stack: Stack,
    counts: Counts,
    unclosed: npt.NDArray[np.bool_],
    name: Bytes,
    tags: HashTable,
) -> tuple[int, int, int, int]:
    """Steps over the comment, or the tag and what it hides, at ``i``: length, position, depth, end of what is
    literal."""
    if i + 3 < length and text[i + 1] == EXCLAMATION and text[i + 2] == DASH and text[i + 3] == DASH:
        return n, _after_comment(text, i + 4, length), depth, literal_until
    ends = i + 1 < length and text[i + 1] == SLASH
    size = read_name(text, i + 2 if ends else i + 1, length, name, TAG)
    value = look_up(tags[0], tags[1], hash_bytes(name, 0, size)) if size > 0 else -1
    after = _after_tag(text, i + 1, length) if value >= 0 else -1
    if after < 0:
        return n, i, depth, literal_until
    action = value % ACTIONS
    if action == BREAK:
        out[n] = NEWLINE
        n += 1
    elif action == TABLE:
        n, depth = _table_tag(ends, out, n, depth, stack, counts)
    elif action != INLINE and not ends:
        if action == DROP:
            # A note's mark stands between words but doesn't part them; anything else does.
            out[n] = BLANK if size == 3 and name[0] == LETTER_R else NEWLINE
            n += 1
        found = _find_end(text, after, length, name, size, value // ACTIONS, unclosed)
        if found >= 0 and action == LITERAL:
            literal_until = found
        elif found >= 0:
            after = found
    return n, after, depth, literal_until


@compiled
def _table_tag(ends: bool, out: Bytes, n: int, depth: int, stack: Stack, counts: Counts) -> tuple[int, int]:
    """Begins or ends a table: length and depth. What begins or ends none parts the text all the same."""
    if ends and counts[HTML_TABLE]:
        depth = close(HTML_TABLE, depth, stack, counts)
        n = stack[depth] // KINDS
    elif not ends and depth < MAX_DEPTH:
        depth = remember(HTML_TABLE, n, depth, stack, counts)
    out[n] = NEWLINE
    return n + 1, depth


@compiled
def _find_end(
    text: Bytes, i: int, length: int, name: Bytes, size: int, number: int, unclosed: npt.NDArray[np.bool_]
) -> int:
    """The position of the closing tag of the tag that ends at ``i``, or -1; looked for in vain, it is not looked for
    again."""
    if text[i - 2] == SLASH or unclosed[number]:
        return -1
    found = find_closing_tag(text, i, length, name, size)
    unclosed[number] = found < 0
    return found


@compiled
def _after_comment(text: Bytes, i: int, length: int) -> int:
    """The position behind the comment whose inside begins at ``i``."""
    while i < length and not (text[i] == GREATER and text[i - 1] == DASH and text[i - 2] == DASH):
        i += 1
    return i + 1


@compiled
def _after_tag(text: Bytes, i: int, length: int) -> int:
    """The position behind the tag whose inside begins at ``i``, or -1 if it has no end."""
    while i < length and text[i] != GREATER and text[i] != LESS:
        i += 1
    return i + 1 if i < length and text[i] == GREATER else -1
