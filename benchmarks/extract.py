"""Image and text pairs from a WARC file of a real web site, against warcio and Beautiful Soup.

In: the demo's site, 685 pages, packed into a WARC file. Out: pages a processor-second from file to pairs, the parts of
it, and whether every (image, alt text) that the peer found is among ours. Ours does more in its time: captions, titles,
lazy loading, srcset, consent. ``command`` is the whole of ``pipeline extract`` with its defaults, its start and its
tables included, on ``COPIES`` such files whose addresses differ.
"""

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from benchmarks.peers import run_in_peers
from benchmarks.resources import measure
from benchmarks.table import Row, figure, times
from examples.demo.inputs import gimp_manual
from pipeline.net.config import HttpConfig
from pipeline.read.archive import read_responses
from pipeline.read.archive_items import Response
from pipeline.read.choose import is_text
from pipeline.read.config import ExtractConfig
from pipeline.read.pages import extract_page
from pipeline.read.warc import PAGE_TYPES, read_warc

__all__ = ["rows", "run"]

ROOT = Path(__file__).parents[1]
ROUNDS = 3
COPIES = 20
TIMEOUT = 900.0
ORIGIN = "https://manual{}.example.org/en"
CONFIG = """[extract]
source = "warc"
inputs = ["{inputs}"]
[http]
contact = "you@example.org"
"""
HEADERS = [("Content-Type", "text/html; charset=utf-8"), ("Server", "example"), ("Cache-Control", "max-age=60")]


def run() -> dict[str, Any]:
    """The comparison; needs the peers' environment and, once, the site."""
    site = gimp_manual(ROOT / ".cache" / "demo") / "en"
    with tempfile.TemporaryDirectory() as scratch:
        archive, listed = Path(scratch) / "site.warc.gz", Path(scratch) / "pairs.jsonl"
        _pack(site, archive, 0)
        command = _command_seconds(site, Path(scratch))
        peer = run_in_peers(ROOT / "benchmarks" / "extract_peer.py", archive, listed)
        theirs = {tuple(json.loads(line)) for line in listed.read_text(encoding="utf-8").splitlines()}
        pieces = list(read_warc(str(archive), ExtractConfig(), HttpConfig()))
        whole = _seconds(lambda: list(read_warc(str(archive), ExtractConfig(), HttpConfig())))
        responses = [found for found in _responses(archive) if isinstance(found, Response)]
        reading = _seconds(lambda: list(_responses(archive)))
        extracting = _seconds(lambda: [extract_page(page.body, page.url, links=False) for page in responses])
    pages = len(responses)
    ours = {
        (row["url"], text["text"])
        for piece in pieces
        for row in piece.candidates.to_pylist()
        for text in row["texts"]
        if text["kind"] == "alt"
    }
    their_whole = peer["reading"] + peer["extracting"]
    return {
        "ours": round(pages / whole, 1),
        "peer": round(pages / their_whole, 1),
        "ratio": round(their_whole / whole, 2),
        "unit": "pages per processor-second, from WARC to pairs",
        "equal": pages == peer["pages"] and ours == {pair for pair in theirs if is_text(pair[1])},
        "pages": pages,
        "command": round(COPIES * pages / command, 1),
        "command_pages": COPIES * pages,
        "html": {"ours": round(pages / extracting, 1), "peer": round(pages / peer["extracting"], 1)},
        "warc": {"ours": round(pages / reading, 1), "peer": round(pages / peer["reading"], 1)},
    }


def _command_seconds(site: Path, folder: Path) -> float:
    """Processor seconds of the whole command on the copies."""
    (folder / "copies").mkdir()
    for copy in range(COPIES):
        _pack(site, folder / "copies" / f"{copy}.warc.gz", copy)
    config = folder / "run.toml"
    # The contact is for pictures that an archive lacks; extracting asks for nothing.
    config.write_text(CONFIG.format(inputs=folder / "copies" / "*.warc.gz"), encoding="utf-8")
    command = [sys.executable, "-m", "pipeline", "extract", str(config), "--output", str(folder / "run")]
    return measure(command, timeout=TIMEOUT, folder=ROOT).cpu


def _pack(site: Path, archive: Path, copy: int) -> None:
    with archive.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for path in sorted(site.glob("*.html")):
            headers = StatusAndHeaders("200 OK", HEADERS, protocol="HTTP/1.1")
            body = io.BytesIO(path.read_bytes())
            url = f"{ORIGIN.format(copy)}/{path.name}"
            writer.write_record(writer.create_warc_record(url, "response", payload=body, http_headers=headers))


def _responses(archive: Path) -> Any:
    return read_responses(str(archive), lambda media_type: media_type in PAGE_TYPES, 10_000_000)


def _seconds(work: Callable[[], object]) -> float:
    """Processor seconds of the quickest of some rounds."""
    spent = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    return [
        Row(
            f"the reader alone: {figure(result['ours'])} pages a second, WARC to pairs; the whole of `pipeline "
            f"extract` on {result['command_pages']:,} pages, start and tables included: {figure(result['command'])}",
            f"warcio and Beautiful Soup: {figure(result['peer'])}",
            f"{times(result['ratio'])}; {times(result['command'] / result['peer'])}",
        )
    ]
