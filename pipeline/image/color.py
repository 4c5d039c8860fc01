"""Colours: whatever mode and colour profile a decoded picture has, to plain sRGB on white.

In: a decoded Pillow image with its ``info``. Out: mode RGB. Palette, grey, 16 bits, CMYK and YCCK, transparency,
embedded profiles.
"""

import functools
import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

__all__ = ["UnsupportedModeError", "gamma_corrected", "seen_within", "simplify", "stated_gamma", "to_srgb"]

_SRGB_GAMMA = 1 / 2.2
_UNSEEN_GAMMA = 0.05  # as libpng, and so browsers, count it
_SAMPLES = 9  # of each colour, by which a profile is judged
_UNSEEN_LEVELS = 2  # of 255; the profiles of sRGB that cameras and programs embed differ by 1 at most
_MAX_PROFILE = 4_000_000  # bytes; the largest printers' profiles have about 2 MB


class UnsupportedModeError(ValueError):
    """A picture whose samples have no agreed meaning as colours, such as floating point."""


def simplify(image: Image.Image, depth: int = 8) -> Image.Image:
    """The picture in a mode that can be scaled without losing anything visible: L, LA, RGB, RGBA or CMYK. ``depth``:
    bits of a sample in the file, in which a transparent colour is stated."""
    mode = image.mode
    key = image.info.get("transparency") if mode != "P" else None
    if mode in ("L", "LA", "RGB", "RGBA", "CMYK", "1"):
        if key is not None and mode in ("L", "RGB", "1") and not isinstance(key, bytes):
            if mode == "1":
                return _without_key(image.convert("L"), 255 * bool(key), 8)
            return _without_key(image, key, depth)
        return image.convert("L") if mode == "1" else image
    if mode.startswith("I"):
        # Pillow would clip 16-bit samples to 255 instead of scaling them.
        samples = np.asarray(image).astype(np.int64)
        shift = 0 if samples.max(initial=0) <= 255 and mode == "I" else 8
        grey = Image.fromarray((samples >> shift).clip(0, 255).astype(np.uint8))
        if isinstance(key, int):
            grey.putalpha(Image.fromarray(np.where(samples == key, 0, 255).astype(np.uint8)))
        return grey
    if mode == "P":
        return image.convert("RGBA" if "transparency" in image.info or _has_alpha_palette(image) else "RGB")
    if mode in ("PA", "La", "RGBa", "RGBX", "YCbCr", "LAB", "HSV"):
        return image.convert({"PA": "RGBA", "La": "LA", "RGBa": "RGBA"}.get(mode, "RGB"))
    raise UnsupportedModeError(f"samples of mode {mode}")


def _without_key(image: Image.Image, key: Any, depth: int) -> Image.Image:
    """The picture with alpha, its one transparent colour seen through; of 16 bits the upper eight are compared."""
    stated = np.atleast_1d(np.array(key, np.int64))
    stated = stated >> 8 if depth == 16 else stated * 255 // ((1 << depth) - 1)
    samples = np.asarray(image)
    same = samples == stated[0] if image.mode == "L" else (samples == stated).all(axis=2)
    image = image.copy()
    image.putalpha(Image.fromarray(np.where(same, 0, 255).astype(np.uint8)))
    return image


def seen_within(image: Image.Image, frame: tuple[int, int, int, int] | None) -> Image.Image:
    """The picture, transparent beyond the part that ``frame`` (left, top, right, bottom) covers; None: all of it."""
    if frame is None:
        return image
    canvas = Image.new("RGBA", image.size)
    canvas.paste(image.convert("RGBA").crop(frame), frame[:2])
    return canvas


def stated_gamma(image: Image.Image) -> float:
    """The exponent by which a PNG says that its samples were made, where nothing else says what its colours are; else
    that of sRGB, about 1 / 2.2."""
    gamma = image.info.get("gamma")
    if not isinstance(gamma, float) or not 0.01 < gamma < 10 or {"icc_profile", "srgb"} & image.info.keys():
        return _SRGB_GAMMA
    return gamma


def gamma_corrected(image: Image.Image, gamma: float) -> Image.Image:
    """A picture of a mode that :func:`simplify` gives, its colours raised so that they look as with sRGB's gamma."""
    exponent = _SRGB_GAMMA / gamma
    if abs(exponent - 1) < _UNSEEN_GAMMA or image.mode == "CMYK":
        return image
    table = [round(255 * (value / 255) ** exponent) for value in range(256)]
    *colours, last = image.split()
    alpha = image.mode in ("LA", "RGBA")
    bands = [band.point(table) for band in (colours if alpha else (*colours, last))]
    return Image.merge(image.mode, [*bands, last] if alpha else bands)


def _has_alpha_palette(image: Image.Image) -> bool:
    return image.palette is not None and image.palette.mode == "RGBA"


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture of a mode that :func:`simplify` gives, as RGB: transparency over white, then from ``profile`` to sRGB.

    A profile that is broken, or made for other modes, is ignored, as browsers do.
    """
    if image.mode in ("LA", "RGBA"):
        solid = Image.new(image.mode[:-1], image.size, "white")  # grey stays grey, for a profile of greys
        solid.paste(image.convert(image.mode[:-1]), mask=image.getchannel("A"))
        image = solid
    if profile and len(profile) <= _MAX_PROFILE:
        transform = _transform(profile, image.mode)
        if transform is not None:
            converted = ImageCms.applyTransform(image, transform)
            assert converted is not None  # None is for in-place work alone
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def _changes_nothing(transform: Any) -> bool:
    """Whether colours stay as they are, to the eye: what a profile calls itself does not tell."""
    levels = np.linspace(0, 255, _SAMPLES).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    changed = np.asarray(ImageCms.applyTransform(Image.fromarray(colours), transform))
    return bool(np.abs(changed.astype(np.int64) - colours).max() <= _UNSEEN_LEVELS)


@functools.lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> Any:
    """The transform from ``profile`` to sRGB, None where there is none or it changes nothing."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        found = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        return None if mode == "RGB" and _changes_nothing(found) else found
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
