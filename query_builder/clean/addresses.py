"""Addresses in wikitext, which are no text: ``https://…`` bare, and in brackets before what they are called.

All compiled.
"""

from query_builder.clean.characters import BAR, BLANK, CLOSING_BRACE, CLOSING_BRACKET, LESS, LOWER, NEWLINE, SLASH
from query_builder.hash_table import Bytes
from webimagetext.compiled import compiled

__all__ = ["address_at", "drop_address", "slashes_follow"]

LONGEST_SCHEME = 8


@compiled
def slashes_follow(text: Bytes, i: int, length: int) -> bool:
    return i + 2 < length and text[i + 1] == SLASH and text[i + 2] == SLASH


@compiled
def address_at(text: Bytes, i: int, length: int, out: Bytes, n: int) -> tuple[int, int]:
    """Drops the address whose scheme ends with the colon at ``i``, the scheme too: length and position."""
    if not slashes_follow(text, i, length):
        return n, i
    start = n
    while start and n - start < LONGEST_SCHEME and 97 <= LOWER[out[start - 1]] <= 122:
        start -= 1
    return drop_address(text, i, length, out, start, True) if start < n else (n, i)


@compiled
def drop_address(text: Bytes, i: int, length: int, out: Bytes, n: int, bare: bool) -> tuple[int, int]:
    """Puts a line end in place of the address at ``i``, which a bar or brace ends too if it is ``bare``: length and
    position."""
    while i < length and text[i] > BLANK and text[i] != CLOSING_BRACKET and text[i] != LESS:
        if bare and (text[i] == BAR or text[i] == CLOSING_BRACE):
            break
        i += 1
    out[n] = NEWLINE
    return n + 1, i
