"""From the bytes of a picture to a square of pixels: decode, resize where needed, crop, as uint8.

In: an image file's bytes and two uniform numbers. Out: (side, side, 3) uint8. Numbers become floats on the device that
computes, so that four times fewer bytes travel. A picture whose shorter side is between the wanted side and 1.3 times it is
cropped as it is; any other is first resized to 8/7 of the side (256 pixels for 224), bicubic.
"""

import io
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

__all__ = ["MAX_PIXELS", "BadImageError", "square"]

MAX_PIXELS = 120_000_000
CROP_AS_IS = 1.3
MARGIN = 8 / 7

Image.MAX_IMAGE_PIXELS = None  # our own limit is checked before anything is decoded


class BadImageError(Exception):
    """The bytes are no picture that can be used; the message says why."""


def _opened(data: bytes, least: int) -> Image.Image:
    """The picture as RGB, on white where it is transparent; a JPEG at a reduced scale of at least ``least`` pixels a side."""
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


def square(
    data: bytes, side: int, across: float = 0.5, down: float = 0.5, crop: Literal["crop", "squash"] = "crop"
) -> npt.NDArray[np.uint8]:
    """Decodes ``data`` and cuts a square of ``side`` pixels, at the shares ``across`` and ``down`` of the room there is.

    0.5 and 0.5 is the middle. "squash" takes the whole picture instead. Raises BadImageError.
    """
    try:
        image = _opened(data, round(side * MARGIN))
        width, height = image.size
        if crop == "squash":
            return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0))
        short = min(width, height)
        if side <= short <= CROP_AS_IS * side:
            left, top = round((width - side) * across), round((height - side) * down)
            return np.asarray(image.crop((left, top, left + side, top + side)))
        # The square of `side` pixels in the resized picture, measured in pixels of this one.
        cut = short * side / round(side * MARGIN)
        x, y = (width - cut) * across, (height - cut) * down
        box = (x, y, min(x + cut, width), min(y + cut, height))
        return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box=box))
    except BadImageError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on broken input
        raise BadImageError(str(error) or type(error).__name__) from None
