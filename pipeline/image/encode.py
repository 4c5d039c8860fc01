"""The stored form of a picture: one function for pictures as they come and as hooks have changed them."""

import io

from PIL import Image

from pipeline.image.config import ImageConfig

__all__ = ["LONGEST_SIDE", "encode"]

_FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
LONGEST_SIDE = {"jpg": 65_500, "png": 65_500, "webp": 16_383}  # pixels; what the libraries write, and readers take


def encode(picture: Image.Image, config: ImageConfig) -> bytes:
    """An RGB picture in the format and quality that the settings ask for, without metadata: ``picture`` loses its own,
    of which Pillow would write some."""
    stream = io.BytesIO()
    picture.info = {}
    quality = {} if config.encode_format == "png" else {"quality": config.quality}
    picture.save(stream, _FORMATS[config.encode_format], **quality)
    return stream.getvalue()
