"""One picture with very many texts, and pictures of a site's layout: told by all the pages that show them.

In: candidates (CANDIDATES) in which all rows of one address lie together. Out: as a rule gives them, per row null or a
reason. A share button has the title of every page for a text; a logo stands on every page. Neither says anything of
what is seen. Lists keep all their texts: whoever made one meant them.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

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
        places = np.flatnonzero(_is_of_site(batch))
        judged = batch.take(pa.array(places))  # of a list no row, so that its texts need not become Python's
        columns = (judged.column(name).to_pylist() for name in ("url", "page_url", "caption"))
        rows = list(zip(*columns, strict=True))
        shown: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, (url, page, _) in enumerate(rows):
            shown[url, host_of(page)].append(number)
        reasons = np.full(batch.num_rows, None, object)
        for numbers in shown.values():
            if len(numbers) == 1:
                continue
            if self.max_pages and len({rows[number][1] for number in numbers}) > self.max_pages:
                reasons[places[numbers]] = "site_wide"
                continue
            counts = Counter(rows[number][2] for number in numbers)
            if self.max_texts and len(counts) > self.max_texts:
                best = sorted(counts, key=lambda text: (-min(words_in(text), ENOUGH_WORDS), -counts[text], text))
                kept = set(best[: self.max_texts])
                for number in numbers:
                    if rows[number][2] not in kept:
                        reasons[places[number]] = "further_text"
        return pa.array(reasons, pa.string()), {}


def _is_of_site(batch: pa.RecordBatch | pa.Table) -> npt.NDArray[np.bool_]:
    """Whether each row has a page, and is of no list."""
    has_page = pc.fill_null(pc.not_equal(batch.column("page_url"), ""), False)
    of_site: npt.NDArray[np.bool_] = np.asarray(pc.and_(has_page, pc.not_equal(batch.column("source"), LIST)))
    return of_site
