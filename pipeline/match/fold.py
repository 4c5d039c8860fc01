"""The normal form of a whole column of texts at once: equal, row by row, to ``query_builder.normalize.normalize``.

In: a column of strings. Out: their bytes in normal form, end to end, with the offsets of the rows. Most characters have a normal
form of their own, whatever stands beside them: those go through tables, in one compiled pass. A row that holds any other
character (a combining accent that may compose, a Greek sigma whose lower case depends on its place) goes through the scalar
function, so the two can't differ.
"""

import functools
import unicodedata
from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from query_builder.normalize import normalize, words
from webimagetext.compiled import compiled

__all__ = ["Bytes", "Offsets", "Texts", "decode", "fold_column", "raw_texts", "readonly"]

Scalar = TypeVar("Scalar", bound=np.generic)
Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Texts = tuple[Bytes, Offsets]  # UTF-8 bytes end to end; row i is data[offsets[i]:offsets[i + 1]]

# Where a character has an entry of its own: Latin to kana, presentation and full-width forms, emoji. Han and Hangul take the
# scalar way, since filling their tables would cost every worker half a second.
TABLED = ((0x80, 0x3400), (0xFE00, 0x10000), (0x1F000, 0x1FB00))
TABLE_SIZE = 0x1FB00
LAST_COMPOSED = 0x30000  # no canonical decomposition is assigned above
SCALAR = 0xFF  # in place of a length: this character needs its neighbours


def fold_column(texts: pa.Array) -> Texts:
    """The normal form of each text of a string column; a null counts as an empty text."""
    data, offsets = raw_texts(texts)
    starts, lengths, forms = _tables()
    scalar = np.zeros(len(texts), np.bool_)
    bound = int(offsets[-1] - offsets[0]) + _measure(data, offsets, lengths, scalar)
    folded, ends = np.empty(bound + 1, np.uint8), np.zeros(len(texts) + 1, np.int64)
    _fold(data, offsets, starts, lengths, forms, scalar, folded, ends)
    folded = folded[: ends[-1]]
    if scalar.any():
        folded, ends = _patch(data, offsets, folded, ends, scalar)
    return readonly(folded), readonly(ends)


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
    return readonly(data), readonly(offsets)


def readonly(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """A read-only view, so that the compiled code sees one type of array whatever the source."""
    view = array.view()
    view.flags.writeable = False
    return view


def _patch(data: Bytes, offsets: Offsets, folded: Bytes, ends: Offsets, scalar: npt.NDArray[np.bool_]) -> Texts:
    """Replaces the rows marked ``scalar`` by what the scalar function makes of them."""
    parts: list[memoryview | bytes] = []
    lengths = np.diff(ends)
    view, done = folded.data, 0
    for row in np.flatnonzero(scalar):
        text = normalize(data[offsets[row] : offsets[row + 1]].tobytes().decode()).encode()
        parts += [view[done : ends[row]], text]
        done, lengths[row] = ends[row + 1], len(text)
    parts.append(view[done : ends[-1]])
    merged = np.zeros(len(ends), np.int64)
    np.cumsum(lengths, out=merged[1:])
    return np.frombuffer(b"".join(parts), np.uint8), merged


@functools.cache
def _tables() -> tuple[npt.NDArray[np.int32], Bytes, Bytes]:
    """For each code point the start and length of its normal form in a blob; a length of SCALAR sends its row the slow way."""
    starts = np.zeros(TABLE_SIZE, np.int32)
    lengths = np.full(TABLE_SIZE, SCALAR, np.uint8)
    lengths[:0x80] = 1
    starts[:0x80] = np.arange(0x80)
    blob = bytearray((words(chr(code)) or [" "])[0].encode()[0] for code in range(0x80))
    tails = _composing_tails()
    for first, last in TABLED:
        for code in range(first, last):
            form = _own_form(chr(code), tails)
            if form is not None:
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
def _measure(data: Bytes, offsets: Offsets, lengths: Bytes, scalar: npt.NDArray[np.bool_]) -> int:
    """Marks the rows with characters that need the scalar function; returns a bound of the bytes by which the others may grow."""
    growth = 0
    for row in range(len(scalar)):
        position, stop = offsets[row], offsets[row + 1]
        every = np.uint8(0)
        for index in range(position, stop):
            every |= data[index]
        if every < 0x80:
            continue
        while position < stop:
            if data[position] < 0x80:
                position += 1
                continue
            code, size = decode(data, position)
            length = np.int64(SCALAR) if code >= TABLE_SIZE else np.int64(lengths[code])
            if length == SCALAR:
                scalar[row] = True
                break
            growth += int(length)  # a few characters are longer in normal form
            position += size
    return growth


@compiled
def _fold(
    data: Bytes,
    offsets: Offsets,
    starts: npt.NDArray[np.int32],
    lengths: Bytes,
    forms: Bytes,
    scalar: npt.NDArray[np.bool_],
    out: Bytes,
    ends: Offsets,
) -> None:
    """Folds each row through the tables into ``out`` and ``ends``; leaves the ``scalar`` rows empty."""
    end = 0
    for row in range(len(scalar)):
        begin = end
        position, stop = offsets[row], offsets[row + 1]
        if scalar[row]:
            position = stop
        word = 0  # 1 after a letter, 0 after a separator or at the start: separators are then written over, without a branch
        while position < stop:
            byte = data[position]
            if byte < 0x80:
                position += 1
                form = forms[byte]
                out[end] = form
                letter = int(form != 32)
                end += letter | word
                word = letter
                continue
            code, size = decode(data, position)
            position += size
            first = np.int64(starts[code])
            for index in range(first, first + np.int64(lengths[code])):
                form = forms[index]
                out[end] = form
                letter = int(form != 32)
                end += letter | word
                word = letter
        if word == 0 and end > begin:
            end -= 1
        ends[row + 1] = end
