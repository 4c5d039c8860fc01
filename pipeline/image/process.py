"""From the bytes a server sent to the picture that is stored: one function, no state, safe in threads.

In: bytes and :class:`ImageConfig`. Out: :class:`Processed`, an sRGB picture without metadata and what is known of the
original, or :class:`Rejected` with a reason; no bytes make it raise. What the header states is judged before anything
is decoded, and a JPEG much larger than needed is decoded at a fraction of its size. Equal bytes and settings give equal
bytes.
"""

import hashlib
import io
import re
import warnings
from dataclasses import dataclass, replace

from PIL import Image, UnidentifiedImageError

from pipeline.image.color import UnsupportedModeError, gamma_corrected, seen_within, simplify, stated_gamma, to_srgb
from pipeline.image.config import ImageConfig
from pipeline.image.encode import LONGEST_SIDE, encode
from pipeline.image.exif import exif_json, exif_of, orientation
from pipeline.image.further import further_format, register, stated_size
from pipeline.image.geometry import scaled_size, square_side
from pipeline.image.hashes import grey_spread, perceptual_hash, sketch, sketch_text
from pipeline.image.mending import bare_jpeg, completed_jpegs, mended
from pipeline.image.turbo import decode_scaled
from webimagetext.endings import out_of_files
from webimagetext.errors import UserError, is_out_of_files
from webimagetext.foreign import one_line

__all__ = ["Processed", "Rejected", "process"]

# Pillow's remarks on odd files; what matters of them is judged here.
warnings.filterwarnings("ignore", module=r"PIL\.")

_MAX_SCANS = 100  # a progressive JPEG has about ten; each further one costs a pass over all pixels
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of an object in memory: another one in every run
_JPEG_FORMATS = ("JPEG", "MPO")
_ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
_METHODS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Processed:
    """A stored picture. ``original_width`` and ``original_height`` are as a viewer shows it, so after EXIF rotation."""

    data: bytes  # in the format that the settings ask for
    width: int
    height: int
    original_width: int
    original_height: int
    exif: str  # JSON
    sha256: str  # of the bytes received, hexadecimal
    md5: str | None  # likewise, where it is asked for
    phash: int
    sketch: str  # 32 x 32 grey levels, in base64
    animated: bool
    spread: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why there is no picture: not_an_image, format_not_read, too_many_pixels, too_small, bad_aspect_ratio,
    unsupported_mode or decode_error."""

    reason: str
    detail: str = ""


def process(data: bytes, config: ImageConfig) -> Processed | Rejected:
    """Decodes, turns upright, scales and encodes one picture."""
    result = _processed(data, config)
    if isinstance(result, Rejected) and result.reason in ("decode_error", "not_an_image"):
        return _mended(data, config) or result
    return result


def _mended(data: bytes, config: ImageConfig) -> Processed | None:
    """What becomes of a picture of which nothing but its file's form is broken; None where pixels are missing too."""
    found: Processed | Rejected | None = None
    for other in mended(data):
        if isinstance(found := _processed(other, config), Processed):
            break
    both = None if isinstance(found, Processed) else completed_jpegs(data)
    if both is not None:
        found, again = (_processed(jpeg, config) for jpeg in both)
        if not (isinstance(found, Processed) and isinstance(again, Processed) and found.data == again.data):
            return None
    if not isinstance(found, Processed):
        return None
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest() if config.md5 else None
    return replace(found, sha256=hashlib.sha256(data).hexdigest(), md5=md5)


def _processed(data: bytes, config: ImageConfig) -> Processed | Rejected:
    if other := further_format(data):
        if other not in config.formats:
            return Rejected("format_not_read", f'{other}: image.formats can name it, with the extra "{other.lower()}"')
        register(config.formats)
        # The package for JPEG XL decodes what it opens.
        size = stated_size(data) if other == "JXL" else None
        if size and size[0] * size[1] > config.max_pixels:
            return Rejected("too_many_pixels", f"{size[0]} x {size[1]}")
    try:
        with Image.open(io.BytesIO(data), formats=config.formats) as image:
            rejected = _judge(image, data, config)
            return rejected or _store(image, data, config)
    except UnidentifiedImageError:
        return Rejected("not_an_image", f"begins with {data[:24]!r}")
    except Image.DecompressionBombError:
        return Rejected("too_many_pixels")
    except UnsupportedModeError as error:
        return Rejected("unsupported_mode", one_line(str(error)))
    except UserError:
        raise
    except Exception as error:
        if is_out_of_files(error):  # Pillow opens a module for each format
            raise out_of_files() from None
        if isinstance(error, MemoryError) and not _is_there(4 * config.max_pixels):
            raise
        # Pillow's decoders answer hostile files with almost any exception; none may stop the fetcher.
        words = _ADDRESS.sub("", f"{type(error).__name__}: {error}")
        return Rejected("decode_error", one_line(words))


def _is_there(size: int) -> bool:
    """Whether so many bytes of memory can be had: with them, it is the picture that wants too much."""
    try:
        return len(bytearray(size)) == size
    except MemoryError:
        return False


def _judge(image: Image.Image, data: bytes, config: ImageConfig) -> Rejected | None:
    """What the header alone says against the picture."""
    width, height = image.size
    said = f"{width} x {height}"
    if width * height > config.max_pixels:
        return Rejected("too_many_pixels", said)
    if width < 1 or height < 1 or min(width, height) < config.min_image_size:
        return Rejected("too_small", said)
    if config.max_aspect_ratio and max(width, height) > config.max_aspect_ratio * min(width, height):
        return Rejected("bad_aspect_ratio", said)
    stored = scaled_size(width, height, config)
    if max(stored) > LONGEST_SIDE[config.encode_format] or stored[0] * stored[1] > config.max_pixels:
        return Rejected("bad_aspect_ratio", said)
    if image.format in _JPEG_FORMATS and data.count(b"\xff\xda") > _MAX_SCANS:
        return Rejected("decode_error", "more JPEG scans than any real picture has")
    return None


def _store(image: Image.Image, data: bytes, config: ImageConfig) -> Processed:
    exif = exif_of(image)
    turn = orientation(exif)
    width, height = image.size[::-1] if turn >= 5 else image.size
    scaled = scaled_size(width, height, config)
    unturned = scaled[::-1] if turn >= 5 else scaled
    profile = image.info.get("icc_profile")
    animated = image.format in _ANIMATED_FORMATS and bool(getattr(image, "is_animated", False))
    gamma, frame = stated_gamma(image), _frame(image)
    decoded = simplify(_decode(image, data, unturned, config), _depth(image, data))

    as_it_is = config.skip_reencode and config.encode_format == "jpg" and image.format == "JPEG"
    as_it_is &= image.mode == "RGB" and turn == 1 and not profile
    picture = gamma_corrected(_resize(seen_within(decoded, frame), unturned, config), gamma)
    picture = to_srgb(picture, profile if isinstance(profile, bytes) else None)
    if turn in _TURNS:
        picture = picture.transpose(_TURNS[turn])
    grey = picture.convert("L")
    small, spread = sketch(grey), grey_spread(grey)
    picture = _square(picture, config)

    as_it_is &= picture.size == image.size
    return Processed(
        data=bare_jpeg(data) if as_it_is else encode(picture, config),
        width=picture.width,
        height=picture.height,
        original_width=width,
        original_height=height,
        exif=exif_json(exif),
        sha256=hashlib.sha256(data).hexdigest(),
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest() if config.md5 else None,
        phash=perceptual_hash(small),
        sketch=sketch_text(small),
        animated=animated,
        spread=spread,
    )


def _depth(image: Image.Image, data: bytes) -> int:
    """Bits of a sample in the file, where that may be others than in the decoded picture."""
    return data[24] if image.format == "PNG" and len(data) > 24 else 8


def _frame(image: Image.Image) -> tuple[int, int, int, int] | None:
    """The part of a GIF's canvas that its first frame covers; None for the whole of it, and for other formats."""
    tiles = getattr(image, "tile", None)
    if image.format != "GIF" or not tiles:
        return None
    left, top, right, bottom = tiles[0][1]
    return None if (left, top, right, bottom) == (0, 0, *image.size) else (left, top, right, bottom)


def _decode(image: Image.Image, data: bytes, size: tuple[int, int], config: ImageConfig) -> Image.Image:
    """The pixels, of a JPEG at a fraction not below ``size``: its samples are averages, as good as those of scaling."""
    if config.decoder == "turbo" and image.format in _JPEG_FORMATS:
        decoded = decode_scaled(data, image.mode, image.size, size, resize=config.interpolation == "auto")
        if decoded is not None:
            return decoded
    image.draft(image.mode, size)
    image.load()
    return image


def _resize(image: Image.Image, size: tuple[int, int], config: ImageConfig) -> Image.Image:
    if image.size == size:
        return image
    # Hamming's window costs as much as a bilinear one and is nearly as sharp as a bicubic; for enlarging it is too
    # blocky.
    shrinking = size[0] <= image.width and size[1] <= image.height
    method = _METHODS.get(config.interpolation) or (Image.Resampling.HAMMING if shrinking else Image.Resampling.BICUBIC)
    return image.resize(size, method, reducing_gap=3.0)


def _square(picture: Image.Image, config: ImageConfig) -> Image.Image:
    """Cuts or pads to the square that the resize mode asks for."""
    side = square_side(picture.width, picture.height, config)
    if not side or picture.size == (side, side):
        return picture
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    if config.resize_mode == "center_crop":
        return picture.crop((left, top, left + side, top + side))
    canvas = Image.new("RGB", (side, side), "white")
    canvas.paste(picture, (-left, -top))
    return canvas
