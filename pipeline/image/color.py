"""Colours: whatever mode and colour profile a decoded picture has, to plain sRGB on white.

In: a decoded Pillow image with its ``info``. Out: mode RGB. Palette, grey, 16 bits, CMYK and YCCK, transparency,
embedded profiles.
"""

import functools
import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

__all__ = ["UnsupportedModeError", "simplify", "to_srgb"]

_MAX_PROFILE = 4_000_000  # bytes; the largest printers' profiles have about 2 MB


class UnsupportedModeError(ValueError):
    """A picture whose samples have no agreed meaning as colours, such as floating point."""


def simplify(image: Image.Image) -> Image.Image:
    """The picture in a mode that can be scaled without losing anything visible: L, LA, RGB, RGBA or CMYK."""
    mode = image.mode
    if mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
        if "transparency" in image.info and mode in ("L", "RGB"):
            return image.convert("RGBA")
        return image
    if mode.startswith("I"):
        # Pillow would clip 16-bit samples to 255 instead of scaling them.
        samples = np.asarray(image).astype(np.int64)
        shift = 0 if samples.max(initial=0) <= 255 and mode == "I" else 8
        return Image.fromarray((samples >> shift).clip(0, 255).astype(np.uint8))
    if mode == "P":
        return image.convert("RGBA" if "transparency" in image.info or _has_alpha_palette(image) else "RGB")
    if mode in ("1", "PA", "La", "RGBa", "RGBX", "YCbCr", "LAB", "HSV"):
        return image.convert({"1": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}.get(mode, "RGB"))
    raise UnsupportedModeError(f"samples of mode {mode}")


def _has_alpha_palette(image: Image.Image) -> bool:
    return image.palette is not None and image.palette.mode == "RGBA"


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture of a mode that :func:`simplify` gives, as RGB: transparency over white, then from ``profile`` to sRGB.

    A profile that is broken, or made for other modes, is ignored, as browsers do.
    """
    if image.mode in ("LA", "RGBA"):
        solid = image.convert("RGBA")
        white = Image.new("RGBA", solid.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, solid).convert("RGB")
    if profile and len(profile) <= _MAX_PROFILE:
        transform = _transform(profile, image.mode)
        if transform is not None:
            converted = ImageCms.applyTransform(image, transform)
            assert converted is not None  # None is for in-place work alone
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


@functools.lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> Any:
    """The transform from ``profile`` to sRGB, None where there is none or it changes nothing."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        description = ImageCms.getProfileDescription(source).strip()
        if mode == "RGB" and description.startswith("sRGB"):
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
