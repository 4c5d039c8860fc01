"""What the captions of each site are in, where no page tells it, and how much of the wanted language that makes likely.

In: candidates. Out: SITE_LANGUAGES, sums of whole numbers that depend on neither the order of the rows nor how they are
cut; and of these, for a caption, the share of the wanted language among the others of its site and its list.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.hosts import hosts_of
from pipeline.tables.schema import SITE_LANGUAGES
from pipeline.text.english import Lexicon
from pipeline.text.evidence import Floats, chance_of, evidence
from pipeline.text.verdicts import captions
from webimagetext.lookup import places_among

__all__ = ["SiteLanguages", "count_sites", "read_sites", "stated", "sum_sites"]

Mask = npt.NDArray[np.bool_]

OTHERS = 5.0  # captions of a list that a site's own have to outweigh
SITE_SHARE = 0.97  # beyond, a site's make-up weighs no more
LIST_SHARE = 0.8  # likewise a list's, where the site shows nothing else
UNIT = 65_535  # of a probability as it is summed: whole numbers, whose sum does not depend on their order


def stated(batch: pa.RecordBatch, language: str) -> tuple[Mask, Mask]:
    """Which captions stand on a page in the wanted language, and which on one in another; neither where that is not
    known."""
    if "page_language" not in batch.schema.names:
        return np.zeros(batch.num_rows, bool), np.zeros(batch.num_rows, bool)
    told = batch["page_language"].dictionary_encode()
    names = [(text or "").replace("_", "-").partition("-")[0].lower() for text in told.dictionary.to_pylist()]
    # Behind them what a null stands for.
    same = np.array([*(name == language for name in names), False])
    foreign = np.array([*(bool(name) and name != language for name in names), False])
    places = told.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    return same[places], foreign[places]


def _sites(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """The hash of each row's site: the host of the page, where there is one, else of the image."""
    pages, urls = batch.column("page_url"), batch.column("url")
    return hosts_of(pc.if_else(pc.equal(pc.fill_null(pages, ""), ""), urls, pages))


def _is_counted(texts: pa.Array) -> Mask:
    """Which captions say something of their site: those of three words, and those not in ASCII, which may have no
    blanks."""
    words = pc.greater_equal(pc.count_substring(texts, " "), 2)
    found: Mask = pc.or_(words, pc.invert(pc.string_is_ascii(texts))).to_numpy(zero_copy_only=False)
    return found


def _in_units(shares: Floats) -> npt.NDArray[np.int64]:
    return np.rint(shares * UNIT).astype(np.int64)


def count_sites(batch: pa.RecordBatch, detector: str, language: str, lexicon: Lexicon | None) -> pa.RecordBatch:
    """How many captions each site of a batch has whose page's language is not known, and how many of them are likely in
    the wanted language: SITE_LANGUAGES. Captions that stand twice count twice."""
    same, foreign = stated(batch, language)
    counted = ~same & ~foreign & _is_counted(captions(batch))
    if not counted.any():
        return pa.RecordBatch.from_pylist([], schema=SITE_LANGUAGES)
    batch = batch.filter(pa.array(counted))
    shares = _in_units(chance_of(evidence(detector, language, captions(batch), lexicon)))
    columns = [_sites(batch), np.ones(len(shares), np.int64), shares]
    table = pa.table(list(map(pa.array, columns)), schema=SITE_LANGUAGES)
    return sum_sites(table).combine_chunks().to_batches()[0]


def sum_sites(counts: pa.Table, least: int = 1) -> pa.Table:
    """Counts of sites (SITE_LANGUAGES), each site once, in order. Those with fewer than ``least`` captions become one
    row of the site 0."""
    site = counts.column("site")
    for _ in range(2 if least > 1 else 1):
        summed = pa.table([site, *counts.columns[1:]], schema=SITE_LANGUAGES).group_by("site")
        counts = summed.aggregate([("captions", "sum"), ("wanted", "sum")])
        counts = counts.select(["site", "captions_sum", "wanted_sum"]).rename_columns(SITE_LANGUAGES.names)
        counts = counts.cast(SITE_LANGUAGES).sort_by("site")
        site = pc.if_else(pc.less(counts["captions"], least), pa.scalar(0, pa.uint64()), counts["site"])
    return counts


@dataclass(frozen=True)
class SiteLanguages:
    """What the captions of a list are in, by site: ``sites`` ascend, with the number of captions of each and the sum of
    their probabilities; and that of all together."""

    sites: npt.NDArray[np.uint64]
    captions: npt.NDArray[np.float64]
    wanted: npt.NDArray[np.float64]
    all_captions: float
    all_wanted: float

    def around(self, batch: pa.RecordBatch, own: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
        """For captions that by themselves have the probabilities ``own`` the share of the wanted language among the
        others of their site, filled up with OTHERS captions of the list's make-up; and how many others there are."""
        counted = _is_counted(captions(batch))
        own = _in_units(own) / UNIT  # as it was counted, so that it can be taken out
        number, wanted = np.zeros((2, batch.num_rows))
        places = places_among(self.sites, _sites(batch))
        known = places >= 0
        number[known] = self.captions[places[known]] - counted[known]
        wanted[known] = self.wanted[places[known]] - (own * counted)[known]
        share = (wanted + OTHERS * self._of_list(own * counted, counted)) / (number + OTHERS)
        return np.clip(share, 1 - SITE_SHARE, SITE_SHARE), number.astype(np.int64)

    def _of_list(self, own: Floats, counted: Mask) -> Floats:
        """The share of the wanted language in the list but for the caption itself; half where the list is empty."""
        share = (self.all_wanted - own + 1) / (self.all_captions - counted + 2)
        return np.clip(share, 1 - LIST_SHARE, LIST_SHARE)


def read_sites(table: pa.Table) -> SiteLanguages:
    """The make-up of a list from its counts (SITE_LANGUAGES, in any order)."""
    counts = sum_sites(table)
    site, number, wanted = (counts.column(name).to_numpy() for name in SITE_LANGUAGES.names)
    shares = wanted / UNIT
    named = site != 0
    return SiteLanguages(
        site[named], number[named].astype(np.float64), shares[named], float(number.sum()), float(wanted.sum()) / UNIT
    )
