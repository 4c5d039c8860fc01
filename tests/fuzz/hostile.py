"""Hostile input for parsers: any text and bytes with pieces of their language mixed in, and a measure of growth."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

__all__ = ["documents", "grows_linearly", "texts"]

ODD = (
    "\0",
    "\x1b",
    "\ud800",
    "\udce9",
    "\ufeff",
    "\u2028",
    "İ",
    "ß",
    "ﷺ",
    "🐕",
    "e\u0301",
    "\xa0",
    "²",
    "１",
    "\x85",
    "%zz",
)


def texts(pieces: Sequence[str] = (), *, most: int = 40) -> st.SearchStrategy[str]:
    """Texts of ``pieces`` of a language, strange characters, and anything else that a Python string may hold."""
    anything = st.text(st.characters(exclude_categories=()), max_size=8)
    some = st.sampled_from([*pieces, *ODD]) if pieces else st.sampled_from(ODD)
    return st.lists(st.one_of(some, some, anything), max_size=most).map("".join)


def documents(pieces: Sequence[bytes], *, most: int = 40) -> st.SearchStrategy[bytes]:
    """The same in bytes."""
    some = st.sampled_from([*pieces, b"\0", b"\xff", b"\xc3", b"\xe9", b"\r\n", b"\xf0\x9f\x90\x95"])
    return st.lists(st.one_of(some, some, some, st.binary(max_size=8)), max_size=most).map(b"".join)


def _seconds(call: Callable[[Any], object], value: Any) -> float:
    began = time.process_time()
    call(value)
    return time.process_time() - began


def grows_linearly(call: Callable[[Any], object], make: Callable[[int], Any], size: int = 16_000) -> bool:
    """Whether eight times the input takes at most some 36 times as long: a quadratic parser takes 64 times,
    and a linear one up to 30 where the larger input is the first that a cache does not hold.

    What takes next to nothing for the larger one has no shape to be seen, and is well.
    """
    call(make(64))  # compiled, cached
    small, large = make(size), make(8 * size)
    if _seconds(call, large) < 0.02:
        return True
    # Another program's load can only make it look slower, so the least of several counts.
    least = math.inf
    for _ in range(5):
        least = min(least, _seconds(call, large))
        if least <= 36 * max(_seconds(call, small), 0.001):
            return True
    return False
