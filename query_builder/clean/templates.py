"""The templates whose arguments a reader sees: ``{{nowrap|Los Angeles}}``, ``{{lang|fr|école}}``, ``{{convert|5|km}}``.

In: their table (query_builder/clean/markup.py) and the marks between arguments as the cleaner meets them. Out: the
length of the plain text, cut back behind each argument that is not shown. ``shown`` has a row for each such template
that is open, the outermost first: what its entry in the table says, the number of the present argument (0: the name),
where the argument began in the plain text, and whether it shows.
"""

import numpy as np
import numpy.typing as npt

from query_builder.clean.characters import (
    BAR,
    BLANK,
    BRACE,
    BRACKET,
    CLOSING_BRACE,
    COLON,
    DASH,
    LOWER,
    NEWLINE,
    SLASH,
    UNDERSCORE,
)
from query_builder.clean.nesting import NOTHING, SHOWN, Counts
from query_builder.clean.scan import put_code_point
from query_builder.hash_table import Bytes, HashTable, hash_bytes, hash_text, look_up
from webimagetext.compiled import compiled

__all__ = [
    "BLOCK",
    "CODE_POINT",
    "ENDLESS",
    "FUNCTION",
    "LAST_ALONE",
    "MAX_SHOWN",
    "NAMED",
    "PARTED",
    "RANGES",
    "SLASHED",
    "START",
    "Shown",
    "begin_argument",
    "begin_block",
    "begin_shown",
    "end_shown",
    "find_shown",
]

MAX_SHOWN = 256  # such templates within each other; deeper ones are hidden like any other
LONGEST_PARAMETER = 40  # bytes of a parameter's name that are looked at
# What an entry of the table says: eight bits for the arguments that show (the lowest for what follows a colon), what
# stands between them or whether the last one shows alone, whether a third and fourth show after a word like "to", that
# it begins with a colon, that it stands in lines of its own, that its first argument may be named "text", that what
# holds for the seventh argument does for all behind it, and a code point that the template stands for.
SLASHED, PARTED, LAST_ALONE, RANGES, FUNCTION, BLOCK, NAMED, ENDLESS = (1 << bit for bit in range(8, 16))
CODE_POINT = 16  # bits below it
MOST = 7  # arguments told apart
SPEC, NUMBER, START, VISIBLE = range(4)
EQUALS = ord("=")
TEXT = -2  # the number of an argument named so
_TEXT_HASH = np.uint64(hash_text("text"))
# Between the two ends of a range that is converted: {{convert|5|to|10|km}}.
_RANGE_HASHES = np.array(
    [hash_text(word) for word in ("to", "and", "by", "or", "x", "-", "+", "–", "×", "±")], np.uint64
)
_LONGEST_RANGE_WORD = 3  # bytes

Shown = npt.NDArray[np.int64]


@compiled
def find_shown(name: Bytes, size: int, templates: HashTable) -> int:
    """What the table says of a template whose lower-case name, or beginning up to a colon or hyphen, it holds; or
    NOTHING."""
    value = look_up(templates[0], templates[1], hash_bytes(name, 0, size)) if size > 0 else -1
    k = 0
    while value < 0 and k < size:
        if name[k] == COLON or name[k] == DASH:
            value = look_up(templates[0], templates[1], hash_bytes(name, 0, k + 1))
            break
        k += 1
    return value if value >= 0 else NOTHING


@compiled
def begin_block(out: Bytes, n: int, spec: int) -> int:
    """The length of the plain text with a line end where a template stands in lines of its own."""
    out[n] = NEWLINE
    return n + 1 if spec & BLOCK else n


@compiled
def begin_shown(text: Bytes, i: int, length: int, n: int, spec: int, shown: Shown, counts: Counts) -> int:
    """Notes a template that begins at ``i``, and is counted already; returns where its name begins, or what follows its
    colon."""
    top = counts[SHOWN] - 1
    shown[top, SPEC], shown[top, NUMBER], shown[top, START] = spec, 0, n
    shown[top, VISIBLE] = spec & 1
    i += 2
    if spec & FUNCTION:
        while i < length and text[i] != COLON:
            i += 1
        i += 1
    return i


@compiled
def begin_argument(
    text: Bytes, i: int, length: int, out: Bytes, n: int, began: int, shown: Shown, counts: Counts
) -> tuple[int, int]:
    """Turns to the argument whose bar is at ``i``, of the innermost template, which began where the plain text was
    ``began`` long: length and position."""
    top = counts[SHOWN] - 1
    n = _end_argument(out, n, shown, top)
    number, named, i = _parameter(text, i + 1, length)
    if not named:
        shown[top, NUMBER] += 1
        number = shown[top, NUMBER]
    spec = shown[top, SPEC]
    if number == TEXT:
        number = 1 if spec & NAMED else -1
    if number > MOST and spec & ENDLESS:
        number = MOST
    visible = 0 <= number <= MOST and spec >> number & 1
    shown[top, VISIBLE] = visible
    if visible and n > began:
        if spec & LAST_ALONE:
            n = began
        else:
            out[n] = SLASH if spec & SLASHED else NEWLINE if spec & PARTED else BLANK
            n += 1
    shown[top, START] = n
    return n, i


@compiled
def end_shown(out: Bytes, n: int, began: int, shown: Shown, counts: Counts) -> int:
    """Ends a template, which is taken from the counts already; returns the length of the plain text. One that shows
    nothing is its sign, or a line end like a hidden one."""
    top = counts[SHOWN]
    n = _end_argument(out, n, shown, top)
    cp = shown[top, SPEC] >> CODE_POINT
    if n == began or shown[top, SPEC] & BLOCK:
        n = put_code_point(out, n, cp if cp else NEWLINE)
    return n


@compiled
def _end_argument(out: Bytes, n: int, shown: Shown, top: int) -> int:
    """The length of the plain text with the argument that ends, or without it."""
    start = int(shown[top, START])
    if not shown[top, VISIBLE]:
        return start
    if shown[top, SPEC] & RANGES and shown[top, NUMBER] == 2 and n - start <= _LONGEST_RANGE_WORD:
        found = hash_bytes(out, start, n)
        for k in range(len(_RANGE_HASHES)):
            if found == _RANGE_HASHES[k]:
                shown[top, SPEC] |= 1 << 3 | 1 << 4
    return n


@compiled
def _parameter(text: Bytes, i: int, length: int) -> tuple[int, bool, int]:
    """The number that the argument at ``i`` is given by name (``1=``; TEXT for ``text=``, -1 for another name that is
    none), whether it is named, and where its value begins."""
    j, number, digits, letters, first, last = i, 0, 0, 0, i, i
    while j < length and j - i < LONGEST_PARAMETER and text[j] != EQUALS:
        c = text[j]
        if 48 <= c <= 57:
            number, digits = min(number * 10 + c - 48, 1000), digits + 1
        elif 97 <= LOWER[c] <= 122 or c in (DASH, UNDERSCORE):
            first, last, letters = first if letters else j, j + 1, letters + 1
        elif c in (BAR, BRACE, BRACKET, CLOSING_BRACE) or (c != BLANK and c != NEWLINE):
            return 0, False, i
        j += 1
    if j >= length or text[j] != EQUALS or digits + letters == 0:
        return 0, False, i
    if letters:
        number = TEXT if last - first == letters and hash_bytes(text, first, last) == _TEXT_HASH else -1
    return number, True, j + 1
