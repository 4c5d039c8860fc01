"""Views of a Wikipedia's pages by title, from `pageview_complete` files and the older kinds.

In: files of any compression, whose lines are ``en.wikipedia TITLE ID ACCESS VIEWS HOURS`` with ``null`` or nothing for
an unknown ID (`pageview_complete`, monthly or daily), ``en TITLE VIEWS BYTES`` with ``en.m`` for mobile phones (hourly,
`pageviews` and `pagecounts`), or ``en.z TITLE VIEWS HOURS`` (merged, `pagecounts-ez`). Out, a shard at a time: the
sorted hashes of titles, as MediaWiki writes them, and the sum of their views over all kinds of access; and the same by
title and ID, for pages that have another title now. A title in quotation marks may be quoted or really have them, so
such rows keep their text until the dump tells which title exists; those with combining marks do too. Every row is
counted in a ledger: ``rows`` are all, and each is one of ROW_KINDS.
"""

import io
import json
import os
import unicodedata
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from query_builder.clean.characters import BLANK, DOUBLE_QUOTE, NEWLINE, UNDERSCORE
from query_builder.hash_table import Bytes, Longs, as_bytes, hash_bytes
from query_builder.kept import write_note
from query_builder.sources.dump import Shard
from query_builder.sources.piece import BEYOND, CorruptInputError, Gap
from query_builder.sources.pieces import pieces_from
from webimagetext.compiled import compiled

__all__ = [
    "FORMATS",
    "ROW_KINDS",
    "UNTITLED",
    "ViewsTask",
    "as_title",
    "count_views",
    "read_ledger",
    "sum_by_key",
    "views_path",
]

FORMATS = "pageview_complete, hourly or pagecounts-ez"
UNTITLED = "-"  # the title of rows that know a page by its ID alone

BATCH = 8 << 20
SHORTEST_LINE = 7
TAKEN, OTHER, UNREADABLE = ROW_KINDS = ("taken", "of other projects", "unreadable")
DAMAGE = "damaged stretches"
# What follows a language's code in the first field, and whether the views are the last field but one.
_DOMAINS = {".wikipedia": True, "": False, ".m": False, ".zero": False, ".z": False, ".m.z": False}
_DOMAIN_BYTES = np.zeros((len(_DOMAINS), 16), np.uint8)
for _row, _domain in zip(_DOMAIN_BYTES, _DOMAINS, strict=True):
    _row[: len(_domain) + 1] = as_bytes(_domain + " ")
_DOMAIN_SIZES = np.array([len(domain) + 1 for domain in _DOMAINS])
_COMPLETE = np.array(list(_DOMAINS.values()))
# The upper case of each code point of at most two bytes, where that is such a one too.
UPPER = np.array(
    [ord(c.upper()) if len(c.upper()) == 1 and ord(c.upper()) < 0x800 else ord(c) for c in map(chr, range(0x800))]
)
PERCENT, LETTER_A = ord("%"), ord("a")
MOST_VIEWS = 10**15  # in one row: a longer number is none, and would not fit 64 bits


@dataclass(frozen=True)
class ViewsTask:
    """One shard of a page view file, and the project whose rows count (``en.wikipedia``)."""

    shard: Shard
    project: str
    work: str
    skip_corrupt: bool


def views_path(work: str, number: int) -> str:
    """Where a shard's sums lie."""
    return os.path.join(work, "views", f"{number:05}.npz")


def read_ledger(work: str, number: int) -> Counter[str]:
    """What a finished shard noted: rows, by kind, and damage."""
    with np.load(views_path(work, number)) as sums:
        return Counter(json.loads(sums["note"].tobytes())["ledger"])


def sum_by_key(keys: Longs, values: npt.NDArray[np.int64]) -> tuple[Longs, npt.NDArray[np.int64]]:
    """The distinct keys, sorted, and the sum of the values of each."""
    if not len(keys):
        return keys, values
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(values, starts)


def _sum_by_id(rows: Longs) -> Longs:
    """The distinct pairs of a title's hash and an ID, sorted, and the sum of the views of each: 3 x n."""
    if not rows.shape[1]:
        return rows
    rows = rows[:, np.lexsort((rows[1], rows[0]))]
    starts = np.flatnonzero(np.concatenate([[True], (rows[:2, 1:] != rows[:2, :-1]).any(axis=0)]))
    return np.stack([rows[0, starts], rows[1, starts], np.add.reduceat(rows[2], starts)])


@compiled
def _parse_lines(
    data: Bytes,
    length: int,
    language: Bytes,
    keys: Longs,
    ids: Longs,
    views: npt.NDArray[np.int64],
    odd: npt.NDArray[np.int64],
) -> tuple[int, int, int]:
    """Reads whole lines: fills keys, IDs (0: none) and views; ``odd`` gets start, end and views (-1: unreadable) of
    rows that need a look. Returns how many of both there are, and how many lines that are not empty."""
    rows = odd_rows = lines = start = 0
    title = np.empty(4096, np.uint8)
    while start < length:
        end = start
        while end < length and data[end] != NEWLINE:
            end += 1
        lines += end > start
        first = start
        while first < end and first - start < len(language) and data[first] == language[first - start]:
            first += 1
        domain = _domain_at(data, first, end) if first - start == len(language) else -1
        if domain >= 0:
            first += _DOMAIN_SIZES[domain]
            stop = first
            while stop < end and data[stop] != BLANK:
                stop += 1
            number, page = -1, 0
            if stop - first <= len(title):
                number = _views(data, stop, end) if _COMPLETE[domain] else _third(data, stop, end)
                page = _page(data, stop, end) if _COMPLETE[domain] else 0
            size = _as_title(data, first, stop, title) if number >= 0 else 0
            if number < 0 or data[first] == DOUBLE_QUOTE or _has_marks(title, size):
                odd[odd_rows, 0], odd[odd_rows, 1], odd[odd_rows, 2] = first, stop, number
                odd_rows += 1
            else:
                keys[rows] = hash_bytes(title, 0, size)
                ids[rows], views[rows] = page, number
                rows += 1
        start = end + 1
    return rows, odd_rows, lines


@compiled
def _domain_at(data: Bytes, i: int, end: int) -> int:
    """Which of _DOMAINS follows the language at ``i``, with a title behind it; -1 for none."""
    for domain in range(len(_DOMAIN_SIZES)):
        size = _DOMAIN_SIZES[domain]
        k = 0
        while k < size and i + k < end and data[i + k] == _DOMAIN_BYTES[domain, k]:
            k += 1
        if k == size and i + k < end:
            return domain
    return -1


@compiled
def _hexadecimal(c: int) -> int:
    """The value of a hexadecimal digit, -1 for any other byte."""
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    return c - LETTER_A + 10 if LETTER_A <= c <= LETTER_A + 5 else -1


@compiled
def _as_title(data: Bytes, first: int, stop: int, title: Bytes) -> int:
    """Writes a title as MediaWiki does: a blank for underscores, none at the ends, bytes for their codes (``%C3%A9``,
    which no title has), the first letter a capital. Returns its length."""
    n, i = 0, first
    while i < stop:
        c = int(data[i])
        if c == PERCENT and i + 2 < stop:
            high, low = _hexadecimal(int(data[i + 1])), _hexadecimal(int(data[i + 2]))
            if high >= 0 and low >= 0:
                c, i = high * 16 + low, i + 2
        i += 1
        c = BLANK if c == UNDERSCORE else c
        if c != BLANK or (n and title[n - 1] != BLANK):
            title[n] = c
            n += 1
    if n and title[n - 1] == BLANK:
        n -= 1
    c = int(title[0]) if n else 0
    if c < 0x80:
        title[0] = UPPER[c]
    elif 0xC2 <= c < 0xE0 and n > 1:
        upper = UPPER[(c & 31) << 6 | int(title[1] & 63)]
        title[0], title[1] = 0xC0 | upper >> 6, 0x80 | upper & 63
    return n


@compiled
def _has_marks(title: Bytes, n: int) -> bool:
    """Whether a combining mark is in a title, which MediaWiki may write together with its letter: U+0300 to U+036F."""
    found = False
    for k in range(n - 1):
        found |= title[k] == 0xCC or (title[k] == 0xCD and title[k + 1] < 0xB0)
    return found


def as_title(text: str) -> str:
    """A title of a page view file as MediaWiki writes it."""
    data = as_bytes(text)
    title = np.zeros(len(data) + 2, np.uint8)
    written = title[: _as_title(data, 0, len(data), title)].tobytes().decode("utf-8", "replace")
    return unicodedata.normalize("NFC", written)


@compiled
def _third(data: Bytes, stop: int, end: int) -> int:
    """The field behind the title, which ends at ``stop``, as the number of views; -1 if it is none."""
    at, number = stop + 1, 0
    while at < end and 48 <= data[at] <= 57 and number < MOST_VIEWS:
        number = number * 10 + data[at] - 48
        at += 1
    parted = at >= end or data[at] == BLANK
    return number if parted and at > stop + 1 and number < MOST_VIEWS else -1


@compiled
def _page(data: Bytes, stop: int, end: int) -> int:
    """The page's ID in the field behind the title, which ends at ``stop``; 0 where it is none."""
    number = _third(data, stop, end)
    return max(number, 0)


@compiled
def _views(data: Bytes, stop: int, end: int) -> int:
    """The last field but one of a line whose title ends at ``stop``: the number of views, or -1 if it is none."""
    at = end - 1
    while at > stop and data[at] != BLANK:
        at -= 1
    number, factor, digits = 0, 1, at - 1
    while digits > stop and 48 <= data[digits] <= 57 and factor < MOST_VIEWS:
        number += (data[digits] - 48) * factor
        factor *= 10
        digits -= 1
    parted = data[digits] == BLANK
    return number if parted and stop < digits < at - 1 else -1


def _without_long_line(text: bytes, offset: int, task: ViewsTask, ledger: Counter[str]) -> bytes:
    """The whole lines of a text whose last one is longer than any. Raises CorruptInputError unless that is to be left
    out, which is counted."""
    if not task.skip_corrupt:
        raise CorruptInputError(task.shard.url, offset, f"a line of more than {BEYOND:,} bytes")
    ledger[DAMAGE] += 1
    return text[: text.rfind(b"\n") + 1]


def _owned_lines(task: ViewsTask, ledger: Counter[str]) -> Iterator[bytes]:
    """The shard's lines, whole, in batches. A line belongs to the shard that the line break before it lies in."""
    shard = task.shard
    started = shard.start == 0
    pending: list[bytes] = []
    gathered = 0
    for piece in pieces_from(shard.url, shard.start, shard.end):
        beyond = piece.offset >= shard.end
        if isinstance(piece, Gap):
            if not task.skip_corrupt:
                raise CorruptInputError(shard.url, piece.offset, piece.reason)
            ledger[DAMAGE] += not beyond
            text = b"".join(pending)
            yield text[: text.rfind(b"\n") + 1]
            pending, gathered, started = [], 0, False
            if beyond:
                return
            continue
        data = piece.data
        if not started:
            first = data.find(b"\n") + 1
            started = first > 0
            if beyond:
                return
            data = data[first:] if started else b""
        elif beyond:
            stop = data.find(b"\n") + 1
            pending.append(data[:stop] if stop else data)
            gathered += len(pending[-1])
            if stop:
                break
            if gathered > BEYOND + BATCH:
                yield _without_long_line(b"".join(pending), piece.offset, task, ledger)
                return
            continue
        pending.append(data)
        gathered += len(data)
        if gathered >= BATCH:
            text = b"".join(pending)
            stop = text.rfind(b"\n") + 1
            yield text[:stop]
            pending, gathered = [text[stop:]], len(text) - stop
            if gathered > BEYOND:
                _without_long_line(pending[0], piece.offset, task, ledger)
                pending, gathered, started = [], 0, False
    yield b"".join(pending)


def count_views(task: ViewsTask) -> int:
    """Sums one shard's views unless that has been done; returns its number of titles."""
    path = views_path(task.work, task.shard.number)
    if os.path.exists(path):
        return 0
    language = as_bytes(task.project.removesuffix(".wikipedia"))
    keys, views = np.empty(0, np.uint64), np.empty(0, np.int64)
    by_id = np.empty((3, 0), np.uint64)
    quoted: dict[str, int] = {}
    ledger: Counter[str] = Counter()
    begins = not task.shard.start
    for batch in _owned_lines(task, ledger):
        text = batch.removeprefix(BOM_UTF8) if begins else batch
        data, begins = as_bytes(text), False
        room = len(data) // SHORTEST_LINE + 1
        new_keys, new_views, odd = np.empty(room, np.uint64), np.empty(room, np.int64), np.empty((room, 3), np.int64)
        ids = np.empty(room, np.uint64)
        rows, odd_rows, lines = _parse_lines(data, len(data), language, new_keys, ids, new_views, odd)
        new = np.stack([new_keys[:rows], ids[:rows], new_views[:rows].astype(np.uint64)])
        by_id = _sum_by_id(np.concatenate([by_id, new[:, ids[:rows] > 0]], axis=1))
        keys, views = sum_by_key(np.concatenate([keys, new_keys[:rows]]), np.concatenate([views, new_views[:rows]]))
        ledger.update({"rows": lines, TAKEN: rows, OTHER: lines - rows - odd_rows})
        for first, stop, number in odd[:odd_rows].tolist():
            ledger[TAKEN if number >= 0 else UNREADABLE] += 1
            if number < 0:
                continue
            title = text[first:stop].decode("utf-8", "replace").replace("_", " ")
            quoted[title] = quoted.get(title, 0) + number
    note = json.dumps({"quoted": dict(sorted(quoted.items())), "ledger": ledger})
    content = io.BytesIO()
    np.savez(content, keys=keys, views=views, by_id=by_id, note=np.frombuffer(note.encode(), np.uint8))
    write_note(path, content.getvalue())
    return len(keys)
