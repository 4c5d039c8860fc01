"""What counts as a text of an image, and the one rule by which a pair's caption is chosen among them, for pages,
archives and lists alike."""

import functools
import html
import re
from collections.abc import Iterable

from webimagetext.foreign import valid

__all__ = ["LOOKED_AT", "MAX_TEXT", "choose", "is_text", "plain", "words_in"]

MAX_TEXT = 2_000  # characters of one text
LOOKED_AT = (
    2 * MAX_TEXT + 1
)  # of one as it is written, white space and all: more than plain() takes, so that it tells a cut
CUT = " …"
SHORT = 60  # characters; a text of no more may well come again

_FILE_NAME = re.compile(r"\S{0,200}\.(jpe?g|png|gif|webp|avif|svg|bmp|tiff?|html?)", re.IGNORECASE)
_URL = re.compile(r"(https?://|www\.)\S{1,4000}", re.IGNORECASE)
# What is there and is not seen: soft hyphens, marks of direction. Joiners that shape letters and emoji stay.
_UNSEEN = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
# Characters of scripts that are written without blanks (Thai, Lao, Burmese, Khmer, Chinese, Japanese).
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff]"
)
_LETTER = re.compile(r"[^\W\d_]")


def plain(text: str) -> str:
    """The text on one line as it is read: valid, without what is not seen; entities that were escaped twice are undone.
    One that is longer than MAX_TEXT is cut at a word's end, where " …" says so."""
    return _known_plain(text) if len(text) <= SHORT else _plain(text)


def _plain(text: str) -> str:
    cut = len(text) >= LOOKED_AT
    text = text[: 2 * MAX_TEXT]
    if "&" in text and _ENTITY.search(text):
        text = html.unescape(text)
    text = " ".join(text.split())
    if not text.isprintable():
        text = " ".join(_UNSEEN.sub("", valid(text)).split())
    if len(text) <= MAX_TEXT and not cut:
        return text
    text = text[: MAX_TEXT - len(CUT)]
    return (text.rpartition(" ")[0] or text) + CUT


# The texts of a site's arrows and logos come with every page.
_known_plain = functools.lru_cache(maxsize=4096)(_plain)


def words_in(text: str) -> int:
    """About how many words a text has: those between blanks, and one for two characters of a script without blanks."""
    if text.isascii():
        return text.count(" ") + 1
    unspaced = len(_UNSPACED.findall(text))
    if not unspaced:
        return text.count(" ") + 1
    return len(_UNSPACED.sub(" ", text).split()) + (unspaced + 1) // 2


def is_text(text: str) -> bool:
    """Whether a text says anything: it has a letter and is neither a file name nor a URL."""
    return _known_text(text) if len(text) <= SHORT else _is_text(text)


def _is_text(text: str) -> bool:
    if _LETTER.search(text) is None:
        return False
    # Most texts have neither mark, and this is asked of every one.
    return ("." not in text and ":" not in text) or not (_FILE_NAME.fullmatch(text) or _URL.fullmatch(text))


_known_text = functools.lru_cache(maxsize=4096)(_is_text)


def choose(texts: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], str]:
    """The texts worth keeping, each once, and the caption: the first of at least three words, else of two, else the
    first.

    The caption is empty when no text says anything. ``texts`` are (kind, text) in order of preference.
    """
    texts = list(texts)
    if len(texts) == 1:  # as most images have
        return (texts, texts[0][1]) if is_text(texts[0][1]) else ([], "")
    kept: list[tuple[str, str]] = []
    seen: set[str] = set()
    for kind, text in texts:
        if text not in seen and is_text(text):
            seen.add(text)
            kept.append((kind, text))
    best, most = "", 0
    for _, text in kept:
        words = min(3, words_in(text))
        if words > most:
            best, most = text, words
            if most == 3:
                break
    return kept, best
