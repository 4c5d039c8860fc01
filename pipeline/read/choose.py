"""What counts as a text of an image, and the one rule by which a pair's caption is chosen among them, for pages,
archives and lists alike."""

import re
from collections.abc import Iterable

from webimagetext.foreign import valid

__all__ = ["MAX_TEXT", "choose", "is_text", "plain"]

MAX_TEXT = 2_000  # characters of one text

_FILE_NAME = re.compile(r"\S{0,200}\.(jpe?g|png|gif|webp|avif|svg|bmp|tiff?|html?)", re.IGNORECASE)
_URL = re.compile(r"(https?://|www\.)\S{1,4000}", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")


def plain(text: str) -> str:
    """The text on one line, valid, cut at a word's end."""
    text = " ".join(text[: 2 * MAX_TEXT].split())
    if not text.isprintable():
        text = " ".join(valid(text).split())
    if len(text) <= MAX_TEXT:
        return text
    return text[:MAX_TEXT].rpartition(" ")[0] or text[:MAX_TEXT]


def is_text(text: str) -> bool:
    """Whether a text says anything: it has a letter and is neither a file name nor a URL."""
    return _LETTER.search(text) is not None and not _FILE_NAME.fullmatch(text) and not _URL.fullmatch(text)


def choose(texts: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], str]:
    """The texts worth keeping, each once, and the caption: the first of at least three words, else of two, else the
    first.

    The caption is empty when no text says anything. ``texts`` are (kind, text) in order of preference.
    """
    kept: list[tuple[str, str]] = []
    seen: set[str] = set()
    for kind, text in texts:
        if text not in seen and is_text(text):
            seen.add(text)
            kept.append((kind, text))
    best, most = "", 0
    for _, text in kept:
        words = min(3, text.count(" ") + 1)
        if words > most:
            best, most = text, words
    return kept, best
