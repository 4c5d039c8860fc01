"""The faster JPEG decoder against Pillow: processor time, and how near both come to the picture.

In: photographs as ``.jpg`` of the folders that ``DECODER_PICTURES`` names (separated by ``:``), such as unpacked Debian
packages of wallpapers; each is encoded anew at usual widths of the web. Out: pictures a second of processor time, read
and scaled to a smaller side of 256 pixels as ``keep_ratio`` does, and the PSNR in dB of both against the whole picture,
scaled in floating point with Lanczos' window. ``equal`` says that the faster one is as near: within a quarter of a dB
on average and for the worst twentieth. Beside them what img2dataset does: read whole, scaled by areas.
"""

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.table import Row, figure
from pipeline.image.config import ImageConfig
from pipeline.image.process import process
from webimagetext.errors import UserError

__all__ = ["rows", "run"]

WIDTHS = (600, 800, 1024, 1280, 1600)
SIDE, QUALITY, MOST = 256, 85, 200
NEAR = 0.25  # dB, half of what anyone sees

Pixels = npt.NDArray[np.uint8]


def _pictures() -> Iterator[bytes]:
    """JPEGs of the widths of the web, made of the photographs that are larger; each photograph once."""
    seen: set[bytes] = set()
    for folder in filter(None, os.environ.get("DECODER_PICTURES", "").split(":")):
        for path in sorted(Path(folder).rglob("*.jpg")):
            with Image.open(path) as image:
                photograph = image.convert("RGB")
            small = photograph.resize((8, 8)).tobytes()
            if small in seen:
                continue
            seen.add(small)
            for width in WIDTHS:
                if photograph.width >= 1.3 * width:
                    size = width, round(photograph.height * width / photograph.width)
                    stream = io.BytesIO()
                    photograph.resize(size, Image.Resampling.LANCZOS).save(stream, "JPEG", quality=QUALITY)
                    yield stream.getvalue()


def _wanted(data: bytes, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The whole picture at the size wanted, every channel in floating point."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    channels = (Image.fromarray(channel.astype(np.float32)) for channel in np.moveaxis(np.asarray(image), 2, 0))
    scaled = [np.asarray(channel.resize(size, Image.Resampling.LANCZOS), np.float64) for channel in channels]
    return np.clip(np.stack(scaled, axis=-1), 0, 255)


def _ours(decoder: Any, data: bytes) -> Pixels:
    """The picture as the fetcher has it before it is stored: without loss, to see the decoder alone."""
    config = ImageConfig(image_size=SIDE, decoder=decoder, encode_format="png")
    return np.asarray(Image.open(io.BytesIO(process(data, config).data)))  # type: ignore[union-attr]


def _areas(data: bytes, size: tuple[int, int]) -> Pixels:
    import cv2

    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    scaled: Pixels = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    return scaled


def _psnr(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    error = float(((one.astype(np.float64) - other) ** 2).mean())
    return 10 * float(np.log10(255**2 / max(error, 1e-9)))


def _nearness(pictures: list[bytes]) -> dict[str, dict[str, float]]:
    """The PSNR in dB of each way of reading: on average, and what nineteen of twenty pictures reach."""
    found: dict[str, list[float]] = {}
    for data in pictures:
        made = {decoder: _ours(decoder, data) for decoder in ("turbo", "pillow")}
        size = made["pillow"].shape[1], made["pillow"].shape[0]
        made["areas of the whole"], wanted = _areas(data, size), _wanted(data, size)
        for name, pixels in made.items():
            found.setdefault(name, []).append(_psnr(pixels, wanted))
    return {
        name: {"mean": round(float(np.mean(values)), 2), "worst_twentieth": round(float(np.percentile(values, 5)), 2)}
        for name, values in found.items()
    }


def _seconds(config: ImageConfig, pictures: list[bytes]) -> float:
    """Processor time of all that the fetcher does with each picture, as it is stored."""
    began = time.process_time()
    for data in pictures:
        process(data, config)
    return time.process_time() - began


def run() -> dict[str, Any]:
    """The measurement."""
    pictures = [data for data, _ in zip(_pictures(), range(MOST), strict=False)]
    if not pictures:
        raise UserError("there are no photographs to read", "name folders of them in DECODER_PICTURES")
    near = _nearness(pictures)
    seconds = {
        decoder: min(_seconds(ImageConfig(image_size=SIDE, decoder=decoder), pictures) for _ in range(3))
        for decoder in ("turbo", "pillow")
    }
    ours, peer = (round(len(pictures) / seconds[name], 1) for name in ("turbo", "pillow"))
    as_near = all(near["turbo"][name] >= near["pillow"][name] - NEAR for name in near["turbo"])
    return {
        "ours": ours,
        "peer": peer,
        "ratio": round(ours / peer, 2),
        "unit": "pictures a second of processor time",
        "equal": as_near,
        "psnr_db": near,
        "pictures": len(pictures),
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    near = result["psnr_db"]
    ours, other = (
        f"{name}: {figure(result[side])} a second, PSNR {near[name.lower()]['mean']} dB"
        for side, name in (("ours", "turbo"), ("peer", "pillow"))
    )
    return [Row(f"a JPEG read, scaled and stored, {ours}", other, f"{result['ratio']:.2f}")]
