"""The normal form of a whole column of texts at once: equal, row by row, to ``query_builder.normalize.normalize``.

In: a column of strings. Out: their bytes in normal form, end to end, with the offsets of the rows. Most characters have
a normal form of their own, whatever stands beside them: those go through tables, in one compiled pass. A row that holds
any other character (a combining accent that may compose, a Greek sigma whose lower case depends on its place) goes
through the scalar function, so the two can't differ.
"""

import functools
import unicodedata
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from query_builder.normalize import normalize, words
from webimagetext.compiled import compiled

__all__ = [
    "Bytes",
    "Offsets",
    "Texts",
    "UInt64",
    "Words",
    "decode",
    "fold_column",
    "fold_words",
    "padded",
    "raw_texts",
    "readonly",
    "split_words",
]

Scalar = TypeVar("Scalar", bound=np.generic)
Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Texts = tuple[Bytes, Offsets]  # UTF-8 bytes end to end; row i is data[offsets[i]:offsets[i + 1]]

# Where a character may have an entry of its own: Latin to kana, presentation and full-width forms, emoji.
OWN_FORMS = ((0x80, 0x3400), (0xFE00, 0x10000), (0x1F000, 0x1FB00))
# Where every character has one, as the tests prove: Han, Han, Hangul syllables. Told all at once, for there are many.
INDEPENDENT = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xAC00, 0xD7A4))
TABLE_SIZE = 0x1FB00
LAST_COMPOSED = 0x30000  # no canonical decomposition is assigned above
SCALAR = 0xFF  # in place of a length: this character needs its neighbours
TABLED, SLOW = 1, 2  # kinds of rows beyond ASCII: without and with such a character
NOT_ASCII = np.uint64(0x8080808080808080)


class Words(NamedTuple):
    """Texts and their words: text ``i`` has the words ``first[i]`` to ``first[i + 1]``, and word ``j`` ends before
    ``stops[j]``.

    A text's first word begins where the text does, any other one byte after the end of the word before.
    """

    data: Bytes
    offsets: Offsets
    stops: Offsets
    first: Offsets


def fold_column(texts: pa.Array) -> Texts:
    """The normal form of each text of a string column; a null counts as an empty text."""
    folded = fold_words(texts)
    return folded.data, folded.offsets


def fold_words(texts: pa.Array) -> Words:
    """The normal form of each text of a string column, and where its words are."""
    data, offsets = raw_texts(texts)
    starts, lengths, forms = _tables()
    kinds = np.zeros(len(texts), np.uint8)
    bound = len(data) + _measure(padded(data), data, offsets, lengths, kinds)
    slow = [
        normalize(data[offsets[row] : offsets[row + 1]].tobytes().decode()).encode()
        for row in np.flatnonzero(kinds == SLOW)
    ]
    normal = readonly(np.frombuffer(b"".join(slow) + b" ", np.uint8))
    until = np.cumsum([0, *map(len, slow)])
    bound += len(normal)
    folded, stops = np.empty(bound, np.uint8), np.empty(bound // 2 + len(texts) + 1, np.int64)
    ends, first = np.zeros((2, len(texts) + 1), np.int64)
    _fold(data, offsets, starts, lengths, forms, kinds, normal, until, folded, ends, stops, first)
    return Words(readonly(folded[: ends[-1]]), readonly(ends), readonly(stops[: first[-1]]), readonly(first))


def split_words(texts: Texts) -> Words:
    """The pieces of texts between single spaces, empty ones included."""
    data, offsets = texts
    spaces = np.flatnonzero(data == ord(" "))
    # A text has one piece more than spaces: its last, which ends where the text does.
    first = np.searchsorted(spaces, offsets) + np.arange(len(offsets))
    stops = np.insert(spaces, first[1:] - np.arange(1, len(offsets)), offsets[1:])
    return Words(data, offsets, readonly(stops), readonly(first))


def raw_texts(texts: pa.Array) -> Texts:
    """The bytes and offsets of a string column, without a copy where Arrow allows it; a null is an empty text."""
    if texts.null_count:
        texts = texts.fill_null("")
    wide = pa.types.is_large_string(texts.type)
    if not wide and not pa.types.is_string(texts.type):
        texts = texts.cast(pa.string())
    _, positions, values = texts.buffers()
    if not len(texts):
        return readonly(np.empty(0, np.uint8)), readonly(np.zeros(1, np.int64))
    kind = np.int64 if wide else np.int32
    offsets = np.frombuffer(positions, kind)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    data = np.frombuffer(values, np.uint8) if values is not None else np.empty(0, np.uint8)
    return readonly(data[offsets[0] : offsets[-1]]), readonly(offsets - offsets[0])


def padded(data: Bytes) -> UInt64:
    """A copy of the bytes as words of eight, with room to read beyond the end."""
    grid = np.zeros(len(data) // 8 + 3, np.uint64)
    grid.view(np.uint8)[: len(data)] = data
    return grid


def readonly(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """A read-only view, so that the compiled code sees one type of array whatever the source."""
    view = array.view()
    view.flags.writeable = False
    return view


@functools.cache
def _tables() -> tuple[npt.NDArray[np.int32], Bytes, Bytes]:
    """For each code point the start and length of its normal form in a blob; a length of SCALAR sends its row the slow
    way."""
    starts = np.zeros(TABLE_SIZE, np.int32)
    lengths = np.full(TABLE_SIZE, SCALAR, np.uint8)
    lengths[:0x80] = 1
    starts[:0x80] = np.arange(0x80)
    blob = bytearray((words(chr(code)) or [" "])[0].encode()[0] for code in range(0x80))
    blob += bytes(range(0x80, 0x100))  # so that a text in normal form maps, byte by byte, to itself
    for code, form in _own_forms():
        starts[code], lengths[code] = len(blob), len(form)
        blob += form
    forms = np.frombuffer(bytes(blob), np.uint8)
    return starts, lengths, forms


def _composing_tails() -> frozenset[str]:
    """Every character that may merge with the one before it when text is composed."""
    tails = {chr(code) for code in range(0x1161, 0x11C3)}  # Hangul vowels and finals compose by rule, not by table
    for code in range(LAST_COMPOSED):
        decomposition = unicodedata.decomposition(chr(code))
        if decomposition and decomposition[0] != "<":
            tails.update(chr(int(part, 16)) for part in decomposition.split()[1:])
    return frozenset(tails)


def _stages(character: str) -> Iterator[str]:
    """The character after each step of folding it."""
    text = character
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text)
        yield text
        text = text.lower()
        yield text


def _own_forms() -> Iterator[tuple[int, bytes]]:
    """Each character beyond ASCII that has a normal form of its own, and that form."""
    tails = _composing_tails()
    for first, last in OWN_FORMS:
        for code in range(first, last):
            form = _own_form(chr(code), tails)
            if form is not None:
                yield code, form
    for first, last in INDEPENDENT:
        # Between two letters, as in _own_form.
        forms = normalize("".join(f"x{chr(code)}" for code in range(first, last)) + "x").encode().split(b"x")[1:-1]
        yield from zip(range(first, last), forms, strict=True)


def _own_form(character: str, tails: frozenset[str]) -> bytes | None:
    """The normal form of a character that never depends on its neighbours, spaces included; None for any other."""
    for text in (character, *_stages(character)):
        # A combining mark may be reordered, a composing tail merged; the lower case of Σ depends on what follows.
        if unicodedata.combining(text[0]) or text[0] in tails or "Σ" in text:
            return None
    # Between two letters the form shows where it separates words.
    form = f"{normalize(f'x{character}x')}"[1:-1].encode()
    return form if len(form) < SCALAR else None


@compiled
def decode(data: Bytes, position: int) -> tuple[Any, int]:
    """The code point of the UTF-8 sequence of two to four bytes at ``position``, and its length."""
    lead = np.int64(data[position])
    if lead >= 0xF0:
        code, size = lead & 0x07, 4
    elif lead >= 0xE0:
        code, size = lead & 0x0F, 3
    else:
        code, size = lead & 0x1F, 2
    for step in range(1, size):
        code = (code << 6) | np.int64(data[position + step] & 0x3F)
    return code, size


@compiled
def _measure(grid: UInt64, data: Bytes, offsets: Offsets, lengths: Bytes, kinds: Bytes) -> int:
    """Marks the rows beyond ASCII as TABLED or SLOW; returns a bound of the bytes by which the TABLED ones may grow."""
    growth = 0
    for row in range(len(kinds)):
        position, stop = offsets[row], offsets[row + 1]
        every = np.uint64(0)
        for index in range(position >> 3, (stop + 7) >> 3):  # eight bytes at a time, a few of the neighbours' too
            every |= grid[index]
        if every & NOT_ASCII == 0:
            continue
        kinds[row] = TABLED
        while position < stop:
            if data[position] < 0x80:
                position += 1
                continue
            code, size = decode(data, position)
            length = np.int64(SCALAR) if code >= TABLE_SIZE else np.int64(lengths[code])
            if length == SCALAR:
                kinds[row] = SLOW
                break
            growth += int(length)  # a few characters are longer in normal form
            position += size
    return growth


@compiled
def _put(form: Any, out: Bytes, stops: Offsets, end: Any, count: Any, word: Any) -> tuple[Any, Any, Any]:
    """Writes a byte of normal form; returns the new ``end`` and ``count``, and one within a word, else zero.

    A separator that follows another is written over by what comes next: no branch, which no processor could guess.
    """
    out[end] = form
    stops[count] = end
    letter = np.uint64(form != 32)
    return end + (letter | word), count + (word & ~letter), letter


@compiled
def _fold(
    data: Bytes,
    offsets: Offsets,
    starts: npt.NDArray[np.int32],
    lengths: Bytes,
    forms: Bytes,
    kinds: Bytes,
    normal: Bytes,
    until: Offsets,
    out: Bytes,
    ends: Offsets,
    stops: Offsets,
    first: Offsets,
) -> None:
    """Folds each row through the tables into ``out``, ``ends``, ``stops`` and ``first``; SLOW rows are those of
    ``normal``."""
    end, count = np.uint64(0), np.uint64(0)  # unsigned, so that no index is asked whether it is negative
    slow = 0
    for row in range(len(kinds)):
        begin = end
        line = data[offsets[row] : offsets[row + 1]]
        word = np.uint64(0)  # one within a word
        if kinds[row] != TABLED:
            if kinds[row] == SLOW:
                line = normal[until[slow] : until[slow + 1]]
                slow += 1
            for index in range(len(line)):
                end, count, word = _put(forms[line[index]], out, stops, end, count, word)
        else:
            position = 0
            while position < len(line):
                code, size = np.int64(line[position]), 1
                if code >= 0x80:
                    code, size = decode(line, position)
                position += size
                start = np.int64(starts[code])
                for index in range(start, start + np.int64(lengths[code])):
                    end, count, word = _put(forms[index], out, stops, end, count, word)
        stops[count] = end
        count += word
        if word == 0 and end > begin:
            end -= np.uint64(1)
        ends[row + 1] = end
        first[row + 1] = count
