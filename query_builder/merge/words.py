"""Adds up the words of all parts, one range of their hashes at a time.

In: the parts' tables of forms. Out: the words at or above a floor (and those asked for), with their counts and how they
are most often written. Equal hashes are checked to be equal words, so the counts are exact.
"""

import io
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from query_builder.count.part import RANGE_BITS, hash_column, read_forms
from query_builder.hash_table import Bytes, Longs
from query_builder.kept import is_kept
from query_builder.schema import is_whole
from webimagetext.compiled import compiled
from webimagetext.files import write_atomic
from webimagetext.sealed import PARQUET_SEAL, seal_parquet

__all__ = ["MAX_VARIANTS", "WordRangeTask", "Words", "load_words", "merge_words"]

MAX_VARIANTS = 7  # written forms of a word that bigrams tell apart; the rest count together
WORDS_SCHEMA = pa.schema(
    [
        ("word", pa.large_binary()),
        ("count", pa.int64()),
        ("forms", pa.large_list(pa.large_binary())),
        ("hash", pa.uint64()),
    ]
)


@dataclass(frozen=True)
class WordRangeTask:
    """One range of hashes, over all parts; words below ``floor`` are kept only if their hash is in the file
    ``wanted``."""

    folder: str
    hash_range: int
    parts: tuple[str, ...]
    floor: int
    wanted: str


@dataclass(frozen=True)
class Words:
    """The kept words, ordered by hash: texts, counts, written forms (most frequent first) and hashes."""

    texts: pa.LargeBinaryArray
    counts: npt.NDArray[np.int64]
    forms: pa.LargeListArray
    hashes: Longs


def words_path(folder: str, hash_range: int) -> str:
    """Where a range's words lie."""
    return os.path.join(folder, "words", f"{hash_range:02}.parquet")


@compiled
def _first_collision(order: npt.NDArray[np.int64], hashes: Longs, data: Bytes, offsets: npt.NDArray[np.int64]) -> int:
    """The place in ``order`` of a text that differs from the one before it although their hashes are equal, or -1."""
    for place in range(1, len(order)):
        a, b = order[place - 1], order[place]
        if hashes[a] != hashes[b]:
            continue
        size = offsets[a + 1] - offsets[a]
        if offsets[b + 1] - offsets[b] != size:
            return place
        for k in range(size):
            if data[offsets[a] + k] != data[offsets[b] + k]:
                return place
    return -1


def _check(order: npt.NDArray[np.int64], hashes: Longs, texts: pa.LargeBinaryArray) -> None:
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    place = _first_collision(order, hashes, data, offsets)
    if place >= 0:
        pair = [texts[int(order[k])].as_py() for k in (place - 1, place)]
        raise RuntimeError(f"two words have the same 64-bit hash: {pair}")


def _count_up(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, 1, … up to each size, one after the other."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def merge_words(task: WordRangeTask) -> None:
    """Merges one range unless that has been done."""
    path = words_path(task.folder, task.hash_range)
    if is_kept(path, is_whole):
        return
    tables = [read_forms(part, task.hash_range) for part in task.parts]
    texts = pa.concat_arrays([table.words for table in tables])
    forms = pa.concat_arrays([table.forms for table in tables])
    counts = np.concatenate([table.counts for table in tables])
    del tables
    word_hash, form_hash = hash_column(texts), hash_column(forms)
    order = np.lexsort((form_hash, word_hash))
    _check(order, word_hash, texts)
    word_hash, form_hash, counts = word_hash[order], form_hash[order], counts[order]
    if len(order):
        # First each form's sum, then each word's.
        new_word = np.concatenate([[True], word_hash[1:] != word_hash[:-1]])
        starts = np.flatnonzero(new_word | np.concatenate([[True], form_hash[1:] != form_hash[:-1]]))
        order, counts, word_hash, new_word = (
            order[starts],
            np.add.reduceat(counts, starts),
            word_hash[starts],
            new_word[starts],
        )
        firsts = np.flatnonzero(new_word)
        totals = np.add.reduceat(counts, firsts)
        kept = np.flatnonzero((totals >= task.floor) | np.isin(word_hash[firsts], np.load(task.wanted)))
    else:
        firsts = totals = kept = np.empty(0, np.int64)
    rows = order[firsts[kept]]
    sizes = np.append(firsts[1:], len(order))[kept] - firsts[kept]
    # The forms of the kept words, each word's most frequent first, ties by their letters.
    word = np.repeat(np.arange(len(kept)), sizes)
    places = np.repeat(firsts[kept], sizes) + _count_up(sizes)
    columns = {"word": word, "count": counts[places], "form": forms.take(pa.array(order[places]))}
    keys = [("word", "ascending"), ("count", "descending"), ("form", "ascending")]
    ranked = pc.sort_indices(pa.table(columns), sort_keys=keys).to_numpy()[_count_up(sizes) < MAX_VARIANTS]
    form_rows = order[places[ranked]]
    cuts = np.concatenate([[0], np.cumsum(np.minimum(sizes, MAX_VARIANTS))])
    table = pa.Table.from_arrays(
        [
            texts.take(pa.array(rows)),
            pa.array(totals[kept]),
            pa.LargeListArray.from_arrays(pa.array(cuts, pa.int64()), forms.take(pa.array(form_rows, pa.int64()))),
            pa.array(word_hash[firsts[kept]]),
        ],
        schema=WORDS_SCHEMA.with_metadata(PARQUET_SEAL),
    )
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd", use_dictionary=False)
    with write_atomic(path) as stream:
        stream.write(seal_parquet(content.getvalue()))


def load_words(folder: str) -> Words:
    """All ranges' words."""
    table = pa.concat_tables(
        [pq.read_table(words_path(folder, number)) for number in range(1 << RANGE_BITS)]
    ).combine_chunks()
    texts, forms = (table[name].combine_chunks() for name in ("word", "forms"))
    return Words(texts, table["count"].to_numpy(), forms, table["hash"].to_numpy())
