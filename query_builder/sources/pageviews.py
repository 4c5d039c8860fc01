"""Views of a Wikipedia's pages by title, from `pageview_complete` files.

In: monthly or daily files (any compression), whose lines are ``en.wikipedia TITLE ID ACCESS VIEWS HOURS`` with ``null``
or nothing for an unknown ID. Out, a shard at a time: the sorted hashes of titles and the sum of their views over all
kinds of access. A title in quotation marks may be quoted or really have them, so such rows keep their text until the
dump tells which title exists. Every row is counted in a ledger: ``rows`` are all, and each is one of ROW_KINDS.
"""

import io
import json
import os
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

__all__ = ["ROW_KINDS", "ViewsTask", "count_views", "read_ledger", "sum_by_key", "views_path"]

BATCH = 8 << 20
SHORTEST_LINE = 12
TAKEN, OTHER, UNREADABLE = ROW_KINDS = ("taken", "of other projects", "unreadable")
DAMAGE = "damaged stretches"
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


@compiled
def _parse_lines(
    data: Bytes, length: int, prefix: Bytes, keys: Longs, views: npt.NDArray[np.int64], odd: npt.NDArray[np.int64]
) -> tuple[int, int, int]:
    """Reads whole lines: fills keys and views; ``odd`` gets start, end and views (-1: unreadable) of rows that need a
    look. Returns how many of both there are, and how many lines that are not empty."""
    rows = odd_rows = lines = start = 0
    title = np.empty(4096, np.uint8)
    while start < length:
        end = start
        while end < length and data[end] != NEWLINE:
            end += 1
        lines += end > start
        first = start
        while first < end and first - start < len(prefix) and data[first] == prefix[first - start]:
            first += 1
        if first < end and first - start == len(prefix):
            stop = first
            while stop < end and data[stop] != BLANK:
                stop += 1
            number = _views(data, stop, end) if stop - first <= len(title) else -1
            if number < 0 or data[first] == DOUBLE_QUOTE:
                odd[odd_rows, 0], odd[odd_rows, 1], odd[odd_rows, 2] = first, stop, number
                odd_rows += 1
            else:
                size = stop - first
                for k in range(size):
                    title[k] = BLANK if data[first + k] == UNDERSCORE else data[first + k]
                keys[rows] = hash_bytes(title, 0, size)
                views[rows] = number
                rows += 1
        start = end + 1
    return rows, odd_rows, lines


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
    prefix = as_bytes(task.project + " ")
    keys, views = np.empty(0, np.uint64), np.empty(0, np.int64)
    quoted: dict[str, int] = {}
    ledger: Counter[str] = Counter()
    for text in _owned_lines(task, ledger):
        data = as_bytes(text)
        room = len(data) // SHORTEST_LINE + 1
        new_keys, new_views, odd = np.empty(room, np.uint64), np.empty(room, np.int64), np.empty((room, 3), np.int64)
        rows, odd_rows, lines = _parse_lines(data, len(data), prefix, new_keys, new_views, odd)
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
    np.savez(content, keys=keys, views=views, note=np.frombuffer(note.encode(), np.uint8))
    write_note(path, content.getvalue())
    return len(keys)
