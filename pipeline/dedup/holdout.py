"""Which pictures are kept apart for evaluation: whole groups of near ones, so that none has a near picture among those
to train on.

A picture is drawn by a hash of the best picture it is near to, or of its own, so that an original and its variants go
together. Where near pictures make a chain, its ends may have been drawn differently: then all of the chain that was
drawn goes back to training. So nothing is lost, and what stays apart is near to nothing else. In: pictures (PICTURES),
those drawn marked as ``earlier``. Out: LINKS between the drawn ones, and at last the drawn ones that go back. Only the
drawn ones that have a link are ever held together.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.dedup.near import distances

__all__ = ["HELD", "LINKS", "links", "returned"]

UInt64 = npt.NDArray[np.uint64]
HELD = pa.schema([pa.field("content", pa.uint64(), nullable=False)])  # a picture, as in PICTURES
LINKS = pa.schema(
    [
        pa.field("content", pa.uint64(), nullable=False),  # a drawn picture
        pa.field("other", pa.uint64(), nullable=False),  # a drawn one of its group; itself where it has no other
        pa.field("outside", pa.bool_(), nullable=False),  # whether one that was not drawn is near to any of that group
    ]
)
_CHUNK = 1 << 22  # comparisons at once


def links(group: pa.Table, distance: int) -> pa.RecordBatch:
    """The groups of near drawn pictures among all rows of some keys (of PICTURES, in any order): LINKS from each to
    one of its group, for those that have another or something near outside."""
    table = group.sort_by([("key", "ascending"), ("phash", "ascending")]).combine_chunks()
    keys, hashes, contents = (table.column(name).to_numpy() for name in ("key", "phash", "content"))
    drawn = table.column("earlier").to_numpy()
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.zeros(0, np.int64)
    sizes = np.diff(np.append(starts, len(keys)))
    found = [(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.bool_))]
    for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        rows = slice(start, start + size)
        if drawn[rows].any():
            found.append(_links_of_key(hashes[rows], contents[rows], drawn[rows], distance))
    columns = [pa.array(np.concatenate(values)) for values in zip(*found, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=LINKS)


def _links_of_key(
    hashes: UInt64, contents: UInt64, drawn: npt.NDArray[np.bool_], distance: int
) -> tuple[UInt64, UInt64, npt.NDArray[np.bool_]]:
    """Equal hashes are one node, so that a key of a million equal pictures costs no more than one."""
    ours, which = np.unique(hashes[drawn], return_inverse=True)
    others = np.unique(hashes[~drawn])
    root, step = np.arange(len(ours)), max(1, _CHUNK // max(1, len(ours)))
    near = [_near(ours[start : start + step], ours, distance) for start in range(0, len(ours), step)]
    pairs = np.concatenate([places + np.array([[at * step], [0]]) for at, places in enumerate(near)], axis=1)
    root = _least(root, *pairs)
    outside = np.zeros(len(ours), np.bool_)
    for start in range(0, len(others), step):
        outside[_near(ours, others[start : start + step], distance)[0]] = True
    touched = np.zeros(len(ours), np.bool_)
    np.logical_or.at(touched, root, outside)
    # Of each group one picture stands for it.
    pictures = contents[drawn]
    first = np.full(len(ours), -1)
    first[root[which][::-1]] = np.arange(len(pictures))[::-1]
    other, out = pictures[first[root[which]]], touched[root[which]]
    told = out | (other != pictures)
    return pictures[told], other[told], out[told]


def _near(some: UInt64, others: UInt64, distance: int) -> npt.NDArray[np.int64]:
    """The places in ``some`` and in ``others`` of near hashes, as two rows."""
    return np.array(np.nonzero(distances(some[:, None], others[None, :]) <= distance))


def _least(labels: npt.NDArray[np.int64], first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> Any:
    """The least label within reach of each node, over edges between ``first`` and ``second``."""
    while True:
        before = labels.copy()
        np.minimum.at(labels, first, labels[second])
        np.minimum.at(labels, second, labels[first])
        labels = np.minimum(labels, labels[labels])
        if np.array_equal(labels, before):
            return labels


def returned(table: pa.Table) -> UInt64:
    """The drawn pictures that go back to training, ascending, by the links of all keys (LINKS)."""
    contents, others = (table.column(name).to_numpy() for name in ("content", "other"))
    nodes, places = np.unique(np.concatenate([contents, others]), return_inverse=True)
    first, second = places[: len(contents)], places[len(contents) :]
    root = _least(np.arange(len(nodes)), first, second)
    touched = np.zeros(len(nodes), np.bool_)
    touched[root[first[table.column("outside").to_numpy()]]] = True
    back: UInt64 = nodes[touched[root]]
    return back
