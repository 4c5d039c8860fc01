"""A contact sheet of pairs of a run, for the eye: ``python docs/contact_sheet.py RUN SHEET.jpg [--pairs 100]``.

In: the folder of a run with tars. Out: a JPEG of pictures, each with its number and its caption below; which pairs,
is drawn by a hash of their keys, the same ones every time. On the standard output the captions, by number.
"""

import argparse
import io
import sys
import tarfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pipeline.hashing import hash64

__all__ = ["drawn", "main", "sheet"]

CELL = (190, 176)  # pixels, of which the lower part is for the caption
PICTURE = (182, 118)
COLUMNS, LINES, LETTERS = 10, 4, 36
PICTURES = (".jpg", ".png", ".webp")


def drawn(run: Path, pairs: int) -> list[tuple[Image.Image, str]]:
    """So many pairs of a run, or all there are, in the order of their hashes."""
    found = sorted(_samples(run), key=lambda sample: hash64(sample[0]))
    return [(Image.open(io.BytesIO(picture)).convert("RGB"), caption) for _, picture, caption in found[:pairs]]


def _samples(run: Path) -> Iterator[tuple[str, bytes, str]]:
    for path in sorted(run.glob("shards/*.tar")):
        members: dict[str, dict[str, bytes]] = {}
        with tarfile.open(path) as archive:
            for member in archive:
                key, dot, suffix = member.name.rpartition(".")
                if stream := archive.extractfile(member):
                    members.setdefault(key, {})[dot + suffix] = stream.read()
        for key, files in members.items():
            picture = next(files[suffix] for suffix in PICTURES if suffix in files)
            yield key, picture, files[".txt"].decode("utf-8")


def sheet(pairs: list[tuple[Image.Image, str]]) -> Image.Image:
    """The pairs in rows of ten."""
    rows = -(-len(pairs) // COLUMNS)
    canvas = Image.new("RGB", (CELL[0] * COLUMNS, CELL[1] * rows), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=10)
    for number, (picture, caption) in enumerate(pairs):
        left, top = number % COLUMNS * CELL[0] + 4, number // COLUMNS * CELL[1] + 2
        small = picture.copy()
        small.thumbnail(PICTURE)
        canvas.paste(small, (left, top))
        words = textwrap.wrap(f"{number + 1}. {caption}", LETTERS, max_lines=LINES, placeholder=" …")
        draw.multiline_text((left, top + PICTURE[1] + 2), "\n".join(words), fill="black", font=font, spacing=2)
    return canvas


def main(args: list[str]) -> int:
    """Writes the sheet; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python docs/contact_sheet.py")
    parser.add_argument("run", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--quality", type=int, default=40)
    asked = parser.parse_args(args)
    pairs = drawn(asked.run, asked.pairs)
    if not pairs:
        print(f"error: {asked.run}: there are no tars with pairs in its shards", file=sys.stderr)
        return 2
    sheet(pairs).save(asked.output, quality=asked.quality)
    for number, (_, caption) in enumerate(pairs, 1):
        print(f"{number}\t{caption}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
