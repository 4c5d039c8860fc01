"""What is kept of a picture's looks: a sketch of it, a perceptual hash, near for near pictures, and the spread of its
grey levels.

In: a decoded grey picture. Out: the sketch, 32 x 32 grey levels, from which altered copies are told later without the
picture (pipeline/dedup/altered.py); the 64-bit hash by discrete cosine transform (the method of Zauner's thesis of
2010: 32 x 32 grey pixels, the 8 x 8 lowest frequencies without the constant row and column, one bit each for above the
median), and the standard deviation of the grey levels. Integer arithmetic, so that no processor or library gives
another hash.
"""

import base64
import math
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["SKETCH_SIDE", "grey_spread", "perceptual_hash", "sketch", "sketch_text"]

SKETCH_SIDE = 32
_SCALE = 1 << 14
# Rows 1..8 of the type II cosine transform of 32 points, as rounded integers.
_COSINES = np.array(
    [
        [round(_SCALE * math.cos(math.pi * k * (2 * x + 1) / (2 * SKETCH_SIDE))) for x in range(SKETCH_SIDE)]
        for k in range(1, 9)
    ],
    dtype=np.int64,
)
_LEVELS: Any = np.arange(256, dtype=np.int64)


def sketch(grey: Image.Image) -> Image.Image:
    """The sketch of a picture in mode L."""
    return grey.resize((SKETCH_SIDE, SKETCH_SIDE), Image.Resampling.BOX, reducing_gap=2.0)


def sketch_text(small: Image.Image) -> str:
    """A sketch as tables hold it: its 1,024 grey levels, row by row, in base64."""
    return base64.b64encode(small.tobytes()).decode("ascii")


def perceptual_hash(small: Image.Image) -> int:
    """The 64-bit hash of a sketch; 0 for a blank one."""
    pixels = np.asarray(small, dtype=np.int64)
    frequencies = (_COSINES @ pixels @ _COSINES.T).ravel()
    ordered = np.sort(frequencies)
    above = 2 * frequencies > ordered[31] + ordered[32]
    return int.from_bytes(np.packbits(above).tobytes(), "big")


def grey_spread(grey: Image.Image) -> float:
    """The standard deviation of the grey levels (0 to 255) of a picture in mode L."""
    counts = np.array(grey.histogram(), dtype=np.int64)
    total = int(counts.sum())
    mean = int(counts @ _LEVELS) / total
    return math.sqrt(max(0.0, int(counts @ (_LEVELS * _LEVELS)) / total - mean * mean))
