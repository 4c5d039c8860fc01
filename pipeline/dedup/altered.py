"""Altered copies of a picture: mirrored, cropped by up to a tenth, framed, marked. Found by joins on short keys, and
each one verified on the pixels before it counts.

In: sketches (pipeline/image/hashes.py), 32 x 32 grey levels of each picture. Out: the pairs of pictures of which one is
an altered copy of the other. Three steps, each dearer and stricter:

1. Views. A picture has one view of its own and 72 of its windows: 36 cuts of 90 to 100 % of each side, as they are and
   mirrored. A view's key is 30 bits, the signs of its lowest frequencies (type II cosine transform; to mirror is to
   turn the signs of the odd ones). A crop's own view is near to the view of the window that it was cut from; where they
   differ, it is in bits whose frequencies are weak. So the own view is told under 64 keys, its six weakest bits either
   way, and equal keys bring two pictures together: no comparison of all with all.
2. Codes. Each view goes with a code, the signs of its 64 next frequencies. More than 20 other bits, and the pair is
   dropped where the keys met.
3. Proof. The window is sought anew on the sketches, in steps of a hundredth of a side around the one that was found,
   and the pictures' 484 lowest frequencies there, each weighted so that fine detail counts as much as broad shapes,
   must correlate by 0.82, without the rims of both, 3 % of a side.

All sums of the keys are of whole numbers, exact in float64, so no processor or library gives another key.
"""

import base64
import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.dedup.near import distances
from pipeline.image.hashes import SKETCH_SIDE

__all__ = [
    "KEYS",
    "OWN",
    "AlteredIndex",
    "Views",
    "pixels_of",
    "proved",
    "views_of",
]

UInt64 = npt.NDArray[np.uint64]
Int64 = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

OWN = 255  # the number of a view that is of the whole picture; windows have 0 to 71
_SPANS = ((1.0, 0.0), (0.95, 0.0), (0.95, 0.05), (0.9, 0.0), (0.9, 0.05), (0.9, 0.1))  # of a side: share, begin
_WINDOWS = len(_SPANS) ** 2
_VIEW, _PROOF = 14, 22  # frequencies a side of a view, and of the proof
_KEY_BITS, _CODE_BITS, _WEAK_BITS = 30, 64, 6
KEYS = 2 * _WINDOWS + (1 << _WEAK_BITS)  # rows of a picture
_CODE_DISTANCE = 20
_ALIKE = 0.82
_RIM = 0.03  # of a side, not compared: there a frame, or the ground of a turned picture, shines through
_SCALE = 1 << 14
_FAINT = 0.5  # grey levels: a picture with less in its lowest frequencies is blank, and like every other blank one
_BATCH = 256  # pictures at once


def _cosines(share: float, begin: float, count: int) -> Float:
    """The first ``count`` cosines over a window of a side, as sums over the sketch's pixels: (count, SKETCH_SIDE)."""
    fine = 16
    places = ((np.arange(SKETCH_SIDE * fine) + 0.5) / (SKETCH_SIDE * fine) - begin) / share
    inside = (places >= 0) & (places < 1)
    waves = np.where(inside, np.cos(np.pi * np.arange(count)[:, None] * places), 0.0)
    return np.asarray(waves.reshape(count, SKETCH_SIDE, fine).mean(axis=2) / share)


_AXES = np.round(np.stack([_cosines(share, begin, _VIEW) for share, begin in _SPANS]) * _SCALE).reshape(-1, SKETCH_SIDE)
_RANKED = sorted(
    ((row, column) for row in range(_VIEW) for column in range(_VIEW) if 0 < row + column < _VIEW),
    key=lambda place: (place[0] ** 2 + place[1] ** 2, place),
)
_ROWS, _COLUMNS = (np.array(side[: _KEY_BITS + _CODE_BITS]) for side in zip(*_RANKED, strict=True))
_MIRROR = np.where(_COLUMNS % 2, -1.0, 1.0)
_UNIT = (_SCALE * SKETCH_SIDE) ** 2  # of a frequency, for one grey level
_WEIGHTS = np.sqrt(np.add.outer(np.arange(_PROOF) ** 2, np.arange(_PROOF) ** 2)) ** 1.5
_PROOF_MIRROR = np.where(np.arange(_PROOF) % 2, -1.0, 1.0)


def pixels_of(sketches: pa.Array | pa.ChunkedArray) -> tuple[Float, Int64]:
    """The pictures of a column of sketches, (n, 32, 32), and their rows; those that are null or no sketches are left
    out."""
    size, rows, found = SKETCH_SIDE**2, [], []
    for row, text in enumerate(sketches.to_pylist()):
        try:
            data = base64.b64decode(text or "")
        except ValueError:
            continue
        if len(data) == size:
            rows.append(row)
            found.append(data)
    pixels = np.frombuffer(b"".join(found), np.uint8).reshape(-1, SKETCH_SIDE, SKETCH_SIDE)
    return pixels.astype(np.float64), np.array(rows, dtype=np.int64)


class Views:
    """The views of n pictures: ``own_keys`` (n, 64), ``own_codes`` (n,), ``keys`` and ``codes`` of the windows
    (n, 72), and which are ``plain``: too blank to be told from others, whose keys mean nothing."""

    def __init__(self, own_keys: UInt64, own_codes: UInt64, keys: UInt64, codes: UInt64, plain: Mask) -> None:
        self.own_keys, self.own_codes, self.keys, self.codes, self.plain = own_keys, own_codes, keys, codes, plain


def views_of(pixels: Float) -> Views:
    """The views of pictures (n, 32, 32), grey levels."""
    parts = [_views(pixels[start : start + _BATCH]) for start in range(0, max(1, len(pixels)), _BATCH)]
    return Views(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _views(pixels: Float) -> tuple[UInt64, UInt64, UInt64, UInt64, Mask]:
    count = len(_SPANS)
    waves = (_AXES @ pixels @ _AXES.T).reshape(-1, count, _VIEW, count, _VIEW).transpose(0, 1, 3, 2, 4)
    chosen = waves[..., _ROWS, _COLUMNS].reshape(-1, _WINDOWS, len(_ROWS))
    both = np.concatenate([chosen, chosen * _MIRROR], axis=1) > 0
    own = chosen[:, 0, :_KEY_BITS]
    weak = np.argsort(np.abs(own), axis=1, kind="stable")[:, :_WEAK_BITS].astype(np.uint64)
    either = np.zeros((len(own), 1), np.uint64)
    for bit in (np.uint64(1) << weak).T:
        either = np.concatenate([either, either ^ bit[:, None]], axis=1)
    own_keys = _packed(own > 0)[:, None] ^ either
    plain = np.sqrt((own * own).mean(axis=1)) < _FAINT * _UNIT
    codes = _packed(both[:, :, _KEY_BITS:])
    return own_keys, codes[:, 0], _packed(both[:, :, :_KEY_BITS]), codes, plain


def _packed(bits: Mask) -> UInt64:
    """The bits of the last axis as one number each."""
    powers = np.uint64(1) << np.arange(bits.shape[-1], dtype=np.uint64)
    numbers: UInt64 = np.where(bits, powers, np.uint64(0)).sum(axis=-1, dtype=np.uint64)
    return numbers


def near_codes(apart: npt.NDArray[np.integer[Any]]) -> Mask:
    """Whether codes that differ in so many bits (dedup/near.py) are near enough for a proof to be tried."""
    return np.asarray(apart <= _CODE_DISTANCE)


def proved(whole: Float, other: Float, windows: npt.NDArray[np.integer[Any]]) -> Float:
    """How well each picture of ``whole`` (n, 32, 32) agrees with the ``windows`` (n,) of the pictures ``other``: the
    best correlation (-1 to 1) around that window."""
    return np.array([_agreement(*row) for row in zip(whole, other, windows.tolist(), strict=True)], dtype=np.float64)


def is_proof(agreement: Float) -> Mask:
    """Whether an agreement shows that one picture is a copy of the other."""
    return np.asarray(agreement >= _ALIKE)


def _agreement(whole: Float, other: Float, window: int) -> float:
    wanted = _grid(1.0, 0.0, 0.0)[4] @ whole @ _grid(1.0, 0.0, 0.0)[4].T * _WEIGHTS
    if window >= _WINDOWS:
        wanted = wanted * _PROOF_MIRROR
    size = float(np.linalg.norm(wanted))
    if not size:
        return -1.0
    down, across = (_SPANS[place] for place in divmod(window % _WINDOWS, len(_SPANS)))
    best = -1.0
    for step in (0.02, 0.01):
        best, down, across = _sought(wanted / size, other, down, across, step)
    return best


def _sought(
    wanted: Float, other: Float, down: tuple[float, float], across: tuple[float, float], step: float
) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """The best correlation of windows of ``other`` one ``step`` around one, and where they lie."""
    rows, columns = _grid(*down, step), _grid(*across, step)
    waves = rows.reshape(-1, SKETCH_SIDE) @ other @ columns.reshape(-1, SKETCH_SIDE).T
    waves = waves.reshape(len(rows), _PROOF, len(columns), _PROOF).transpose(0, 2, 1, 3) * _WEIGHTS
    sizes = np.sqrt((waves * waves).sum(axis=(2, 3)))
    agreement = np.where(sizes > 0, np.tensordot(waves, wanted, 2) / np.where(sizes > 0, sizes, 1), -1.0)
    place = int(agreement.argmax())
    first, second = divmod(place, len(columns))
    return float(agreement.flat[place]), _around(*down, step)[first], _around(*across, step)[second]


def _around(share: float, begin: float, step: float) -> list[tuple[float, float]]:
    return [
        (round(share + wider, 4), round(begin + further, 4))
        for wider in (-step, 0.0, step)
        for further in (-step, 0.0, step)
    ]


@functools.lru_cache(maxsize=4096)
def _grid(share: float, begin: float, step: float) -> Float:
    """The cosines of nine windows of a side, without their rims: (9, 22, 32)."""
    inner = [(wide * (1 - 2 * _RIM), first + wide * _RIM) for wide, first in _around(share, begin, step)]
    return np.stack([_cosines(*span, _PROOF) for span in inner])


class AlteredIndex:
    """Pictures by their views, to find whether others are altered copies of them. Holds some 4 KB a
    picture."""

    def __init__(self, pixels: Float) -> None:
        views = views_of(pixels)
        self._pixels, rows = pixels.astype(np.uint8), np.flatnonzero(~views.plain)
        self._own = _Sorted(
            views.own_keys[rows], np.repeat(views.own_codes[rows, None], views.own_keys.shape[1], 1), rows
        )
        self._windows = _Sorted(views.keys[rows], views.codes[rows], rows)

    def find(self, pixels: Float) -> Int64:
        """For each picture (n, 32, 32) the index of the best of those that it is an altered copy of, or that are
        altered copies of it; -1 where there is none."""
        result = np.full(len(pixels), -1, dtype=np.int64)
        for start in range(0, len(pixels), _BATCH):
            result[start : start + _BATCH] = self._found(pixels[start : start + _BATCH])
        return result

    def _found(self, pixels: Float) -> Int64:
        views = views_of(pixels)
        codes = np.repeat(views.own_codes[:, None], views.own_keys.shape[1], 1)
        asked = [self._windows.meet(views.own_keys, codes, False), self._own.meet(views.keys, views.codes, True)]
        best, result = np.full(len(pixels), -1.0), np.full(len(pixels), -1, dtype=np.int64)
        for ours, theirs, windows, of_ours in zip(
            *(np.concatenate(side) for side in zip(*asked, strict=True)), strict=True
        ):
            if views.plain[ours]:
                continue
            whole, other = pixels[ours], self._pixels[theirs].astype(np.float64)
            agreement = _agreement(other, whole, int(windows)) if of_ours else _agreement(whole, other, int(windows))
            if agreement >= _ALIKE and agreement > best[ours]:
                best[ours], result[ours] = agreement, theirs
        return result


class _Sorted:
    """Views by key: for those of other pictures, which are near."""

    def __init__(self, keys: UInt64, codes: UInt64, rows: Int64) -> None:
        flat = keys.reshape(-1)
        order = np.argsort(flat, kind="stable")
        self._order = order.astype(np.uint32 if len(order) < 1 << 32 else np.int64)
        self._keys, self._codes = flat[order], codes.reshape(-1)
        self._rows, self._width = rows, keys.shape[1]

    def meet(self, keys: UInt64, codes: UInt64, windows_are_ours: bool) -> tuple[Int64, Int64, Int64, Mask]:
        """For each pair of pictures that may be copies the rows of both, the window with the nearest code, and whose
        it is."""
        flat = keys.reshape(-1)
        first = np.searchsorted(self._keys, flat, "left")
        count = np.searchsorted(self._keys, flat, "right") - first
        asked = np.repeat(np.arange(len(flat)), count)
        steps = np.arange(len(asked)) - np.repeat(np.cumsum(count) - count, count)
        held = self._order[np.repeat(first, count) + steps].astype(np.int64)
        apart = distances(codes.reshape(-1)[asked], self._codes[held]).astype(np.int64)
        near = near_codes(apart)
        asked, held, apart = asked[near], held[near], apart[near]
        ours, theirs = asked // keys.shape[1], self._rows[held // self._width]
        windows = asked % keys.shape[1] if windows_are_ours else held % self._width
        chosen = first_of_each(ours, theirs, order=(windows, apart))
        return ours[chosen], theirs[chosen], windows[chosen], np.full(len(chosen), windows_are_ours)


def first_of_each(some: Any, others: Any, order: tuple[Any, ...]) -> Int64:
    """The places of the first row of each pair (some, other), by ``order`` as in numpy.lexsort."""
    ranked = np.lexsort((*order, others, some))
    new = np.ones(len(ranked), dtype=bool)
    new[1:] = (some[ranked][1:] != some[ranked][:-1]) | (others[ranked][1:] != others[ranked][:-1])
    return np.asarray(ranked[new])
