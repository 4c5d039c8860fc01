"""The one normal form of text, shared by queries and captions: a match is then an equality of words.

In: any Unicode text. Out: lower-case words joined by single spaces. A word is an unbroken run of letters, digits and
combining marks; every other character separates words, so "(dog)", "dog/cat" and "dog's" all hold the word "dog", and
"U.S." is "u s". Scripts written without spaces (Han, kana, Thai, Lao, Khmer, Burmese) give one word a character.
"""

import functools
import re
import unicodedata

__all__ = ["normalize", "words"]

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
_LONG = 2_000  # characters: a shorter text is quick whatever it holds
_DOT_ABOVE = "\u0307"
# Accents that stand alone, often in place of an apostrophe ("l´eau"): NFKC would make them a space and a combining
# mark.
_ACCENTS = (c for c in map(chr, range(0xA8, 0x10000)) if unicodedata.decomposition(c).startswith("<compat> 0020 "))
_LONE_ACCENT = re.compile(f"[{''.join(_ACCENTS)}]")


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
    if len(text) > _LONG:
        text = _runs_of_marks().sub(r"\1", text)
    text = _LONE_ACCENT.sub(" ", text)
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


class _Separated(dict[int, str]):
    """For each character of a folded text what stands for it: itself in a word, alone between spaces, or a space; found
    once."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        inside = character.isalnum() or unicodedata.category(character)[0] == "M"
        self[code] = _UNSPACED_CHARACTER.sub(r" \1 ", character) if inside else " "
        return self[code]


_SEPARATED = _Separated()
