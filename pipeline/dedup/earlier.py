"""Candidates that an earlier run has already: found by address, so that nothing is fetched to learn it.

In: candidates, and the addresses and keys in the shards of earlier runs, gathered by address. Out: as a rule gives
them, per row null or a reason: ``earlier_pair`` for the same address and caption, ``earlier_url`` for the same address
with another caption.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.hashing import from_hex, hash64
from pipeline.read.urls import spelling

__all__ = ["EARLIER_PAIRS", "EarlierPair", "by_address", "earlier_pairs"]

UInt64 = npt.NDArray[np.uint64]

EARLIER_PAIRS = pa.schema(
    [
        pa.field("address", pa.uint64(), nullable=False),  # hash of the image's canonical URL
        pa.field("pair_id", pa.uint64(), nullable=False),
    ]
)


def by_address(batch: pa.RecordBatch) -> UInt64:
    """Keys rows by their image's address in its canonical spelling; rows of EARLIER_PAIRS by the same."""
    if "address" in batch.schema.names:
        addresses: UInt64 = batch.column("address").to_numpy()
        return addresses
    return np.array([hash64(spelling(url)) for url in batch.column("url").to_pylist()], dtype=np.uint64)


def earlier_pairs(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of shards (url and key) as EARLIER_PAIRS."""
    pairs = from_hex(batch.column("key"))
    return pa.RecordBatch.from_arrays([pa.array(by_address(batch)), pa.array(pairs)], schema=EARLIER_PAIRS)


class EarlierPair:
    """Drops the rows whose address is among ``known`` (EARLIER_PAIRS)."""

    name = "earlier_pair"

    def __init__(self, known: pa.Table) -> None:
        self._addresses, self._pairs = known.column("address").to_numpy(), known.column("pair_id").to_numpy()

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        same_url = np.isin(by_address(batch), self._addresses)
        same_pair = np.isin(batch.column("pair_id").to_numpy(), self._pairs)
        reasons = np.where(same_pair, "earlier_pair", "earlier_url")
        return pa.array(reasons, pa.string(), mask=~(same_url | same_pair)), {}
