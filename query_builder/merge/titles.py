"""Article titles with the views of every page that leads to them.

In: the shards' titles and the sums of page views. Out: the names that titles give (qualifiers in parentheses taken
off), each with its titles and the views of those articles and of all redirects to them, best first. Chains of redirects
are followed, cycles lead nowhere. Memory is in proportion to the number of titles (about 64 bytes each), not to the
page view files.
"""

import json
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from query_builder.count.part import hash_column
from query_builder.count.shard import bare_title, shard_folder
from query_builder.hash_table import Longs, hash_text
from query_builder.sources.pageviews import UNTITLED, as_title, views_path
from webimagetext.lookup import places_among

__all__ = ["TitleName", "TitleStatistics", "rank_titles"]

MAX_HOPS = 40  # doublings of a redirect chain's length: far more than any chain has


@dataclass(frozen=True, slots=True)
class TitleName:
    """A name, the titles that give it (most viewed first), their views (None without page views), redirects and bytes
    of text."""

    name: str
    titles: tuple[str, ...]
    views: int | None
    redirects: int
    size: int

    @property
    def surface(self) -> str:
        """The most viewed title without its qualifier."""
        return bare_title(self.titles[0])

    @property
    def rank(self) -> tuple[int, int, int, str]:
        """Sorts the best first: by views; without page views by the redirects, then by the length of the articles."""
        return -(self.views or 0), -self.redirects, -self.size, self.name


@dataclass(frozen=True)
class TitleStatistics:
    """Counts for the summary; ``repeated`` are the pages that another one has the title of."""

    articles: int
    names: int
    redirects: int
    lost_redirects: int
    views: int
    views_of_unknown_titles: int
    repeated: int


def _hashes(column: pa.ChunkedArray) -> Longs:
    """The hash of each text; 0 for null."""
    array = column.cast(pa.large_binary()).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.large_binary())
    hashes = hash_column(array)
    hashes[np.asarray(pc.is_null(array))] = 0
    return hashes


class _Index:
    """All titles' hashes, or pages' IDs, sorted for look-up; with ``alone``, those that only one row has."""

    def __init__(self, hashes: Longs, *, alone: bool = False) -> None:
        self.order = np.argsort(hashes, kind="stable")
        self.sorted = hashes[self.order]
        if alone:
            changes = np.concatenate([[True], self.sorted[1:] != self.sorted[:-1], [True]])
            once = changes[1:] & changes[:-1]
            self.order, self.sorted = self.order[once], self.sorted[once]

    def find(self, keys: Longs) -> npt.NDArray[np.int64]:
        """The rows of the keys, -1 where there is none."""
        at = places_among(self.sorted, keys)
        return np.where(at >= 0, self.order[at], -1) if len(self.order) else at


def _add_views(
    work: str, view_shards: int, index: _Index, by_id: _Index, rows: int
) -> tuple[npt.NDArray[np.int64], int]:
    """The views of each row's own title, or of its ID where the dump has no such title, and those of pages that the
    dump doesn't have."""
    views, unknown = np.zeros(rows, np.int64), 0

    def add(keys: Longs, values: npt.NDArray[np.int64]) -> int:
        found = index.find(keys)
        views[found[found >= 0]] += values[found >= 0]
        return int(values[found < 0].sum())

    for number in range(view_shards):
        with np.load(views_path(work, number)) as sums:
            unknown += add(sums["keys"], sums["views"])
            keys, ids, values = sums["by_id"]
            note = json.loads(sums["note"].tobytes())
        of_title, of_id = index.find(keys), by_id.find(ids)
        moved = (of_id >= 0) & ((of_title < 0) | (keys == hash_text(UNTITLED)))
        np.add.at(views, of_id[moved], values[moved].astype(np.int64))
        wrong = moved & (of_title >= 0)
        np.subtract.at(views, of_title[wrong], values[wrong].astype(np.int64))
        unknown -= int(values[moved & (of_title < 0)].sum())
        for title, value in note["quoted"].items():
            # Quotation marks belong to the title if the dump has it so; else they only quoted it.
            bare = title[1:-1] if len(title) > 1 and title[-1] == '"' else title
            forms = (as_title(title), as_title(bare.replace('\\"', '"').replace('""', '"')))
            found = index.find(np.array([hash_text(form) for form in forms], np.uint64))
            row = found[0] if found[0] >= 0 else found[1]
            if row >= 0:
                views[row] += value
            else:
                unknown += value
    return views, unknown


def _resolve(targets: Longs, index: _Index) -> npt.NDArray[np.int64]:
    """For each row the row of the article it leads to in the end, itself for an article, -1 if it leads nowhere."""
    is_article = targets == 0
    leads = np.where(is_article, np.arange(len(targets)), index.find(targets))
    for _ in range(MAX_HOPS):
        further = np.where(leads >= 0, leads[leads], -1)
        if np.array_equal(further, leads):
            break
        leads = further
    return np.where((leads >= 0) & is_article[leads], leads, -1)


def rank_titles(
    work: str, shards: int, view_shards: int, *, has_views: bool, keep: int
) -> tuple[list[TitleName], TitleStatistics]:
    """The best ``keep`` names, best first."""
    columns: list[tuple[Longs, Longs, Longs, npt.NDArray[np.uint32], Longs]] = []
    for number in range(shards):
        table = pq.read_table(os.path.join(shard_folder(work, number), "titles.parquet"))
        columns.append(
            (
                _hashes(table["title"]),
                _hashes(table["target"]),
                _hashes(table["name"]),
                table["bytes"].to_numpy(),
                table["id"].to_numpy(),
            )
        )
    titles, targets, names, sizes, ids = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    cuts = np.cumsum([0, *(len(part[0]) for part in columns)])
    del columns
    index = _Index(titles)
    views, unknown = _add_views(work, view_shards, index, _Index(ids, alone=True), len(titles))
    leads = _resolve(targets, index)
    repeated = int(np.count_nonzero(index.sorted[1:] == index.sorted[:-1]))
    del index, titles, ids
    reached = leads >= 0
    totals, redirects = np.zeros(len(leads), np.int64), np.zeros(len(leads), np.int64)
    np.add.at(totals, leads[reached], views[reached])
    np.add.at(redirects, leads[reached & (targets != 0)], 1)
    rows = np.flatnonzero(names)
    order = rows[np.argsort(names[rows], kind="stable")]
    statistics = TitleStatistics(
        articles=int((targets == 0).sum()),
        names=len(np.unique(names[rows])),
        redirects=int((targets != 0).sum()),
        lost_redirects=int((~reached).sum()),
        views=int(views.sum()),
        views_of_unknown_titles=unknown,
        repeated=repeated,
    )
    if not len(order):
        return [], statistics
    starts = np.flatnonzero(np.concatenate([[True], names[order][1:] != names[order][:-1]]))
    name_views = np.add.reduceat(totals[order], starts)
    name_redirects = np.add.reduceat(redirects[order], starts)
    best = np.lexsort((-np.add.reduceat(sizes[order].astype(np.int64), starts), -name_redirects, -name_views))[:keep]
    chosen = np.sort(names[order][starts][best])
    found = _gather(work, cuts, names, chosen, totals, redirects, sizes, has_views)
    return sorted(found, key=lambda name: name.rank), statistics


def _gather(
    work: str,
    cuts: npt.NDArray[np.int64],
    names: Longs,
    chosen: Longs,
    totals: npt.NDArray[np.int64],
    redirects: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.uint32],
    has_views: bool,
) -> list[TitleName]:
    """Reads the texts of the chosen names from the shards."""
    members: dict[str, list[tuple[int, str, int, int]]] = {}
    for number, start in enumerate(cuts[:-1].tolist()):
        here = names[start : cuts[number + 1]]
        rows = np.flatnonzero((here != 0) & (places_among(chosen, here) >= 0))
        table = pq.read_table(os.path.join(shard_folder(work, number), "titles.parquet"), columns=["title", "name"])
        texts = table.take(rows).to_pydict()
        for row, title, name in zip((rows + start).tolist(), texts["title"], texts["name"], strict=True):
            members.setdefault(name, []).append((-int(totals[row]), title, int(redirects[row]), int(sizes[row])))
    result = []
    for name, articles in members.items():
        articles.sort()
        total = -sum(article[0] for article in articles)
        texts_ = tuple(article[1] for article in articles)
        counts = sum(article[2] for article in articles), sum(article[3] for article in articles)
        result.append(TitleName(name, texts_, total if has_views else None, *counts))
    return result
