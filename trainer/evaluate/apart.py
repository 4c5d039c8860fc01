"""How far the pictures of an evaluation are from those that the model was trained on, by the perceptual hashes in the
shards: no picture is decoded.

In: hashes of both (the field ``phash`` of KEY.json, the column of the table beside a tar). Out: the share of evaluated
pictures that have a near one among those trained on, and how many have their nearest at each distance. A recall on
pictures that the model has seen says little of what it has learnt.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.data.sources import Library, Shard
from webimagetext.errors import UserError
from webimagetext.files import exists, open_input
from webimagetext.parquet import UNREADABLE, open_parquet, read_parquet
from webimagetext.progress import Progress

__all__ = ["apart", "hashes_in", "hashes_of", "render"]

UInt64 = npt.NDArray[np.uint64]
NEAR = 4  # bits: what packaging takes for near, unless told otherwise
RANGES = ((0, 0), (1, 4), (5, 8), (9, 12), (13, 16), (17, 64))
_CHUNK = 1 << 22  # comparisons at once
_HASH = re.compile(r"[0-9a-f]{16}")


def hashes_of(values: Iterable[Any]) -> UInt64:
    """The hashes among ``values``, texts of 16 hexadecimal digits; others are left out."""
    digits = "".join(value for value in values if isinstance(value, str) and _HASH.fullmatch(value))
    return np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64)


def hashes_in(patterns: Sequence[str]) -> tuple[UInt64, int]:
    """The hashes of the samples in shards, and how many samples there are. Raises UserError where there are none."""
    library = Library()
    try:
        shards = library.find(tuple(patterns))
        found = []
        with Progress("hashes", "shards", len(shards)) as bar:
            for shard in shards:
                found.append(hashes_of(_values(library, shard)))
                bar.advance()
        return np.concatenate(found), sum(shard.size for shard in shards)
    finally:
        library.close()


def _values(library: Library, shard: Shard) -> list[Any]:
    """What is said of each sample's hash: by the table, which is small, else sample by sample."""
    table = shard.url if shard.is_parquet else f"{shard.url.removesuffix('.tar')}.parquet"
    if exists(table):
        with open_input(table) as stream:
            try:
                if "phash" in open_parquet(stream).schema_arrow.names:
                    stream.seek(0)
                    return list(read_parquet(stream, ["phash"]).column("phash").to_pylist())
            except UNREADABLE as error:
                words = " ".join(str(error).split())[:200]
                raise UserError(f"{table}: is damaged: {words}", "get it again, or leave out --train-data") from None
    if shard.is_parquet:
        return []
    with library.lent(shard) as reader:
        return [reader.read(number, True)[2].get("phash") for number in range(len(reader))]


def apart(evaluated: UInt64, trained: UInt64, without: int) -> dict[str, Any]:
    """The figures: ``least_distances`` counts pictures by the bits to the nearest of those trained on, ``without`` is
    how many have no hash. Every hash is compared with every one: a billion pairs take some seconds."""
    counts, known = np.zeros(65, np.int64), np.unique(trained)
    own, repeated = np.unique(evaluated, return_counts=True)
    if len(known):
        step = max(1, _CHUNK // len(known))
        for start in range(0, len(own), step):
            part = own[start : start + step]
            least = np.full(len(part), 64, np.uint8)
            for first in range(0, len(known), _CHUNK):
                differing = np.bitwise_count(part[:, None] ^ known[None, first : first + _CHUNK])
                least = np.minimum(least, differing.min(axis=1))
            np.add.at(counts, least, repeated[start : start + step])
    total, near = int(counts.sum()), int(counts[: NEAR + 1].sum())
    return {
        "pictures": total,
        "trained_on": len(trained),
        "without_hash": without,
        "near_bits": NEAR,
        "near": near,
        "near_share": near / total if total else None,
        "median_distance": int(np.searchsorted(np.cumsum(counts), (total + 1) // 2)) if total else None,
        "least_distances": {str(bits): int(count) for bits, count in enumerate(counts) if count},
    }


def render(figures: dict[str, Any]) -> str:
    """The figures in two lines for people."""
    if not figures["pictures"]:
        return "how far these pictures are from those trained on is not known: no hashes on both sides"
    counts = {int(bits): count for bits, count in figures["least_distances"].items()}
    spread = [
        f"{_label(first, last)}: {sum(count for bits, count in counts.items() if first <= bits <= last):,}"
        for first, last in RANGES
    ]
    lacking = f", {figures['without_hash']:,} have no hash" if figures["without_hash"] else ""
    return (
        f"{figures['near']:,} of {figures['pictures']:,} pictures ({100 * figures['near_share']:.1f} %) are near "
        f"one of {figures['trained_on']:,} trained on (within {figures['near_bits']} bits of 64){lacking}\n"
        f"bits to the nearest: {', '.join(spread)}; median {figures['median_distance']}"
    )


def _label(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} or more" if last == 64 else f"{first} to {last}"
