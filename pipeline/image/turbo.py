"""Faster JPEG decoding and scaling, with the packages simplejpeg and opencv-python-headless, which need not be
installed.

In: a JPEG's bytes and the size wanted. Out: the picture at that size. libjpeg-turbo decodes at a half, a quarter or an
eighth of the size, as Pillow has it do; OpenCV does the rest with vector instructions. At the other eighths it would be
quicker still, at the cost of 4 dB (``python -m benchmarks decoder``).
"""

import functools
import importlib.util
from typing import Any

import numpy as np
from PIL import Image

from webimagetext.extras import needed_by

__all__ = ["decode_scaled", "is_installed"]

_COLOURS = {"L": "GRAY", "RGB": "RGB"}
_LITTLE = 1.5  # up to this factor two neighbouring samples are enough
_DOUBLE = 2.0  # up to this one twice the size wanted is an enlargement; beyond it, all samples of the area count


@functools.cache
def _libraries() -> tuple[Any, Any]:
    with needed_by("image: decoder turbo"):
        import cv2
        import simplejpeg
    cv2.setNumThreads(1)  # the fetcher has its own threads
    return simplejpeg, cv2


def is_installed() -> bool:
    """Whether both packages are there."""
    return all(importlib.util.find_spec(name) for name in ("simplejpeg", "cv2"))


def decode_scaled(
    data: bytes, mode: str, whole: tuple[int, int], size: tuple[int, int], *, resize: bool = True
) -> Image.Image | None:
    """The picture, of ``whole`` pixels, in ``mode`` at ``size`` or, if that would mean enlarging, at its own; None for
    what only Pillow reads. Without ``resize`` it comes at the fraction of its size that is next above.

    Raises UserError where the packages are not installed.
    """
    simplejpeg, cv2 = _libraries()
    if mode not in _COLOURS:
        return None
    width, height = _fraction(whole, size)
    try:
        pixels = simplejpeg.decode_jpeg(data, _COLOURS[mode], min_width=width, min_height=height, min_factor=1)
    except ValueError:
        return None  # damage that Pillow may pass over
    height, width = pixels.shape[:2]
    if resize and (width, height) != size and width >= size[0] and height >= size[1]:
        factor = max(width / size[0], height / size[1])
        if _LITTLE < factor <= _DOUBLE:
            # Halving is so quick that both steps take half the time of areas of odd sizes, and come nearer by 3 dB.
            pixels = cv2.resize(pixels, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_CUBIC)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR if factor <= _LITTLE else cv2.INTER_AREA)
    return Image.fromarray(np.squeeze(pixels))


def _fraction(whole: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """The least of ``whole`` and its half, quarter and eighth that is not below ``size``."""
    for part in (8, 4, 2):
        width, height = (-(-pixels // part) for pixels in whole)
        if width >= size[0] and height >= size[1]:
            return width, height
    return whole
