"""A small web site of drawn pictures with captions, served on loopback by a real HTTP server that remembers what was
asked."""

import contextlib
import http.server
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw

__all__ = ["CAPTIONS", "Site", "build_site", "serve"]

COLORS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200), "yellow": (230, 210, 40)}
SHAPES = ("circle", "square", "triangle")
FIELDS = {"white": (250, 250, 250), "black": (10, 10, 10)}
CAPTIONS = [f"a {color} {shape} on a {field} field" for color in COLORS for shape in SHAPES for field in FIELDS]


def _draw(caption: str, path: Path) -> None:
    _, color, shape, _, _, ground, _ = caption.split()
    picture = Image.new("RGB", (160, 120), FIELDS[ground])
    pen = ImageDraw.Draw(picture)
    box = (40, 20, 120, 100)
    if shape == "circle":
        pen.ellipse(box, COLORS[color])
    elif shape == "square":
        pen.rectangle(box, COLORS[color])
    else:
        pen.polygon([(80, 20), (120, 100), (40, 100)], COLORS[color])
    # A picture of its own for every caption, so that no two files are alike.
    pen.point([(index % 160, index // 160) for index in range(len(caption))], COLORS[color])
    picture.save(path)


def build_site(folder: Path) -> None:
    """Writes pages of four pictures each, icons with useless texts, a dead picture and pages that robots.txt closes."""
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (16, 16), (9, 9, 9)).save(folder / "images" / "icon.png")
    links = []
    for number in range(0, len(CAPTIONS), 4):
        parts = [
            '<img src="images/icon.png" alt="Note">',
            '<img src="images/dead.png" alt="a purple circle that is not there">',
        ]
        for index, caption in enumerate(CAPTIONS[number : number + 4], number):
            _draw(caption, folder / "images" / f"{index:03}.png")
            parts.append(f'<p><img src="images/{index:03}.png" alt="{caption}" width="160" height="120"></p>')
        name = f"page{number:03}.html"
        links.append(f'<li><a href="{name}">Page {number}</a></li>')
        body = "\n".join(parts)
        (folder / name).write_text(f'<html lang="en"><title>Shapes {number}</title><body>{body}</body></html>')
    (folder / "private").mkdir()
    (folder / "private" / "index.html").write_text('<img src="../images/000.png" alt="a secret red circle">')
    listing = "\n".join(links)
    (folder / "index.html").write_text(
        f'<html lang="en"><title>Shapes</title><body><ul>{listing}</ul>'
        '<a href="private/index.html">private</a></body></html>'
    )
    (folder / "robots.txt").write_text("User-agent: *\nDisallow: /private/\n")


@dataclass
class Site:
    """A running server: its address, the paths it was asked for and when (monotonic seconds), and those it answers with
    503."""

    url: str
    asked: list[str] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)


class _Server(http.server.ThreadingHTTPServer):
    """One that says nothing of clients that were killed."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextlib.contextmanager
def serve(folder: Path, address: str = "127.0.0.1") -> Iterator[Site]:
    """Serves ``folder`` on a free port of a loopback address while the block runs."""
    site = Site("")

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, directory=str(folder), **options)  # type: ignore[misc, arg-type]

        def do_GET(self) -> None:
            site.moments.append(time.monotonic())
            site.asked.append(self.path)
            if self.path in site.failing:
                self.send_error(503)
            else:
                super().do_GET()

        def log_message(self, *args: object) -> None:  # type: ignore[override]
            pass

    server = _Server((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        site.url = f"http://{address}:{server.server_port}/"
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
