"""Pairs that show the same picture under the same caption: one of them says all.

In: JOINED rows in which the rows of a picture (by the SHA-256 of its bytes) stand together, sorted by (sha256, pair_id). Out: the
rows kept, the one with the least pair id of each picture and caption, and the ledger of the others.
"""

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.rules import ledger

__all__ = ["drop_repeats"]


def drop_repeats(table: pa.Table, stage: str = "package") -> tuple[pa.Table, list[pa.RecordBatch]]:
    """Keeps the first row of each (sha256, caption); the others are rejected as ``duplicate_picture``."""
    seen: set[tuple[str, str]] = set()
    keep = []
    for row in zip(table.column("sha256").to_pylist(), table.column("caption").to_pylist(), strict=True):
        keep.append(row not in seen)
        seen.add(row)
    mask = pa.array(keep, pa.bool_())
    repeated = table.filter(pc.invert(mask)).combine_chunks().to_batches()
    rejected = [ledger(batch, pa.repeat("duplicate_picture", batch.num_rows), stage) for batch in repeated]
    return table.filter(mask), rejected
