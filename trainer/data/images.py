"""From the bytes of a picture to a square of pixels: decode, resize where needed, crop, as uint8.

In: an image file's bytes and two uniform numbers. Out: (side, side, 3) uint8. Numbers become floats on the device that
computes, so that four times fewer bytes travel. For training, a picture whose shorter side is between the wanted side
and 1.3 times it is cropped as it is; any other is first resized to 8/7 of the side (256 pixels for 224), bicubic. For
evaluation the shorter side is resized to the wanted one and the middle cut, as published models are given
their pictures.
"""

import io
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from webimagetext.errors import is_out_of_files

try:
    import simplejpeg
except ImportError:  # an optional package: Pillow does the same
    simplejpeg = None

__all__ = ["BadImageError", "evaluated", "middle", "square", "squashed"]

Pixels = npt.NDArray[np.uint8]
MAX_PIXELS = 120_000_000
UNREDUCED = MAX_PIXELS  # no picture has so long a side, so that none is decoded at a smaller scale
CROP_AS_IS = 1.3
MARGIN = 8 / 7

Image.MAX_IMAGE_PIXELS = None  # our own limit is checked before anything is decoded


class BadImageError(Exception):
    """The bytes are no picture that can be used; the message says why."""


def _opened(data: bytes, least: int) -> Image.Image:
    """The picture as RGB, on white where it is transparent; a JPEG at a reduced scale of at least ``least`` pixels a
    side."""
    image: Image.Image = Image.open(io.BytesIO(data))
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImageError(f"{width} × {height} pixels")
    if isinstance(image, JpegImageFile):
        image.draft("RGB", (least * width // min(width, height), least * height // min(width, height)))
    if image.mode == "RGB":
        return image
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _jpeg(data: bytes, least: int) -> Pixels | None:
    """A JPEG decoded by libjpeg-turbo straight into an array, at a reduced scale of at least ``least`` pixels a side.

    The pixels are those that Pillow gives, a third sooner. None for anything it does not take: Pillow then decides.
    """
    if simplejpeg is None or data[:2] != b"\xff\xd8":
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        if space not in ("YCbCr", "RGB") or width * height > MAX_PIXELS:
            return None
        if min(width, height) < 2 * least:
            pixels: Pixels = simplejpeg.decode_jpeg(data)
        else:
            shrink = least / min(width, height)
            pixels = simplejpeg.decode_jpeg(data, min_height=int(height * shrink), min_width=int(width * shrink))
    except ValueError:
        return None
    return pixels


def middle(picture: Image.Image, side: int) -> Pixels:
    """The picture with its shorter side at ``side`` pixels, bicubic, and the middle square of that."""
    width, height = picture.size
    short = min(width, height)
    if short != side:
        picture = picture.resize((width * side // short, height * side // short), Image.Resampling.BICUBIC)
    left, top = (round((length - side) / 2) for length in picture.size)
    return np.asarray(picture.crop((left, top, left + side, top + side)))


def squashed(picture: Image.Image, side: int) -> Pixels:
    """The whole picture squeezed into a square, bicubic."""
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))


def square(
    data: bytes, side: int, across: float = 0.5, down: float = 0.5, crop: Literal["crop", "squash"] = "crop"
) -> Pixels:
    """Decodes ``data`` for training and cuts a square of ``side`` pixels, at the shares ``across`` and ``down`` of the
    room there is.

    0.5 and 0.5 is the middle. "squash" takes the whole picture instead. Raises BadImageError.
    """
    return _decoded(data, round(side * MARGIN), lambda whole: _cut(whole, side, across, down, crop))


def evaluated(data: bytes, side: int, crop: Literal["center", "squash"] = "center") -> Pixels:
    """Decodes ``data`` as published models are given their pictures: all of its pixels, then :func:`middle` or
    :func:`squashed`. Raises BadImageError."""
    cut = squashed if crop == "squash" else middle
    return _decoded(data, UNREDUCED, lambda whole: cut(_as_image(whole), side))


def _as_image(whole: Image.Image | Pixels) -> Image.Image:
    return whole if isinstance(whole, Image.Image) else Image.fromarray(whole)


def _decoded(data: bytes, least: int, cut: Callable[[Image.Image | Pixels], Pixels]) -> Pixels:
    """What ``cut`` makes of a picture that has ``least`` pixels a side or more, where it had so many."""
    try:
        decoded = _jpeg(data, least)
        return cut(_opened(data, least) if decoded is None else decoded)
    except (BadImageError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on broken input
        if is_out_of_files(error):
            raise
        raise BadImageError(str(error) or type(error).__name__) from None


def _cut(whole: Image.Image | Pixels, side: int, across: float, down: float, crop: str) -> Pixels:
    width, height = whole.size if isinstance(whole, Image.Image) else whole.shape[1::-1]
    short = min(width, height)
    if crop == "crop" and side <= short <= CROP_AS_IS * side:
        left, top = round((width - side) * across), round((height - side) * down)
        if isinstance(whole, Image.Image):
            return np.asarray(whole.crop((left, top, left + side, top + side)))
        return whole[top : top + side, left : left + side]
    picture = _as_image(whole)
    if crop == "squash":
        return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0))
    # The square of `side` pixels in the resized picture, measured in pixels of this one.
    cut = short * side / round(side * MARGIN)
    x, y = (width - cut) * across, (height - cut) * down
    box = (x, y, min(x + cut, width), min(y + cut, height))
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC, box=box))
