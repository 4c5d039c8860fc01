"""Pictures whose file is broken where no pixel hangs on it, and colours that are stated in a way of their own: what
comes out is what every browser shows."""

import hashlib
import io
import random
import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from pipeline.image.config import ImageConfig
from pipeline.image.process import Processed, Rejected, process

CONFIG = ImageConfig()
GREEN = (10, 200, 30)
SIZE = 64
BAD_EXIF = b"Exif\0\0XX*\0\x08\0\0\0"


def chunk(kind: bytes, content: bytes, *, good: bool = True) -> bytes:
    check = zlib.crc32(kind + content) ^ (not good)
    return struct.pack(">I4s", len(content), kind) + content + check.to_bytes(4, "big")


def png(
    samples: npt.NDArray[np.integer], depth: int, colour: int, *extras: bytes, end: bytes = chunk(b"IEND", b"")
) -> bytes:
    """A PNG of rows of samples, several a pixel side by side; ``extras`` stand before the pixels."""
    height, width = samples.shape
    per_pixel = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    if depth == 16:
        rows = samples.astype(">u2").view(np.uint8).reshape(height, -1)
    elif depth == 8:
        rows = samples.astype(np.uint8)
    else:
        bits = (samples[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    header = struct.pack(">IIBBBBB", width // per_pixel, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extras) + chunk(b"IDAT", packed) + end


GREEN_ROWS = np.tile(np.array(GREEN), (SIZE, SIZE))


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(5).integers(0, 256, (200, 300, 3), np.uint8))


def encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def picture(data: bytes, config: ImageConfig = CONFIG) -> npt.NDArray[np.uint8]:
    result = process(data, config)
    assert isinstance(result, Processed), result
    assert result.sha256 == hashlib.sha256(data).hexdigest()
    return np.asarray(Image.open(io.BytesIO(result.data)).convert("RGB"))


def near(found: npt.NDArray[np.uint8], colour: tuple[int, ...]) -> bool:
    return bool(np.abs(found.astype(int) - np.array(colour)).max() <= 4)


SOLID = Image.new("RGB", (SIZE, SIZE), GREEN)
JPEG = encoded(SOLID, "JPEG", quality=95)
WEBP = encoded(SOLID, "WEBP", lossless=True)
LONG = b"Comment\0\0" + zlib.compress(b"x" * 2_000_000)
BROKEN_FORMS = {
    "Exif of a PNG": png(GREEN_ROWS, 8, 2, chunk(b"eXIf", BAD_EXIF[6:])),
    "Exif of a WebP": encoded(SOLID, "WEBP", lossless=True, exif=BAD_EXIF),
    "Exif of a JPEG": encoded(SOLID, "JPEG", quality=95, exif=BAD_EXIF),
    "long text": png(GREEN_ROWS, 8, 2, chunk(b"zTXt", LONG)),
    "check sum of a text": png(GREEN_ROWS, 8, 2, chunk(b"tEXt", b"Comment\0deer", good=False)),
    "check sum of a date": png(GREEN_ROWS, 8, 2, chunk(b"tIME", b"1234567", good=False)),
    "check sum of an unknown chunk": png(GREEN_ROWS, 8, 2, chunk(b"prIv", b"1", good=False)),
    "check sum of a profile": png(GREEN_ROWS, 8, 2, chunk(b"iCCP", b"x\0\0" + zlib.compress(b"x"), good=False)),
    "end of a PNG": png(GREEN_ROWS, 8, 2, end=b""),
    "half an end of a PNG": png(GREEN_ROWS, 8, 2, end=b"\0\0\0\0IE"),
    "data behind a PNG": png(GREEN_ROWS, 8, 2) + b"<!-- 12 ms -->",
    "end of a JPEG": JPEG[:-2],
    "half an end of a JPEG": JPEG[:-1],
    "data behind a JPEG": JPEG + b"<!-- 12 ms -->" * 100,
    "end of a GIF": encoded(SOLID.quantize(4), "GIF")[:-1],
    "comment of a GIF": encoded(SOLID.quantize(4), "GIF", comment=b"deer " * 40_000),
    "size of a WebP": WEBP[:4] + struct.pack("<I", len(WEBP) + 500) + WEBP[8:],
}


@pytest.mark.parametrize("name", BROKEN_FORMS)
def test_what_no_pixel_hangs_on_never_costs_the_picture(name: str) -> None:
    assert near(picture(BROKEN_FORMS[name]), GREEN)


@pytest.mark.parametrize("encode_format", ["jpg", "png", "webp"])
def test_nothing_but_the_picture_is_stored(encode_format: str) -> None:
    """Neither a comment nor a profile, which have been read already, nor a transparent colour."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"rXYZ", b"bXYZ", 1)
    config = ImageConfig(encode_format=encode_format)
    for data in (
        encoded(SOLID, "JPEG", comment=b"deer", icc_profile=profile, dpi=(72, 72), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
        png(GREEN_ROWS, 8, 2, chunk(b"tEXt", b"Comment\0deer"), chunk(b"tRNS", struct.pack(">HHH", *GREEN))),
    ):
        result = process(data, config)
        assert isinstance(result, Processed)
        stored = Image.open(io.BytesIO(result.data))
        stored.load()
        assert stored.mode == "RGB" and not {"comment", "icc_profile", "transparency", "Comment"} & stored.info.keys()


PIECES = (b"Exif\0\0", b"ICC_PROFILE\0", b"MPF\0", b"Photoshop 3.0\0", b"Adobe", b"http://ns.adobe.com/xap/1.0/\0", b"")
NAMES = "tEXt zTXt iTXt iCCP eXIf gAMA cHRM sRGB pHYs tIME bKGD sBIT acTL hIST sPLT tRNS fcTL fdAT caBX"
KINDS = NAMES.split()


@pytest.mark.parametrize("seed", range(4))
def test_any_words_of_programs_leave_the_picture(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(60):
        told = draw.choice(PIECES) + draw.randbytes(draw.randrange(60))
        marker = draw.choice(b"\xe0\xe1\xe2\xec\xed\xee\xfe")
        picture(JPEG[:2] + struct.pack(">BBH", 0xFF, marker, len(told) + 2) + told + JPEG[2:])
        extra = chunk(draw.choice(KINDS).encode(), draw.randbytes(draw.randrange(40)))
        picture(png(GREEN_ROWS[:9], 8, 2, extra))
        picture(
            encoded(SOLID, "WEBP", exif=draw.randbytes(40), xmp=draw.randbytes(40), icc_profile=draw.randbytes(200))
        )


def test_a_mended_file_keeps_what_its_colours_mean() -> None:
    broken = chunk(b"iCCP", b"\0")
    key = chunk(b"tRNS", struct.pack(">HHH", *GREEN))
    assert near(picture(png(GREEN_ROWS, 8, 2, broken, key)), (255, 255, 255))
    inks = encoded(Image.new("CMYK", (SIZE, SIZE), (200, 20, 10, 5)), "JPEG", quality=95)
    odd = inks[:2] + struct.pack(">BBH", 0xFF, 0xEE, 8) + b"Adobe\xe2" + inks[2:]
    assert np.array_equal(picture(inks), picture(odd))


def test_missing_pixels_are_no_picture() -> None:
    for format_, share in (("JPEG", 0.5), ("JPEG", 0.98), ("PNG", 0.5), ("PNG", 0.98), ("GIF", 0.5), ("WEBP", 0.5)):
        data = encoded(noise(), format_)
        assert isinstance(process(data, CONFIG), Processed)
        assert isinstance(process(data[: int(len(data) * share)], CONFIG), Rejected), (format_, share)
    whole = encoded(noise(), "JPEG")
    assert np.array_equal(picture(whole), picture(whole[:-2]))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_key_colours_of_greys(depth: int) -> None:
    most = (1 << depth) - 1
    for key in {0, most, most // 3}:
        samples = np.full((SIZE, SIZE), key)
        other = most - key if most - key != key else key + 1
        samples[:, SIZE // 2 :] = other
        found = picture(png(samples, depth, 0, chunk(b"tRNS", struct.pack(">H", key))))
        assert near(found[:, :20], (255, 255, 255))
        assert near(found[:, -20:], (round(255 * other / most),) * 3)


@pytest.mark.parametrize("depth", [8, 16])
def test_key_colours_of_three_samples(depth: int) -> None:
    key, other = ((20, 40, 234), (20, 40, 200)) if depth == 8 else ((5140, 10280, 60000), (5140, 10280, 50000))
    rows = np.concatenate([np.tile(np.array(key), (SIZE, 32)), np.tile(np.array(other), (SIZE, 32))], axis=1)
    found = picture(png(rows, depth, 2, chunk(b"tRNS", struct.pack(">HHH", *key))))
    assert near(found[:, :20], (255, 255, 255))
    assert near(found[:, -20:], (20, 40, 200) if depth == 8 else (20, 40, 195))


@pytest.mark.parametrize("depth", [8, 16])
def test_grey_with_alpha(depth: int) -> None:
    most = (1 << depth) - 1
    rows = np.concatenate([np.tile([0, 0], (SIZE, 32)), np.tile([most // 3, most], (SIZE, 32))], axis=1)
    found = picture(png(rows, depth, 4))
    assert near(found[:, :20], (255, 255, 255))
    assert near(found[:, -20:], (85, 85, 85))
    half = png(np.tile([0, most // 2], (SIZE, SIZE)), depth, 4)
    assert near(picture(half), (128, 128, 128))


def test_a_stated_gamma_is_applied() -> None:
    rows = np.tile([55, 128, 255], (SIZE, SIZE))

    def shown(*extras: bytes) -> npt.NDArray[np.uint8]:
        return picture(png(rows, 8, 2, *extras))

    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    assert near(shown(linear), tuple(round(255 * (value / 255) ** (1 / 2.2)) for value in (55, 128, 255)))
    assert near(shown(chunk(b"gAMA", struct.pack(">I", 45_455))), (55, 128, 255))
    assert near(shown(linear, chunk(b"sRGB", b"\0")), (55, 128, 255))
    assert near(shown(chunk(b"gAMA", struct.pack(">I", 0))), (55, 128, 255))
    alpha = png(np.tile([55, 255], (SIZE, SIZE)), 8, 4, linear)
    assert near(picture(alpha), (127, 127, 127))


def test_a_frame_smaller_than_its_canvas() -> None:
    small = encoded(Image.new("P", (20, 30)), "GIF")
    frame = Image.new("RGB", (20, 30), GREEN).quantize(4)
    small = bytearray(encoded(frame, "GIF"))
    small[6:10] = struct.pack("<HH", 80, 60)  # the canvas
    place = small.index(b"\x2c")
    small[place + 1 : place + 5] = struct.pack("<HH", 40, 20)
    found = picture(bytes(small))
    assert found.shape == (60, 80, 3)
    assert near(found[30:40, 45:55], GREEN)
    assert near(found[:10, :30], (255, 255, 255))
    assert near(found[:, 70:], (255, 255, 255))
