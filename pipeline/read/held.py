"""Which wanted images an archive has an answer for, though not under that very address or as a picture, so that none is
asked for.

In: addresses of candidates, what the archive holds beside pictures (HELD), and the pictures taken from it (IMAGES).
Out: rows of the image store for candidates that have none: those of a picture whose address is another spelling, else
the reason why the archive's answer is no picture.
"""

from collections.abc import Iterable

import pyarrow as pa

from pipeline.read.tables import Held
from pipeline.read.urls import spelling
from pipeline.tables.schema import IMAGES
from webimagetext.foreign import valid_values

__all__ = ["HELD", "answers", "held_table"]

HELD = pa.schema([pa.field(name, pa.string(), nullable=False) for name in Held._fields])


def held_table(rows: Iterable[Held]) -> pa.Table:
    """The rows, each address and reason once, as a table of schema HELD."""
    chosen = {(row.url, row.reason): row for row in rows if row.url}
    return pa.Table.from_pylist([valid_values(row._asdict()) for row in chosen.values()], schema=HELD)


def answers(wanted: pa.Table, held: pa.Table, images: pa.Table) -> pa.Table:
    """Rows of schema IMAGES, in order of address, for the ``wanted`` addresses that ``images`` does not have and the
    archive answers. Of several answers a picture is taken before a reason, and the first by address or reason among
    equals."""
    pictures: dict[str, dict[str, object]] = {}
    for row in images.sort_by("url").to_pylist():
        if row["status"] == "success":
            pictures.setdefault(spelling(row["url"]), row)
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
