"""Pictures in, stored JPEGs out: geometry, colours, orientation, fingerprints, and what is turned away."""

import dataclasses
import hashlib
import io
import json
import sys
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from pipeline.image.config import ImageConfig
from pipeline.image.geometry import scaled_size
from pipeline.image.process import Processed, Rejected, process
from pipeline.image.turbo import decode_scaled
from pipeline.keeping.folder import image_suffix
from webimagetext.errors import UserError

CONFIG = ImageConfig()


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards; blue waves."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 127 + 120 * np.sin(x / 20 + y / 31)], axis=2).astype(np.uint8))


def encoded(image: Image.Image, format_: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def stored(data: bytes, config: ImageConfig = CONFIG) -> tuple[Processed, Image.Image]:
    result = process(data, config)
    assert isinstance(result, Processed), result
    picture = Image.open(io.BytesIO(result.data))
    picture.load()
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (result.width, result.height))
    return result, picture


def rejected(data: bytes, config: ImageConfig = CONFIG) -> Rejected:
    result = process(data, config)
    assert isinstance(result, Rejected)
    return result


def test_pictures_are_resized_as_asked() -> None:
    source = gradient(600, 400)
    data = encoded(source, "PNG")
    found = {}
    for name, method in (("nearest", "NEAREST"), ("area", "BOX"), ("bilinear", "BILINEAR"), ("lanczos", "LANCZOS")):
        config = ImageConfig(interpolation=name, image_size=100, quality=100)
        _, picture = stored(data, config)
        expected = np.asarray(source.resize((150, 100), Image.Resampling[method], reducing_gap=3.0), np.int16)
        assert np.abs(np.asarray(picture, np.int16) - expected).mean() < 1.5, name
        found[name] = picture.tobytes()
        assert stored(encoded(source), dataclasses.replace(config, decoder="turbo"))[0].width == 150
    assert len(set(found.values())) == 4


def test_a_jpeg_of_which_no_pixel_changes_is_stored_as_it_is() -> None:
    source, skip = gradient(200, 120), ImageConfig(skip_reencode=True)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "a camera that nobody needs to know of"
    data = encoded(source, quality=40, exif=exif, comment=b"who took it")
    kept, picture = stored(data, skip)
    assert picture.tobytes() == Image.open(io.BytesIO(data)).tobytes()
    assert b"nobody needs" not in kept.data and b"who took it" not in kept.data and not picture.getexif()
    assert kept.sha256 == hashlib.sha256(data).hexdigest()
    assert stored(data)[1].tobytes() != picture.tobytes()

    exif[ExifTags.Base.Orientation] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for changed in (
        encoded(source, exif=exif),
        encoded(source, icc_profile=profile),
        encoded(source.convert("L")),
        encoded(source.convert("CMYK")),
        encoded(source, "PNG"),
        encoded(gradient(400, 300)),
    ):
        assert process(changed, skip) == process(changed, CONFIG)
    square = ImageConfig(skip_reencode=True, resize_mode="center_crop")
    assert process(data, square) == process(data, dataclasses.replace(square, skip_reencode=False))


@pytest.mark.parametrize("name", ["png", "webp"])
def test_pictures_are_stored_in_the_format_that_is_asked_for(name: str) -> None:
    config = ImageConfig(encode_format=name, skip_reencode=True)
    result = process(encoded(gradient(200, 120)), config)
    assert isinstance(result, Processed) and image_suffix(result.data) == f".{name}"
    picture = Image.open(io.BytesIO(result.data))
    assert (picture.format, picture.mode, picture.size) == (name.upper(), "RGB", (200, 120))
    other = process(encoded(gradient(200, 120)), dataclasses.replace(config, quality=20))
    assert isinstance(other, Processed) and (other.data == result.data) == (name == "png")
    if name == "png":
        assert picture.tobytes() == Image.open(io.BytesIO(encoded(gradient(200, 120)))).tobytes()
    else:
        long = encoded(Image.new("RGB", (16_384, 3)), "PNG")
        assert rejected(long, dataclasses.replace(config, resize_mode="no")).reason == "bad_aspect_ratio"
        assert isinstance(process(long, ImageConfig(resize_mode="no")), Processed)


def test_the_md5_is_noted_where_it_is_asked_for() -> None:
    data = encoded(gradient(40, 30), "PNG")
    assert stored(data)[0].md5 is None
    md5 = ImageConfig(md5=True)
    assert stored(data, md5)[0].md5 == hashlib.md5(data).hexdigest()
    mended = data[:-12]  # without its end
    assert stored(mended, md5)[0].md5 == hashlib.md5(mended).hexdigest()


@pytest.mark.parametrize(
    ("mode", "upscale", "size", "expected"),
    [
        ("no", False, (640, 480), (640, 480)),
        ("keep_ratio", False, (640, 480), (341, 256)),
        ("keep_ratio", False, (480, 1000), (256, 533)),
        ("keep_ratio", False, (1000, 200), (1000, 200)),
        ("keep_ratio", True, (64, 32), (512, 256)),
        ("keep_ratio_largest", False, (640, 480), (256, 192)),
        ("keep_ratio_largest", False, (9000, 2), (256, 1)),
        ("border", False, (640, 480), (256, 256)),
        ("border", False, (100, 50), (256, 256)),
        ("center_crop", False, (640, 480), (256, 256)),
        ("center_crop", False, (100, 50), (50, 50)),
        ("center_crop", True, (100, 50), (256, 256)),
    ],
)
def test_resize_modes(mode: str, upscale: bool, size: tuple[int, int], expected: tuple[int, int]) -> None:
    config = dataclasses.replace(CONFIG, resize_mode=mode, upscale=upscale)
    result, _ = stored(encoded(gradient(*size), "PNG"), config)
    assert (result.width, result.height) == expected
    assert (result.original_width, result.original_height) == size


def test_keep_ratio_gives_exactly_the_wanted_side() -> None:
    for width in range(256, 2000, 7):
        assert min(scaled_size(width, 1234, CONFIG)) == 256


def test_content_survives() -> None:
    _, picture = stored(encoded(gradient(1600, 1200), quality=95))
    expected = np.asarray(gradient(1600, 1200).resize((341, 256), Image.Resampling.LANCZOS), dtype=float)
    assert np.abs(np.asarray(picture, dtype=float) - expected).mean() < 2.5


def test_border_is_white_and_centred() -> None:
    config = dataclasses.replace(CONFIG, resize_mode="border")
    _, picture = stored(encoded(Image.new("RGB", (400, 200), "black"), "PNG"), config)
    column = np.asarray(picture)[:, 128, 0]
    assert (column[:60] > 250).all() and (column[70:186] < 5).all() and (column[196:] > 250).all()


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation(turn: int) -> None:
    upright = gradient(600, 400)
    inverse = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[turn]  # what a camera so held records
    recorded = upright if inverse is None else upright.transpose(Image.Transpose(inverse))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    result, picture = stored(encoded(recorded, quality=95, exif=exif))
    assert (result.original_width, result.original_height, result.width, result.height) == (600, 400, 384, 256)
    expected = np.asarray(upright.resize((384, 256), Image.Resampling.LANCZOS), dtype=float)
    assert np.abs(np.asarray(picture, dtype=float) - expected).mean() < 3


def test_exif_keeps_the_camera_and_drops_the_place() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker\x00"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.BodySerialNumber] = "12345"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ISOSpeedRatings] = 200
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    result, picture = stored(encoded(gradient(300, 300), exif=exif))
    assert json.loads(result.exif) == {"ISOSpeedRatings": "200", "Make": "Maker"}
    assert not picture.getexif()


def test_transparency_becomes_white() -> None:
    clear = Image.new("RGBA", (300, 300), (255, 0, 0, 0))
    for data in (
        encoded(clear, "PNG"),
        encoded(clear.quantize(), "PNG"),
        encoded(Image.new("P", (300, 300), 3), "GIF", transparency=3),
        encoded(Image.new("LA", (300, 300), (0, 0)), "PNG"),
        encoded(Image.new("L", (300, 300), 7), "PNG", transparency=7),
    ):
        _, picture = stored(data)
        assert np.asarray(picture).min() > 250


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    samples = np.linspace(0, 65535, 300 * 300).reshape(300, 300).astype(np.uint16)
    _, picture = stored(encoded(Image.fromarray(samples), "PNG"))
    grey = np.asarray(picture.convert("L"), dtype=float)
    assert abs(grey.mean() - 127.5) < 2 and np.unique(grey).size > 200


def test_cmyk_and_one_bit() -> None:
    _, picture = stored(encoded(Image.new("CMYK", (300, 300), (0, 255, 255, 0)), "JPEG"))
    assert np.abs(np.asarray(picture, dtype=int) - (255, 0, 0)).max() < 12
    _, picture = stored(encoded(Image.new("1", (300, 300), 1), "PNG"))
    assert np.asarray(picture).min() > 250


def test_colour_profile_is_applied_and_a_broken_one_ignored() -> None:
    plain = Image.new("L", (300, 300), 100)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # for another mode: not usable here
    for profile in (b"no profile at all", lab):
        _, picture = stored(encoded(plain.convert("RGB"), "PNG", icc_profile=profile))
        assert np.abs(np.asarray(picture, dtype=int) - 100).max() <= 2
    swapped = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = swapped.find(b"rXYZ"), swapped.find(b"bXYZ")
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    _, picture = stored(encoded(Image.new("RGB", (300, 300), (200, 30, 30)), "PNG", icc_profile=bytes(swapped)))
    red_level, _, blue_level = np.asarray(picture)[150, 150].astype(int)
    assert blue_level > red_level + 100, "whatever the profile calls itself"


def test_a_profile_that_changes_nothing_costs_nothing() -> None:
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (300, 300, 3), np.uint8))
    same = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = same.replace("sRGB".encode("utf-16-be"), "tRGB".encode("utf-16-be"))
    assert other != same
    bare, *profiled = (stored(encoded(image, "PNG", icc_profile=profile))[0].data for profile in (None, same, other))
    assert profiled == [bare, bare]


def test_animated_pictures_give_their_first_frame() -> None:
    frames = [Image.new("RGB", (300, 300), colour) for colour in ("red", "blue")]
    for format_ in ("GIF", "WEBP", "PNG"):
        data = encoded(frames[0], format_, save_all=True, append_images=frames[1:])
        result, picture = stored(data)
        assert result.animated
        assert np.abs(np.asarray(picture, dtype=int) - (255, 0, 0)).max() < 12
    still, _ = stored(encoded(frames[0], "GIF"))
    assert not still.animated


def test_fingerprints() -> None:
    data = encoded(gradient(800, 600), quality=95)
    first, _ = stored(data)
    assert first.sha256 == hashlib.sha256(data).hexdigest()
    smaller, _ = stored(encoded(gradient(800, 600).resize((400, 300)), quality=70))
    other, _ = stored(encoded(gradient(800, 600).rotate(90, expand=True), quality=95))
    assert (first.phash ^ smaller.phash).bit_count() <= 6 < (first.phash ^ other.phash).bit_count()
    blank, _ = stored(encoded(Image.new("RGB", (300, 300), "navy")))
    assert blank.phash == 0 and blank.spread == 0 and first.spread > 20
    half, _ = stored(encoded(Image.fromarray(np.repeat([[0, 255]], 300, axis=0).repeat(150, axis=1).astype(np.uint8))))
    assert abs(half.spread - 127.5) < 1


def test_equal_bytes_give_equal_results() -> None:
    for format_ in ("JPEG", "PNG", "WEBP"):
        data = encoded(gradient(777, 555), format_)
        assert process(data, CONFIG) == process(data, CONFIG)


def test_what_is_turned_away() -> None:
    assert rejected(b"").reason == rejected(b"<!doctype html><p>404").reason == rejected(b"\xff\xd8\xff").reason
    assert rejected(b"").reason == "not_an_image"
    assert rejected(encoded(gradient(300, 300))[:-2000]).reason == "decode_error"
    limits = dataclasses.replace(CONFIG, min_image_size=200, max_aspect_ratio=3)
    assert rejected(encoded(gradient(300, 199)), limits).reason == "too_small"
    assert rejected(encoded(gradient(700, 200)), limits).reason == "bad_aspect_ratio"
    assert rejected(encoded(gradient(70_000, 2), "PNG")).reason == "bad_aspect_ratio"
    assert rejected(encoded(gradient(300, 300), "TIFF")).reason == "not_an_image"
    floating = encoded(Image.new("F", (300, 300)), "TIFF")
    assert rejected(floating, dataclasses.replace(CONFIG, formats=("TIFF",))).reason == "unsupported_mode"


def test_turbo_decodes_the_same_pictures() -> None:
    pytest.importorskip("simplejpeg")
    pytest.importorskip("cv2")
    turbo = dataclasses.replace(CONFIG, decoder="turbo")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    for data in (
        encoded(gradient(640, 480), exif=exif),
        encoded(gradient(3000, 2000).convert("L")),
        encoded(gradient(640, 480).convert("CMYK")),
        encoded(gradient(640, 480), "PNG"),
    ):
        (one, first), (other, second) = stored(data), stored(data, turbo)
        assert dataclasses.replace(one, data=b"", phash=0, sketch="", spread=0) == dataclasses.replace(
            other, data=b"", phash=0, sketch="", spread=0
        )
        assert (one.phash ^ other.phash).bit_count() <= 4 and abs(one.spread - other.spread) < 1
        assert np.abs(np.asarray(first, dtype=int) - np.asarray(second, dtype=int)).mean() < 3
    assert rejected(encoded(gradient(300, 300))[:-2000], turbo).reason == "decode_error"


def test_turbo_is_as_near_to_the_picture() -> None:
    """Neither decoder's picture is further from the whole one, scaled in floating point, than the other's."""
    pytest.importorskip("simplejpeg")
    pytest.importorskip("cv2")
    random = np.random.default_rng(5)
    for width, height in ((640, 480), (400, 300), (900, 1210), (1025, 771)):
        rough = sum(
            np.asarray(
                Image.fromarray(random.random((height // grain + 2, width // grain + 2)) * grain).resize(
                    (width, height)
                )
            )
            for grain in (5, 11, 40, 90)
        )
        picture = Image.fromarray((255 * rough / rough.max()).astype(np.uint8)).convert("RGB")
        data = encoded(picture, quality=95)
        channel = Image.open(io.BytesIO(data)).convert("RGB").getchannel(1)
        config = dataclasses.replace(CONFIG, image_size=256, encode_format="png")
        noise = []
        for decoder in ("pillow", "turbo"):
            result = process(data, dataclasses.replace(config, decoder=decoder))
            assert isinstance(result, Processed)
            found = Image.open(io.BytesIO(result.data))
            whole = Image.fromarray(np.asarray(channel, np.float32)).resize(found.size, Image.Resampling.LANCZOS)
            noise.append(((np.asarray(found.getchannel(1), np.float64) - np.asarray(whole)) ** 2).mean())
        assert 10 * np.log10(noise[1] / noise[0]) < 0.5, (width, height)  # dB


@pytest.mark.parametrize("size", [(400, 300), (341, 256), (325, 244)])  # a little more than half of it
def test_turbo_scales_by_nearly_two_better_than_by_areas(size: tuple[int, int]) -> None:
    pytest.importorskip("simplejpeg")
    cv2 = pytest.importorskip("cv2")
    grains = np.random.default_rng(6).integers(0, 256, (150, 200), np.uint8)
    picture = Image.fromarray(grains).resize((640, 480), Image.Resampling.BICUBIC)
    data = encoded(picture, quality=95)
    whole = np.asarray(Image.open(io.BytesIO(data)))
    wanted = np.asarray(Image.fromarray(whole.astype(np.float32)).resize(size, Image.Resampling.LANCZOS))
    scaled = decode_scaled(data, "L", (640, 480), size)
    assert scaled is not None and scaled.size == size
    areas = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    ours, theirs = (((np.asarray(made, float) - wanted) ** 2).mean() for made in (scaled, areas))
    assert 10 * np.log10(theirs / ours) > 2  # dB


def test_a_missing_turbo_is_the_users_business(monkeypatch: pytest.MonkeyPatch) -> None:
    decode_scaled.__globals__["_libraries"].cache_clear()
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    with pytest.raises(UserError, match="simplejpeg"):
        process(encoded(gradient(300, 300)), dataclasses.replace(CONFIG, decoder="turbo"))


def test_a_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a decoder was started")

    bomb = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    scans = encoded(gradient(300, 300), progressive=True) + b"\xff\xda" * 200
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    assert len(bomb) < 200_000 and rejected(bomb).reason == "too_many_pixels"
    assert rejected(scans).reason == "decode_error"


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_hostile_corpus(shared_data: Path, every: int) -> None:
    """Fuzzers' and test suites' files, all or some: each is stored or has its reason, and valid PNGs are stored."""
    outcomes: Counter[str] = Counter()
    with tarfile.open(shared_data / "adversarial.tar.gz") as archive:
        for member in list(filter(tarfile.TarInfo.isfile, archive))[::every]:
            content = archive.extractfile(member)
            assert content is not None
            result = process(content.read(), CONFIG)
            outcomes["stored" if isinstance(result, Processed) else result.reason] += 1
            path = Path(member.name)
            if path.parent.name == "png" and path.suffix == ".png" and not path.name.startswith("x"):
                assert isinstance(result, Processed), (path, result)
    assert set(outcomes) <= {
        "stored",
        "not_an_image",
        "format_not_read",
        "decode_error",
        "too_many_pixels",
        "bad_aspect_ratio",
    }
    assert outcomes["stored"] > 1000 / every and sum(outcomes.values()) > 6000 / every
