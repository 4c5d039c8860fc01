"""What a camera wrote into a picture, cut down to what a dataset should carry.

In: an opened Pillow image. Out: its orientation, and a small JSON object of tag names and values. The place where the
picture was taken, serial numbers, owner names, thumbnails and maker notes are left out: nobody who shared a picture
meant to publish them here.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from PIL import ExifTags, Image

__all__ = ["exif_json", "exif_of", "orientation"]

_MAX_VALUE = 200  # characters
_MAX_TAGS = 100
_PRIVATE = frozenset(
    {
        "GPSInfo",
        "MakerNote",
        "UserComment",
        "CameraOwnerName",
        "BodySerialNumber",
        "LensSerialNumber",
        "CameraSerialNumber",
        "ImageUniqueID",
        "XPAuthor",
        "XPComment",
        "HostComputer",
    }
)
_POINTERS = frozenset({"ExifOffset", "ExifInteroperabilityOffset"})


def exif_of(image: Image.Image) -> Image.Exif:
    """The tags that come with a picture; none where they are broken."""
    try:
        return image.getexif()
    except Exception:  # broken EXIF comes as any exception
        return Image.Exif()


def orientation(exif: Mapping[int, Any]) -> int:
    """1 to 8 as EXIF numbers them; 1 (upright) when it is absent or nonsense."""
    value = exif.get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def exif_json(exif: Image.Exif) -> str:
    """The tags of the picture and of its Exif block as a JSON object of strings, sorted by name; ``{}`` without any."""
    if not exif:
        return "{}"
    found: dict[str, str] = {}
    try:
        for tag, value in _tags(exif):
            name = ExifTags.TAGS.get(tag)
            if name and name not in _PRIVATE and name not in _POINTERS and len(found) < _MAX_TAGS:
                text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
                found[name] = "".join(filter(str.isprintable, text)).strip()[:_MAX_VALUE]
    except Exception:
        # Broken EXIF comes as any exception, and costs no more than the tags not yet read.
        pass
    return json.dumps({name: found[name] for name in sorted(found)}, ensure_ascii=False)


def _tags(exif: Image.Exif) -> Iterator[tuple[int, Any]]:
    yield from exif.items()
    yield from exif.get_ifd(ExifTags.IFD.Exif).items()
