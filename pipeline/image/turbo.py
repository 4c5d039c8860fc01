"""JPEG decoding at any eighth of the size, by libjpeg-turbo through the simplejpeg package, which need not be installed.

In: a JPEG's bytes and the size wanted. Out: the picture at the smallest scale that is still at least that large. Pillow has
the halves alone, so that a picture of 1.9 times the size wanted is decoded whole and costs more to scale.
"""

import functools
from typing import Any

import numpy as np
from PIL import Image

from webimagetext.errors import UserError

__all__ = ["decode_scaled"]

_COLOURS = {"L": "GRAY", "RGB": "RGB"}


@functools.cache
def _simplejpeg() -> Any:
    try:
        import simplejpeg
    except ImportError:
        raise UserError("image: decoder turbo needs the package simplejpeg", "pip install simplejpeg") from None
    return simplejpeg


def decode_scaled(data: bytes, mode: str, size: tuple[int, int]) -> Image.Image | None:
    """The picture in ``mode`` at no less than ``size``; None for what only Pillow reads (other modes, slight damage).

    Raises UserError where simplejpeg is not installed.
    """
    decoder = _simplejpeg()
    if mode not in _COLOURS:
        return None
    try:
        pixels = decoder.decode_jpeg(data, _COLOURS[mode], min_width=size[0], min_height=size[1], min_factor=1)
    except ValueError:
        return None
    return Image.fromarray(np.squeeze(pixels))
