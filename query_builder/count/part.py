"""Writes the counts of one part of a dump to disk, and reads them back: the unit of work that a restart doesn't repeat.

In: a filled :class:`~query_builder.count.tokens.Counts`. Out, in a folder: ``forms.parquet`` (word in normal form, form
as written, count; one row group a range of the word's hash, so that a range of all parts can be merged in little
memory) and ``pairs.bin`` (keys of neighbouring rows of that table with their counts, sorted, as differences in bytes of
seven bits).
"""

import itertools
import os
import unicodedata
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from query_builder.count.folding import fold_forms
from query_builder.count.tokens import FIRST, FORM_MASK, JOINT_MASK, SECOND, Counts
from query_builder.hash_table import Bytes, Longs, hash_bytes
from query_builder.normalize import IGNORABLE, words
from webimagetext.compiled import compiled

__all__ = ["RANGE_BITS", "decode_runs", "encode_runs", "hash_column", "read_forms", "write_part"]

RANGE_BITS = 6  # the forms are cut into 64 ranges by the first bits of their word's hash
NO_GAP = 2  # the joint of two words written as one


class FormTable(NamedTuple):
    """Rows of ``forms.parquet``: the words' texts, the forms' texts, and counts."""

    words: pa.LargeBinaryArray
    forms: pa.LargeBinaryArray
    counts: npt.NDArray[np.int64]


@compiled
def _hash_all(data: Bytes, offsets: npt.NDArray[np.int64], out: Longs) -> None:
    for row in range(len(out)):
        out[row] = hash_bytes(data, offsets[row], offsets[row + 1])


def hash_column(column: pa.LargeBinaryArray) -> Longs:
    """The hash of each text of a column."""
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    out = np.empty(len(column), np.uint64)
    _hash_all(data, offsets, out)
    return out


@compiled
def run_lengths(keys: Longs, counts: npt.NDArray[np.int64]) -> int:
    """Replaces sorted keys by the distinct ones and how often each occurs, in place; returns how many there are."""
    n = 0
    for index in range(len(keys)):
        if n and keys[n - 1] == keys[index]:
            counts[n - 1] += 1
        else:
            keys[n] = keys[index]
            counts[n] = 1
            n += 1
    return n


@compiled
def encode_runs(keys: Longs, counts: npt.NDArray[np.int64], out: Bytes) -> int:
    """Writes sorted keys as differences, each followed by its count, in bytes of seven bits; returns the length."""
    n, last = 0, np.uint64(0)
    for index in range(len(keys)):
        for value in (keys[index] - last, np.uint64(counts[index])):
            while value >= np.uint64(128):
                out[n] = np.uint8(value & np.uint64(127) | np.uint64(128))
                value >>= np.uint64(7)
                n += 1
            out[n] = np.uint8(value)
            n += 1
        last = keys[index]
    return n


@compiled
def decode_runs(data: Bytes, keys: Longs, counts: npt.NDArray[np.int64]) -> None:
    """The reverse of :func:`encode_runs`; the arrays are as long as there are keys."""
    at, last = 0, np.uint64(0)
    for index in range(len(keys)):
        value, shift = np.uint64(0), np.uint64(0)
        while data[at] >= 128:
            value |= np.uint64(data[at] & 127) << shift
            shift += np.uint64(7)
            at += 1
        last += value | np.uint64(data[at]) << shift
        at += 1
        keys[index] = last
        value, shift = np.uint64(0), np.uint64(0)
        while data[at] >= 128:
            value |= np.uint64(data[at] & 127) << shift
            shift += np.uint64(7)
            at += 1
        counts[index] = np.int64(value | np.uint64(data[at]) << shift)
        at += 1


def _neighbours(form: str, found: list[bytes]) -> list[int]:
    """Which of the words of one written form (``found``) stand side by side with the next one, as they would if the
    form were written out: "㍿" is 株式会社, "㏂" is a.m. and "½" is 1/2, where a mark parts the two numbers."""
    folded = unicodedata.normalize("NFKC", IGNORABLE.sub("", form))
    together = "".join(c if c in " -" or c.isalnum() or unicodedata.category(c)[0] == "M" else "\n" for c in folded)
    runs = [[word.encode() for word in words(run)] for run in together.split("\n")]
    if list(itertools.chain(*runs)) != found:
        return list(range(len(found) - 1))
    ends = set(itertools.accumulate(map(len, runs)))
    return [at for at in range(len(found) - 1) if at + 1 not in ends]


def _binary(data: Bytes, offsets: npt.NDArray[np.int64]) -> pa.LargeBinaryArray:
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def write_part(folder: str, counts: Counts) -> dict[str, int]:
    """Writes ``folder`` (which must exist); returns how many words occur in it (of the normal form: a form as written
    may give none or several), how often the most frequent one does, how many rows and distinct pairs it has. Spends the
    counts' pairs."""
    size = counts.forms
    offsets = counts.offsets[: size + 1].astype(np.int64)
    occurrences = counts.occurrences
    letters = counts.letters[: int(offsets[-1])]
    # What compiled code doesn't fold letter by letter goes through the normal form, which may give any number of words.
    forms = _binary(letters, offsets)
    folded, folded_offsets, plain = fold_forms(letters, offsets)
    lowered = _binary(folded, folded_offsets)
    first, last = np.arange(size, dtype=np.int64), np.arange(size, dtype=np.int64)
    replaced: list[bytes] = []
    more_words: list[bytes] = []
    more_counts: list[int] = []
    inner: list[tuple[int, int, int]] = []
    keep = np.ones(size, np.bool_)
    for row in np.flatnonzero(~plain).tolist():
        found = [word.encode() for word in words(forms[row].as_py().decode())]
        replaced.append(found[0] if found else b"")
        if len(found) == 1:
            continue
        keep[row], first[row], last[row] = False, -1, -1
        if found:
            rows = range(size + len(more_words), size + len(more_words) + len(found))
            more_words += found
            more_counts += [int(occurrences[row])] * len(found)
            first[row], last[row] = rows[0], rows[-1]
            text = forms[row].as_py().decode()
            inner += [(rows[at], rows[at + 1], more_counts[-1]) for at in _neighbours(text, found)]
    extra = pa.array(more_words, pa.large_binary())
    normal = pc.replace_with_mask(lowered, pa.array(~plain), pa.array(replaced, pa.large_binary()))
    all_words, all_forms = pa.concat_arrays([normal, extra]), pa.concat_arrays([forms, extra])
    all_counts = np.concatenate([occurrences, np.array(more_counts, np.int64)])
    rows_kept = np.flatnonzero(np.concatenate([keep, np.ones(len(more_words), np.bool_)]))
    word_hash = hash_column(all_words)[rows_kept]
    order = np.lexsort((hash_column(all_forms)[rows_kept], word_hash))
    chosen = rows_kept[order]
    place = np.full(len(all_counts), -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    _write_forms(
        folder, all_words.take(pa.array(chosen)), all_forms.take(pa.array(chosen)), all_counts[chosen], word_hash[order]
    )
    total = int(all_counts[chosen].sum())
    starts = np.flatnonzero(np.concatenate([[True], np.diff(word_hash[order]) != 0]))[: len(chosen)]
    most = int(np.add.reduceat(all_counts[chosen], starts).max(initial=0)) if len(chosen) else 0
    return {
        "words": total,
        "most": most,
        "rows": len(chosen),
        "pairs": _write_pairs(folder, counts, place, first, last, inner),
    }


def _write_forms(folder: str, words_: pa.Array, forms: pa.Array, counts: npt.NDArray[np.int64], hashes: Longs) -> None:
    table = pa.table({"word": words_, "form": forms, "count": counts})
    ranges = np.arange(1, 1 << RANGE_BITS, dtype=np.uint64) << np.uint64(64 - RANGE_BITS)
    cuts = [0, *np.searchsorted(hashes, ranges).tolist(), len(counts)]
    path = os.path.join(folder, "forms.parquet")
    with pq.ParquetWriter(
        path, table.schema, compression="zstd", use_dictionary=False, write_statistics=False
    ) as writer:
        for start, end in itertools.pairwise(cuts):
            writer.write_table(table.slice(start, end - start), row_group_size=max(1, end - start))


def _write_pairs(
    folder: str,
    counts: Counts,
    place: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    inner: list[tuple[int, int, int]],
) -> int:
    """Renames forms to rows of the table (the left one by its last word, the right one by its first), sorts and
    counts."""
    keys = counts.pairs[: int(counts.sizes[1])]
    to_last = np.where(last >= 0, place[last], -1)
    to_first = np.where(first >= 0, place[first], -1)
    used = _rename(keys, to_last, to_first)
    if inner:
        left = np.array([place[a] for a, _, _ in inner], np.uint64)
        right = np.array([place[b] for _, b, _ in inner], np.uint64)
        more = np.repeat(left << FIRST | right << SECOND | np.uint64(NO_GAP), [count for _, _, count in inner])
        keys = np.concatenate([keys[:used], more])
    else:
        keys = keys[:used]
    keys.sort()
    numbers = np.empty(len(keys), np.int64)
    distinct = run_lengths(keys, numbers)
    out = np.empty(15 * distinct, np.uint8)
    length = encode_runs(keys[:distinct], numbers[:distinct], out)
    out[:length].tofile(os.path.join(folder, "pairs.bin"))
    with open(os.path.join(folder, "pairs.size"), "w", encoding="ascii") as file:
        file.write(str(distinct))
    return distinct


@compiled
def _rename(keys: Longs, to_last: npt.NDArray[np.int64], to_first: npt.NDArray[np.int64]) -> int:
    n = 0
    for index in range(len(keys)):
        key = keys[index]
        left = to_last[np.int64(key >> FIRST)]
        right = to_first[np.int64(key >> SECOND & FORM_MASK)]
        if left >= 0 and right >= 0:
            keys[n] = np.uint64(left) << FIRST | np.uint64(right) << SECOND | key & JOINT_MASK
            n += 1
    return n


def read_forms(folder: str, hash_range: int | None = None) -> FormTable:
    """The table of forms of a part, or one hash range of it."""
    with pq.ParquetFile(os.path.join(folder, "forms.parquet")) as file:
        table = file.read() if hash_range is None else file.read_row_group(hash_range)
    columns = [table[name].combine_chunks() for name in ("word", "form")]
    return FormTable(columns[0], columns[1], table["count"].to_numpy())
