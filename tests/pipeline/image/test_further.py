"""HEIC and JPEG XL: read where they are named, a reject with a remedy elsewhere, and judged by their headers first."""

import dataclasses
import io
import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.image.config import WEB_FORMATS, ImageConfig
from pipeline.image.further import further_format, register, stated_size
from pipeline.image.process import Processed, Rejected, process
from pipeline.net.sniff import is_picture
from webimagetext.errors import UserError

BOTH = ImageConfig(formats=(*WEB_FORMATS, "HEIF", "JXL"), image_size=64)
pytest.importorskip("pillow_heif", reason="pillow-heif is not installed: make .venv/.ready-dev")
pytest.importorskip("pillow_jxl", reason="pillow-jxl-plugin is not installed: make .venv/.ready-dev")


def picture(width: int = 160, height: int = 96) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=2).astype(np.uint8))


def encoded(kind: str, image: Image.Image, **how: object) -> bytes:
    register(BOTH.formats)
    stream = io.BytesIO()
    image.save(stream, kind, **how)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["HEIF", "JXL"])
def test_a_picture_is_read_where_its_format_is_named(kind: str) -> None:
    data = encoded(kind, picture())
    assert further_format(data) == kind and is_picture(data[:32])
    assert process(data, ImageConfig()) == Rejected(
        "format_not_read", f'{kind}: image.formats can name it, with the extra "{kind.lower()}"'
    )
    found = process(data, BOTH)
    plain = process(encoded("PNG", picture()), BOTH)
    assert isinstance(found, Processed) and isinstance(plain, Processed)
    assert (found.width, found.height, found.original_width, found.original_height) == (107, 64, 160, 96)
    ours, theirs = (np.asarray(Image.open(io.BytesIO(each.data)), np.int16) for each in (found, plain))
    assert np.abs(ours - theirs).mean() < 6
    assert process(data, BOTH) == found


@pytest.mark.parametrize("kind", ["HEIF", "JXL"])
def test_what_the_header_states_is_judged_before_decoding(kind: str) -> None:
    data = encoded(kind, picture())
    small = dataclasses.replace(BOTH, max_pixels=160 * 96 - 1)
    assert process(data, small) == Rejected("too_many_pixels", "160 x 96")
    for cut in (13, 40, len(data) // 2, len(data) - 9):
        result = process(data[:cut], BOTH)
        assert isinstance(result, Processed) or result.reason in ("decode_error", "not_an_image")


@pytest.mark.parametrize(
    "size", [(8, 8), (160, 96), (256, 256), (257, 3), (3, 700), (320, 180), (1, 1), (600, 500), (9000, 9)]
)
def test_a_jpeg_xl_states_its_size(size: tuple[int, int]) -> None:
    data = encoded("JXL", Image.new("RGB", size, (9, 90, 200)), lossless=True)
    assert stated_size(data) == size
    boxed = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
    assert stated_size(boxed + (len(data) + 8).to_bytes(4, "big") + b"jxlc" + data) == size
    assert stated_size(boxed + (len(data) + 12).to_bytes(4, "big") + b"jxlp\0\0\0\0" + data) == size
    assert stated_size(boxed) is None
    assert stated_size(data[:2]) is None


def test_without_its_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for package, kind in (("pillow_heif", "HEIF"), ("pillow_jxl", "JXL")):
        monkeypatch.setitem(sys.modules, package, None)
        register.cache_clear()
        with pytest.raises(UserError) as refused:
            register((kind,))
        assert refused.value.problem == f"image.formats: {kind} needs the package {package}, which is not installed"
        assert f"webimagetext[{kind.lower()}]" in refused.value.remedy


def test_other_pictures_are_none_of_these() -> None:
    for kind in ("PNG", "JPEG", "WEBP", "AVIF", "GIF"):
        assert further_format(encoded(kind, picture())) == ""
    assert further_format(b"") == further_format(b"\0\0\0\x18ftypmif1\0\0\0\0avifmif1") == ""
    assert further_format(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic") == "HEIF"
