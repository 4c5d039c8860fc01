"""The one normal form of text, shared by queries and captions: a match is then an equality of words.

In: any Unicode text. Out: lower-case words joined by single spaces. A word is an unbroken run of letters, digits and
combining marks; every other character separates words, so "(dog)", "dog/cat" and "dog's" all hold the word "dog", and
"U.S." is "u s". Scripts written without spaces (Han, kana, Thai, Lao, Khmer, Burmese) give one word a character.

What nobody sees goes first: soft hyphens, zero-width characters, variation selectors neither part a word nor belong to
one. So do the two joiners in every script, as in Unicode's NFKC_Casefold: Persian, Hindi or Sinhala words are written
with and without them, and a query must find both. A sign that stands for a word or a number ("½", "①", "㎏", "№", "ﷺ")
is a word of its own, whatever stands beside it: "2½" is "2 1 2" like "2 1/2", "dog²" holds "dog". "™" separates as "®"
does. A letter in another shape ("ﬁ", "ª", "Ⓐ", full width) and a lowered number ("H₂O") stay in their word.
"""

import functools
import re
import unicodedata
from collections.abc import Callable

__all__ = ["NORMAL_FORM", "normalize", "words"]

# Raised whenever any text gets another normal form. It stands in query lists and in the markers of a run's steps, so
# that words of two forms are never compared.
NORMAL_FORM = 2

# Each ASCII byte to its normal form: letters lower-cased, digits kept, everything else a space.
ASCII_TABLE = bytes(
    byte + 32 if 65 <= byte <= 90 else byte if 97 <= byte <= 122 or 48 <= byte <= 57 else 32 for byte in range(256)
)
# Thai to Lao, Burmese, Khmer, kana (without the separating middle dot), Han with its extensions.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNSPACED_CHARACTER = re.compile(f"([{UNSPACED}])")
# The code points with the property Default_Ignorable_Code_Point (Unicode 16, DerivedCoreProperties.txt).
IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_LONG = 2_000  # characters: a shorter text is quick whatever it holds
_DOT_ABOVE = "\u0307"


def normalize(text: str) -> str:
    """The words of ``text`` in normal form, joined by single spaces; the empty string when it has none.

    Compatibility forms are folded (NFKC: full-width letters, ligatures, no-break spaces) and a dotted capital I becomes
    a plain ``i``. Accents are kept: "café" and "cafe" are different words. Idempotent.
    """
    return " ".join(words(text))


def words(text: str) -> list[str]:
    """The words of ``text`` in normal form, in order."""
    if text.isascii():
        return text.encode().translate(ASCII_TABLE).decode().split()
    text = text.translate(_PREPARED)
    if len(text) > _LONG:
        text = _runs_of_marks().sub(r"\1", text)
    # Lower-casing can undo the composition (İ becomes i and a dot) and composing can bring back capitals, so fold
    # around it.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower()).lower()
    text = text.replace("i" + _DOT_ABOVE, "i")
    return text.translate(_SEPARATED).split()


@functools.cache
def _runs_of_marks() -> re.Pattern[str]:
    """More combining marks in a row than any language has: Python sorts them by insertion, so a long text of nothing
    else would take for ever. The number is that of the stream-safe form (Unicode, UAX #15)."""
    marks = "".join(c for c in map(chr, range(0x300, 0x1F000)) if unicodedata.combining(c))
    return re.compile(f"([{marks}]{{30}})[{marks}]+")


def _prepared(character: str) -> str:
    """What stands for a character before the text is folded: nothing, a space, its folded form between spaces, or
    itself."""
    if IGNORABLE.match(character):
        return ""
    folded = unicodedata.normalize("NFKC", character)
    category = unicodedata.category(character)
    raised = unicodedata.decomposition(character).startswith("<super>")
    # Accents that stand alone, often in place of an apostrophe ("l´eau"), would become a space and a combining mark;
    # raised symbols are the marks of trade.
    if folded[0] == " " or (raised and category == "So" and len(folded) > 1):
        return " "
    if _is_number(character, category) or " " in folded or (category[0] == "S" and len(folded) > 1):
        return f" {folded} "
    return character


def _is_number(character: str, category: str) -> bool:
    """Whether a character is a number as a sign of its own: a fraction, raised, enclosed; not a lowered one, which
    belongs to a formula."""
    if "\u2776" <= character <= "\u2793":  # on a black disc: the only enclosed ones without a decomposition
        return True
    return category == "No" and unicodedata.decomposition(character)[:5] not in ("", "<sub>")


def _separated(character: str) -> str:
    """What stands for a character of a folded text: itself in a word, alone between spaces, or a space. An enclosing
    mark ends a word: "1️⃣" is "1"."""
    inside = character.isalnum() or unicodedata.category(character) in ("Mn", "Mc")
    return _UNSPACED_CHARACTER.sub(r" \1 ", character) if inside else " "


class _Table(dict[int, str]):
    """What stands for each character, found once."""

    def __init__(self, find: Callable[[str], str]) -> None:
        self._find = find

    def __missing__(self, code: int) -> str:
        self[code] = self._find(chr(code))
        return self[code]


_PREPARED, _SEPARATED = _Table(_prepared), _Table(_separated)
