"""Pictures that look like no other, and what people do to pictures before they publish them again."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageOps

__all__ = ["ALTERATIONS", "jpeg", "photograph"]


def photograph(number: int, size: tuple[int, int] = (240, 180)) -> Image.Image:
    """A picture with shapes of all sizes, as photographs have: noise of each scale, the broader the stronger."""
    generator = np.random.default_rng(number)
    levels = np.zeros((size[1], size[0]))
    for cells in (3, 5, 9, 17, 33):
        noise = Image.fromarray(generator.normal(size=(cells, cells)).astype(np.float32))
        levels += np.asarray(noise.resize(size, Image.Resampling.BICUBIC)) / cells
    grey = np.clip(128 + 200 * levels, 0, 255).astype(np.uint8)
    return Image.fromarray(np.stack([grey, grey // 2 + 60, 255 - grey], axis=2))


def jpeg(picture: Image.Image, quality: int = 85) -> bytes:
    """The picture as a JPEG file."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _cut(picture: Image.Image, left: float, top: float, share: float) -> Image.Image:
    width, height = picture.size
    return picture.crop(
        (round(width * left), round(height * top), round(width * (left + share)), round(height * (top + share)))
    )


def _marked(picture: Image.Image) -> Image.Image:
    marked = picture.copy()
    ImageDraw.Draw(marked).text((130, 155), "(c) A. Name", fill=(255, 255, 255), font_size=14)
    return Image.blend(picture, marked, 0.5)


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirrored": ImageOps.mirror,
    "cropped by 5 %": lambda picture: _cut(picture, 0.03, 0.01, 0.95),
    "cropped by 10 %": lambda picture: _cut(picture, 0.08, 0.03, 0.9),
    "mirrored and cropped": lambda picture: _cut(ImageOps.mirror(picture), 0.05, 0.0, 0.93),
    "one side cut": lambda picture: picture.crop((0, 0, picture.width, round(picture.height * 0.9))),
    "marked": _marked,
}
