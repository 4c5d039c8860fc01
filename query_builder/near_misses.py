"""What was read for a list and is not in it, with the rule that kept it out: the file beside the list.

In: the list's path or URL. Out: the near misses of some texts, or how many each rule took out, with samples.
"""

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from query_builder.lists import AGAIN
from query_builder.schema import candidates_path
from webimagetext.errors import UserError
from webimagetext.files import exists, open_input
from webimagetext.parquet import UNREADABLE, open_parquet

__all__ = ["LeftOut", "left_out", "near_misses", "stable_order"]


def near_misses(url: str, queries: Sequence[str]) -> list[dict[str, object]]:
    """What is kept of some queries. Raises UserError where the file is missing or damaged."""
    wanted = pa.array(queries, pa.string())
    parts = [batch.filter(pc.is_in(batch["query"], wanted)) for batch in _batches(url)]
    return [row for part in parts for row in part.to_pylist()]


def _batches(url: str) -> Iterator[pa.RecordBatch]:
    path = candidates_path(url)
    if not exists(path):
        raise UserError(f"{path}: the near misses that belong to {url} are missing", AGAIN)
    with open_input(path) as stream:
        try:
            file = open_parquet(stream)
            if "reason" not in file.schema_arrow.names:
                raise UserError(f"{path}: is of an earlier version, which did not note why a text is not in", AGAIN)
            yield from file.iter_batches()
        except UNREADABLE as error:
            raise UserError(f"{path}: is damaged: {error}", AGAIN) from None


@dataclass
class LeftOut:
    """What one rule kept out of one source's places: how many are kept, the best of them, and a sample of all."""

    count: int = 0
    best: list[str] = field(default_factory=list)
    sample: list[str] = field(default_factory=list)


def left_out(url: str, best: int, sample: int) -> dict[tuple[str, str], LeftOut]:
    """By source and reason, what is kept of what is not in a list. The sample is drawn by a hash of the text."""
    found: dict[tuple[str, str], LeftOut] = {}
    for batch in _batches(url):
        kinds = zip(batch["source"].to_pylist(), batch["reason"].to_pylist(), strict=True)
        texts: dict[tuple[str, str], list[str]] = {}
        for kind, text in zip(kinds, batch["query"].to_pylist(), strict=True):
            texts.setdefault(kind, []).append(text)
        for kind, added in texts.items():
            known = found.setdefault(kind, LeftOut())
            known.count += len(added)
            known.best += added[: best - len(known.best)]
            known.sample = heapq.nsmallest(sample, [*known.sample, *added], key=stable_order)
    return found


def stable_order(text: str) -> bytes:
    """The same order of texts every time, like one drawn by lot."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
