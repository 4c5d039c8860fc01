"""Which wanted images an archive has an answer for, though not under that very address or as a picture, so that none is
asked for.

In: addresses of candidates, what the archive holds beside pictures (HELD), and the pictures taken from it (IMAGES).
Out: rows of the image store for candidates that have none: those of a picture whose address is another spelling, else
the reason why the archive's answer is no picture.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.hashing import hash64
from pipeline.read.archive_items import REDIRECTS
from pipeline.read.tables import Held
from pipeline.read.urls import spelling
from pipeline.tables.schema import IMAGES
from webimagetext.foreign import valid_values

__all__ = ["HELD", "answers", "by_target", "held_table", "redirected", "redirects"]

HELD = pa.schema([pa.field(name, pa.string(), nullable=False) for name in Held._fields])


def held_table(rows: Iterable[Held]) -> pa.Table:
    """The rows, each address and reason once, as a table of schema HELD."""
    chosen = {(row.url, row.reason): row for row in rows if row.url}
    return pa.Table.from_pylist([valid_values(row._asdict()) for row in chosen.values()], schema=HELD)


def _redirects(held: pa.RecordBatch | pa.Table) -> pa.RecordBatch | pa.Table:
    """The rows of HELD that are redirects with a target."""
    leads = pc.is_in(held.column("reason"), value_set=pa.array([f"http_{status}" for status in REDIRECTS]))
    return held.filter(pc.and_(leads, pc.not_equal(held.column("detail"), "")))


def by_target(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Keys redirects of HELD by the address that they lead to, as by_address keys that address itself."""
    return np.array([hash64(spelling(url)) for url in batch.column("detail").to_pylist()], dtype=np.uint64)


def redirects(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    """The redirects of a batch of HELD, where it has any."""
    found = _redirects(batch)
    return [found] if found.num_rows else []


def _pictures(*tables: pa.Table) -> dict[str, dict[str, object]]:
    """The rows of IMAGES that are pictures by their address's spelling, the first by table and address."""
    found: dict[str, dict[str, object]] = {}
    for table in tables:
        for row in table.filter(pc.equal(table.column("status"), "success")).sort_by("url").to_pylist():
            found.setdefault(spelling(row["url"]), row)
    return found


def redirected(held: pa.Table, images: pa.Table) -> pa.Table:
    """Rows of schema IMAGES, in order of address, for redirects of HELD that lead to a picture of ``images``."""
    pictures = _pictures(images)
    leads = {row["url"]: spelling(row["detail"]) for row in _redirects(held).sort_by("detail").to_pylist()}
    found = [{**pictures[target], "url": url} for url, target in sorted(leads.items()) if target in pictures]
    return pa.Table.from_pylist(found, schema=IMAGES)


def answers(wanted: pa.Table, held: pa.Table, images: pa.Table, led: pa.Table) -> pa.Table:
    """Rows of schema IMAGES, in order of address, for the ``wanted`` addresses that ``images`` does not have and the
    archive answers. Of several answers a picture is taken before a reason, and the first by address or reason among
    equals."""
    pictures = _pictures(images, led)
    reasons: dict[str, dict[str, str]] = {}
    for row in held.sort_by([("reason", "ascending"), ("url", "ascending"), ("detail", "ascending")]).to_pylist():
        reasons.setdefault(spelling(row["url"]), row)
    there = set(images.column("url").to_pylist())
    found: list[dict[str, object]] = []
    for url in sorted(set(wanted.column("url").to_pylist()) - there):
        address = spelling(url)
        if address in pictures:
            found.append({**pictures[address], "url": url})
        elif address in reasons:
            why = reasons[address]
            found.append({"url": url, "status": why["reason"], "error_message": why["detail"] or None})
    return pa.Table.from_pylist(found, schema=IMAGES)
