"""From what a page or a record held to rows of the tables CANDIDATES and REJECTS: the same for every source.

In: pages with their consent, or single pairs. Out: :class:`Extracted`, a batch of candidates with the rejects found on
the way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from pipeline.hashing import pair_ids
from pipeline.net.config import HttpConfig
from pipeline.net.consent import Consent, decide, header_refusals, meta_refusals
from pipeline.read.pages import Page, Pair
from pipeline.read.urls import MAX_URL_LENGTH
from pipeline.tables.schema import CANDIDATES, REJECTS
from webimagetext.foreign import valid_values

__all__ = ["Body", "Extracted", "Held", "Rows", "page_consent"]

STAGE = "extract"


@dataclass(frozen=True)
class Body:
    """An image that came with its archive, ready for the image store without a request."""

    url: str
    content_type: str
    body: bytes
    consent: str
    consent_evidence: str


class Held(NamedTuple):
    """An address for which an archive holds an answer that is no usable picture."""

    url: str
    reason: str
    detail: str = ""


@dataclass
class Extracted:
    """A piece of a source's output: candidates (CANDIDATES), rejects (REJECTS), and where the source has them, image
    bodies and the addresses for which it holds something else."""

    candidates: pa.RecordBatch
    rejects: pa.RecordBatch
    bodies: list[Body] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)


class Rows:
    """Collects rows and hands them out as batches."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._candidates: list[tuple[Any, ...]] = []  # in the order of CANDIDATES
        self._rejects: list[tuple[Any, ...]] = []  # in the order of REJECTS
        self._bodies: list[Body] = []
        self._held: list[Held] = []
        self.body_bytes = 0

    def __len__(self) -> int:
        return len(self._candidates) + len(self._rejects)

    def add_page(self, page: Page, page_url: str, consent: Consent) -> None:
        """The pairs of a page, or, where the page refuses, the page as a reject; and its images that make no pair."""
        if not consent.allowed:
            self.reject(page_url, "page", f"refused_by_{consent.decision}", page_url, consent.detail)
            return
        for pair in page.pairs:
            self.add_pair(pair, page_url, page.language, consent.decision, consent.evidence)
        for address, reason in page.skipped:
            self.reject(address or page_url, "image", reason, address or None, page_url)

    def add_pair(
        self, pair: Pair, page_url: str | None, language: str, consent: str, evidence: str, columns: str | None = None
    ) -> None:
        """One pair; ``columns`` is JSON of what a list says besides."""
        self._candidates.append(
            (
                0,  # the pair's id, filled in for the whole batch
                pair.url,
                pair.caption,
                [{"kind": kind, "text": text} for kind, text in pair.texts],
                page_url,
                self._source,
                pair.width,
                pair.height,
                language or None,
                consent,
                evidence,
                columns,
            )
        )

    def add_body(self, body: Body) -> None:
        """An image body."""
        self._bodies.append(body)
        self.body_bytes += len(body.body)

    def hold(self, url: str, reason: str, detail: str = "") -> None:
        """An address that the archive answers with something that is no usable picture."""
        self._held.append(Held(url[:MAX_URL_LENGTH], reason, detail[:MAX_URL_LENGTH]))

    def reject(self, key: str, subject: str, reason: str, url: str | None, detail: str = "") -> None:
        """One row of the ledger."""
        key, detail = key[:MAX_URL_LENGTH], detail[:MAX_URL_LENGTH]
        self._rejects.append((key, subject, STAGE, reason, url and url[:MAX_URL_LENGTH], detail or None))

    def take(self) -> Extracted:
        """Everything collected since the last call, in the order it came."""
        extracted = Extracted(_candidates(self._candidates), _batch(self._rejects, REJECTS), self._bodies, self._held)
        self._held = []
        self._candidates, self._rejects, self._bodies, self.body_bytes = [], [], [], 0
        return extracted


def page_consent(
    page: Page, headers: Mapping[str, Sequence[str]], http: HttpConfig, looked_at: Sequence[str] = ()
) -> Consent:
    """The decision on a page from its headers and meta tags; ``looked_at`` is the evidence so far."""
    refusals = [*header_refusals(headers, http), *meta_refusals(page.metas, http)]
    return decide(refusals, [*looked_at, "meta: no refusal"] if not refusals else looked_at, http)


def _batch(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    try:
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    except UnicodeEncodeError:  # a lone surrogate, which JSON can carry and UTF-8 cannot
        return _batch(valid_values(rows), schema)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _candidates(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    batch = _batch(rows, CANDIDATES)
    ids = pa.array(pair_ids(batch.column("url"), batch.column("caption")), pa.uint64())
    return batch.set_column(0, CANDIDATES.field("pair_id"), ids)
