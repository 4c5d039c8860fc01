"""Counts one shard of a dump: the step that takes nearly all the time, and that the worker processes share.

In: a shard and the site's rules. Out: a folder with one or more parts (:mod:`query_builder.count.part`),
``titles.parquet`` and ``done.json`` (the ledger, and what the files are: query_builder/kept.py). The folder appears
under its name only when it is whole: a killed run redoes the shards in work.
"""

import os
import re
import shutil
import uuid
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from query_builder.clean.markup import Markup, SiteRules, markup_tables
from query_builder.clean.nesting import MAX_DEPTH
from query_builder.clean.scan import unescape_xml
from query_builder.clean.wikitext import clean
from query_builder.count.part import write_part
from query_builder.count.tokens import Counts
from query_builder.hash_table import as_bytes
from query_builder.kept import write_done
from query_builder.normalize import normalize
from query_builder.sources.dump import Batch, Shard, read_pages
from query_builder.sources.page import Ledger, Page
from query_builder.sources.piece import CorruptInputError
from webimagetext.errors import full_disk_names

__all__ = ["ShardTask", "bare_title", "count_shard", "shard_folder"]

MAX_PAIRS = 24_000_000  # neighbours counted before a part is written: 192 MB
MAX_FORMS = 2_500_000
TITLE_SCHEMA = pa.schema(
    [
        ("title", pa.string()),
        ("target", pa.string()),
        ("name", pa.string()),
        ("disambiguation", pa.bool_()),
        ("bytes", pa.uint32()),
        ("id", pa.uint64()),
    ]
)
_QUALIFIER = re.compile(r"\s*\([^()]*\)$")


@dataclass(frozen=True)
class ShardTask:
    """What a worker needs to know."""

    shard: Shard
    rules: SiteRules
    work: str
    skip_corrupt: bool


def shard_folder(work: str, number: int) -> str:
    """Where a shard's counts lie."""
    return os.path.join(work, "shards", f"{number:05}")


def bare_title(title: str) -> str:
    """A title without the qualifier in parentheses at its end: "Mercury (planet)" is about Mercury."""
    return _QUALIFIER.sub("", title) or title


@lru_cache(4)
def _tables(rules: SiteRules) -> Markup:
    return markup_tables(rules)


class _ShardCounter:
    """The state of one shard's counting."""

    def __init__(self, task: ShardTask, folder: str) -> None:
        self.task, self.folder = task, folder
        self.tables = _tables(task.rules)
        self.ledger: Ledger = Ledger()
        self.parts: list[dict[str, int]] = []
        self.titles: dict[str, list[object]] = {name: [] for name in TITLE_SCHEMA.names}
        self.stack = np.empty(MAX_DEPTH, np.int64)
        self.text, self.out = np.empty(1 << 16, np.uint8), np.empty(1 << 17, np.uint8)
        self.counts = Counts(0)

    def add(self, batch: Batch) -> None:
        """Cleans and counts a batch's articles and notes every title."""
        data = as_bytes(batch.buffer)
        for page in batch.pages:
            disambiguation = False
            if page.target is None:
                size = page.end - page.start
                if size + 16 > len(self.text):
                    self.text, self.out = np.empty(2 * size + 16, np.uint8), np.empty(4 * size + 64, np.uint8)
                length = unescape_xml(data, page.start, page.end, self.text)
                if length < 0:
                    self.damage(batch, page.title)
                    continue
                n, disambiguation = clean(self.text, length, self.out, self.stack, self.tables)
                if not self.counts.has_room_for(n) or self.counts.forms > MAX_FORMS:
                    self.finish_part(n)
                self.counts.add(self.out, n)
                self.ledger["text_bytes"] += n
                self.ledger["disambiguation pages"] += disambiguation
            self.add_title(page, disambiguation)

    def damage(self, batch: Batch, title: str) -> None:
        reason = f"the text of the page '{title}' is not valid UTF-8"
        if not self.task.skip_corrupt:
            raise CorruptInputError(self.task.shard.url, batch.offset, reason)
        self.ledger["pages with invalid UTF-8"] += 1
        self.ledger["articles"] -= 1

    def add_title(self, page: Page, disambiguation: bool) -> None:
        title, target, size = page.title, page.target, page.end - page.start
        is_name = target is None and not disambiguation and not title.startswith(self.task.rules.lists)
        name = normalize(bare_title(title)) if is_name else None
        for column, value in zip(
            self.titles.values(), (title, target, name or None, disambiguation, size, page.id), strict=True
        ):
            column.append(value)

    def finish_part(self, next_length: int = 0) -> None:
        """Writes what has been counted and starts anew with room for a text of ``next_length`` bytes."""
        if self.counts.forms:
            folder = os.path.join(self.folder, f"part-{len(self.parts)}")
            os.mkdir(folder)
            self.parts.append(write_part(folder, self.counts))
        self.counts = Counts(max(min(MAX_PAIRS, self.task.shard.file_size * 8), next_length))

    def close(self) -> None:
        """Writes the last part, the titles and the ledger."""
        self.finish_part()
        table = pa.table(self.titles, schema=TITLE_SCHEMA)
        pq.write_table(table, os.path.join(self.folder, "titles.parquet"), compression="zstd")
        write_done(self.folder, {"ledger": dict(sorted(self.ledger.items())), "parts": self.parts})


def count_shard(task: ShardTask) -> int:
    """Counts one shard unless that has been done; returns its number of articles.

    Raises CorruptInputError for damage that is not to be skipped.
    """
    folder = shard_folder(task.work, task.shard.number)
    if os.path.exists(folder):
        return 0
    temporary = f"{folder}.{uuid.uuid4().hex[:12]}.tmp"
    os.makedirs(temporary)
    try:
        counter = _ShardCounter(task, temporary)
        with full_disk_names(folder):
            pages = read_pages(
                task.shard, skip_corrupt=task.skip_corrupt, ledger=counter.ledger, namespaces=task.rules.namespaces
            )
            for batch in pages:
                counter.add(batch)
            counter.close()
        os.rename(temporary, folder)
        return counter.ledger["articles"]
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
