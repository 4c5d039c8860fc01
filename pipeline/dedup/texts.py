"""One picture with very many texts, and pictures of a site's layout: told by all the pages that show them.

In: candidates (CANDIDATES) in which all rows of one address lie together. Out: as a rule gives them, per row null or a
reason. A share button has the title of every page for a text; a logo stands on every page. Neither says anything of
what is seen. Lists keep all their texts: whoever made one meant them.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

import pyarrow as pa

from pipeline.hosts import host_of
from pipeline.read.choose import words_in

__all__ = ["SiteTexts"]

ENOUGH_WORDS = 12  # beyond, more words make no better text
LIST = "url_list"


@dataclass(frozen=True)
class SiteTexts:
    """Drops the pairs of an image that stands on more than ``max_pages`` pages of a site, and of one with more than
    ``max_texts`` texts there all but the best: those with the most words, of these the ones found most often. 0 is no
    limit."""

    max_texts: int
    max_pages: int
    name = "site_texts"

    def __call__(self, batch: pa.RecordBatch | pa.Table) -> tuple[pa.Array, dict[str, pa.Array]]:
        columns = (batch.column(name).to_pylist() for name in ("url", "page_url", "source", "caption"))
        rows = list(zip(*columns, strict=True))
        shown: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, (url, page, source, _) in enumerate(rows):
            if page and source != LIST:
                shown[url, host_of(page)].append(number)
        reasons: list[str | None] = [None] * len(rows)
        for numbers in shown.values():
            if len(numbers) == 1:
                continue
            if self.max_pages and len({rows[number][1] for number in numbers}) > self.max_pages:
                for number in numbers:
                    reasons[number] = "site_wide"
                continue
            counts = Counter(rows[number][3] for number in numbers)
            if self.max_texts and len(counts) > self.max_texts:
                best = sorted(counts, key=lambda text: (-min(words_in(text), ENOUGH_WORDS), -counts[text], text))
                kept = set(best[: self.max_texts])
                for number in numbers:
                    if rows[number][3] not in kept:
                        reasons[number] = "further_text"
        return pa.array(reasons, pa.string()), {}
