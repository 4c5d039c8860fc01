"""Altered copies among all pictures of a run: the rows that bring them together, and what follows of a pair.

In: pictures with their sketches (SKETCHED). Views of them (VIEWS) are gathered by key; pictures whose views meet are
PROPOSED, each pair with the window that agrees best; proved on the sketches of both they are COPIES. From these come
verdicts on what goes (dedup/pictures.py) and links of the hold-out (dedup/holdout.py). Neither order nor the number of
workers changes the answer.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.dedup.altered import OWN, first_of_each, is_proof, near_codes, pixels_of, proved, views_of
from pipeline.dedup.holdout import LINKS
from pipeline.dedup.near import distances
from pipeline.dedup.pictures import NEAR, NEAR_EARLIER, VERDICTS
from pipeline.hashing import from_hex

__all__ = [
    "COPIES",
    "PROPOSED",
    "SKETCHED",
    "VIEWS",
    "copies",
    "links_of_copies",
    "proposed",
    "sketched",
    "verdicts_of_copies",
    "views",
    "with_sketches",
]

UInt64 = npt.NDArray[np.uint64]
Int64 = npt.NDArray[np.int64]
_CHUNK = 1 << 22  # comparisons at once

_ABOUT = [
    pa.field("content", pa.uint64(), nullable=False),  # the first 64 bits of the SHA-256 of the bytes as received
    pa.field("pixels", pa.int64(), nullable=False),  # of the picture as received
    pa.field("earlier", pa.bool_(), nullable=False),  # of an earlier run; of the hold-out: drawn
]
SKETCHED = pa.schema([*_ABOUT, pa.field("sketch", pa.string(), nullable=False)])
VIEWS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("code", pa.uint64(), nullable=False),
        pa.field("window", pa.uint8(), nullable=False),  # 255: the picture's own view
        *_ABOUT,
    ]
)
_PAIR = [
    pa.field(f"{side}_{field.name}", field.type, nullable=False) for side in ("whole", "other") for field in _ABOUT
]
COPIES = pa.schema(_PAIR)
PROPOSED = pa.schema(
    [
        *_PAIR,
        pa.field("window", pa.uint8(), nullable=False),  # of the other picture, which the whole one may be
        pa.field("apart", pa.uint8(), nullable=False),  # bits in which the codes differ
        pa.field("sketch", pa.string()),  # of the whole picture, once it is known
    ]
)


def sketched(batch: pa.RecordBatch, earlier: bool) -> pa.RecordBatch:
    """The pictures of a batch (sha256, sketch and the size as received), each once: SKETCHED. Those without a sketch,
    as of shards of an earlier version, are left out."""
    if "sketch" not in batch.schema.names:
        return pa.RecordBatch.from_pylist([], schema=SKETCHED)
    batch = batch.filter(pc.and_(pc.is_valid(batch.column("sha256")), pc.is_valid(batch.column("sketch"))))
    contents, first = np.unique(from_hex(batch.column("sha256")), return_index=True)
    batch = batch.take(pa.array(first))
    sides = [pc.fill_null(batch.column(name), 0).cast(pa.int64()) for name in ("original_width", "original_height")]
    columns = [pa.array(contents), pc.multiply(*sides), pa.array(np.full(len(contents), earlier))]
    return pa.RecordBatch.from_arrays([*columns, batch.column("sketch")], schema=SKETCHED)


def views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The views of pictures (SKETCHED): VIEWS, 136 rows each, none of a blank one."""
    pixels, rows = pixels_of(batch.column("sketch"))
    found = views_of(pixels)
    told = np.flatnonzero(~found.plain)
    own, windows = found.own_keys.shape[1], found.keys.shape[1]
    keys = np.concatenate([found.own_keys, found.keys], axis=1)[told]
    codes = np.concatenate([np.repeat(found.own_codes[:, None], own, axis=1), found.codes], axis=1)[told]
    numbers = np.concatenate([np.full(own, OWN), np.arange(windows)]).astype(np.uint8)
    place = pa.array(np.repeat(rows[told], own + windows))
    columns = [pa.array(keys.reshape(-1)), pa.array(codes.reshape(-1)), pa.array(np.tile(numbers, len(told)))]
    about = [batch.column(field.name).take(place) for field in _ABOUT]
    return pa.RecordBatch.from_arrays([*columns, *about], schema=VIEWS)


def proposed(group: pa.Table) -> pa.RecordBatch:
    """The pairs of pictures among all rows of some keys (VIEWS, in any order) whose views are near: PROPOSED."""
    table = group.sort_by([("key", "ascending"), ("pixels", "descending"), ("content", "ascending")]).combine_chunks()
    keys, contents, windows = (table.column(name).to_numpy() for name in ("key", "content", "window"))
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.zeros(0, np.int64)
    several = np.minimum.reduceat(contents, starts) != np.maximum.reduceat(contents, starts) if len(keys) else starts
    stops = np.append(starts[1:], len(keys))
    found = [np.zeros((2, 0), np.int64)]
    codes, earlier = table.column("code").to_numpy(), table.column("earlier").to_numpy()
    for start, stop in zip(starts[several].tolist(), stops[several].tolist(), strict=True):
        own = windows[start:stop] == OWN
        if own.any() and not own.all():
            found.append(start + _met(codes[start:stop], own, earlier[start:stop]))
    wholes, others = np.concatenate(found, axis=1)
    differ = contents[wholes] != contents[others]
    wholes, others = wholes[differ], others[differ]
    apart = distances(codes[wholes], codes[others])
    return _nearest(table, wholes, others, apart)


def _nearest(table: pa.Table, wholes: Int64, others: Int64, apart: npt.NDArray[np.uint8]) -> pa.RecordBatch:
    """Rows of PROPOSED for places in a table of VIEWS, of each pair of pictures the one that agrees best."""
    contents, windows = table.column("content").to_numpy(), table.column("window").to_numpy()
    best = first_of_each(contents[wholes], contents[others], order=(windows[others], apart))
    sides = [pa.array(wholes[best]), pa.array(others[best])]
    pair = [table.column(field.name).take(side).combine_chunks() for side in sides for field in _ABOUT]
    about = [pa.array(windows[others[best]]), pa.array(apart[best]), pa.nulls(len(best), pa.string())]
    return pa.RecordBatch.from_arrays([*pair, *about], schema=PROPOSED)


def _met(codes: UInt64, own: npt.NDArray[np.bool_], earlier: npt.NDArray[np.bool_]) -> Int64:
    """The places, two rows, of own views and of windows with near codes, in the rows of one key, best pictures first.

    Of windows with equal codes the best picture stands for all, one of an earlier run and one of this. Of own views
    with equal codes each meets the nearest windows, and the best one meets all: so a key of a million copies of one
    picture costs no more than a sort.
    """
    wholes, windows = np.flatnonzero(own), np.flatnonzero(~own)
    first, of_node = _nodes(codes[wholes], earlier[wholes])
    heads, others = wholes[first], windows[_nodes(codes[windows], earlier[windows])[0]]
    found, step = [np.zeros((2, 0), np.int64)], max(1, _CHUNK // max(1, len(others)))
    nearest = np.full((2, len(heads)), -1)  # of this run and of an earlier one
    for start in range(0, len(heads), step):
        part = slice(start, start + step)
        apart = distances(codes[heads[part], None], codes[others][None, :])
        near = near_codes(apart)
        rows, columns = np.nonzero(near)
        found.append(np.stack([heads[part][rows], others[columns]]))
        apart = np.where(near, apart, OWN)
        for side in (0, 1):
            told = np.where(earlier[others] == bool(side), apart, OWN)
            least = told.argmin(axis=1)
            nearest[side, part] = np.where(told[np.arange(len(told)), least] < OWN, others[least], -1)
    for side in (0, 1):
        met = nearest[side][of_node]
        found.append(np.stack([wholes[met >= 0], met[met >= 0]]))
    return np.concatenate(found, axis=1)


def _nodes(codes: UInt64, earlier: npt.NDArray[np.bool_]) -> tuple[Int64, Int64]:
    """The first place of each code, of an earlier run and of this, and which of them each row is of."""
    both = np.stack([codes, earlier.astype(np.uint64)], axis=1)
    _, first, which = np.unique(both, axis=0, return_index=True, return_inverse=True)
    return first, which.reshape(-1)


def with_sketches(pairs: pa.Table, pictures: pa.Table) -> pa.RecordBatch:
    """Pairs (PROPOSED, all of one whole picture together), each once, with the sketch (SKETCHED) of the
    whole picture."""
    wholes, others = (pairs.column(name).to_numpy() for name in ("whole_content", "other_content"))
    windows, apart = (pairs.column(name).to_numpy() for name in ("window", "apart"))
    once = pairs.take(pa.array(first_of_each(wholes, others, order=(windows, apart)))).combine_chunks()
    sketches = _sketches_of(once.column("whole_content"), pictures)
    table = once.set_column(PROPOSED.get_field_index("sketch"), PROPOSED.field("sketch"), sketches)
    return _one_batch(table, PROPOSED)


def _sketches_of(contents: pa.ChunkedArray, pictures: pa.Table) -> pa.ChunkedArray:
    place = pc.index_in(contents, value_set=pictures.column("content").combine_chunks())
    return pictures.column("sketch").take(place)


def copies(pairs: pa.Table, pictures: pa.Table) -> pa.RecordBatch:
    """Those of the pairs (PROPOSED with sketches, all of one other picture together) that are proved: COPIES."""
    whole, _ = pixels_of(pairs.column("sketch"))
    other, _ = pixels_of(_sketches_of(pairs.column("other_content"), pictures))
    agreement = proved(whole, other, pairs.column("window").to_numpy())
    return _one_batch(pairs.filter(pa.array(is_proof(agreement))).select(COPIES.names), COPIES)


def _one_batch(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    columns = [table.column(field.name).combine_chunks().cast(field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def verdicts_of_copies(batch: pa.RecordBatch) -> pa.RecordBatch:
    """What goes of pairs of copies (COPIES): VERDICTS. Better is one of an earlier run, then more pixels, then the
    smaller content hash, as among near pictures."""
    whole, other = (
        [batch.column(f"{side}_{field.name}").to_numpy(zero_copy_only=False) for field in _ABOUT]
        for side in ("whole", "other")
    )
    better = _is_better(whole, other)
    content, _, earlier = (np.where(better, theirs, ours) for ours, theirs in zip(whole, other, strict=True))
    keeper, pixels, old = (np.where(better, ours, theirs) for ours, theirs in zip(whole, other, strict=True))
    goes = np.flatnonzero(~earlier)
    reasons = pa.array(np.where(old[goes], NEAR_EARLIER, NEAR), pa.string())
    columns = [pa.array(content[goes]), reasons, pa.array(keeper[goes]), pa.array(-pixels[goes])]
    return pa.RecordBatch.from_arrays(columns, schema=VERDICTS)


def _is_better(some: list[npt.NDArray[np.generic]], others: list[npt.NDArray[np.generic]]) -> npt.NDArray[np.bool_]:
    ranks = [
        list(zip((~side[2].astype(bool)).tolist(), (-side[1].astype(np.int64)).tolist(), side[0].tolist(), strict=True))
        for side in (some, others)
    ]
    return np.array([ours < theirs for ours, theirs in zip(*ranks, strict=True)], dtype=bool)


def links_of_copies(batch: pa.RecordBatch) -> pa.RecordBatch:
    """What pairs of copies (COPIES, those drawn as ``earlier``) tie together of the hold-out: LINKS."""
    whole, other = (batch.column(f"{side}_content").to_numpy() for side in ("whole", "other"))
    first, second = (
        batch.column(f"{side}_earlier").to_numpy(zero_copy_only=False).astype(bool) for side in ("whole", "other")
    )
    both, left, right = first & second, first & ~second, ~first & second
    contents = np.concatenate([whole[both], whole[left], other[right]])
    linked = np.concatenate([other[both], whole[left], other[right]])
    outside = np.arange(len(contents)) >= both.sum()
    return pa.RecordBatch.from_arrays([pa.array(contents), pa.array(linked), pa.array(outside)], schema=LINKS)
