"""The small site as a web archive: a WARC file of its pages and pictures, or a crawl as Common Crawl publishes one."""

import gzip
import re
from pathlib import Path

from tests.pipeline.read.archive_records import http_block, warc_record, wat_record

__all__ = ["crawl_files", "write_archive"]

_DEAD = re.compile(rb'<img src="images/dead\.png"[^>]*>')
_IMAGE = re.compile(r'<img src="([^"]*)" alt="([^"]*)"')


def write_archive(site: Path, path: Path) -> None:
    """Writes a site as a WARC file that holds all pictures which its pages show."""
    path.parent.mkdir(exist_ok=True)
    with gzip.open(path, "wb") as stream:
        for file in sorted(site.rglob("*")):
            if file.suffix in (".html", ".png"):
                kind = "text/html" if file.suffix == ".html" else "image/png"
                body = _DEAD.sub(b"", file.read_bytes())
                url = f"http://shapes.example/{file.relative_to(site)}"
                stream.write(warc_record("response", url, http_block(body, kind)))


def crawl_files(site: Path, address: str, crawl: str) -> dict[str, bytes]:
    """The files of a published crawl of the site at ``address``, one WAT file a page, and their list, by their
    paths."""
    files = {}
    for page in sorted(site.glob("page*.html")):
        links = [{"path": "IMG@/src", "url": url, "alt": alt} for url, alt in _IMAGE.findall(page.read_text())]
        record = wat_record(f"{address}{page.name}", {"Head": {"Title": page.stem}, "Links": links})
        files[f"/crawl-data/{crawl}/segments/1/wat/{page.stem}.warc.wat.gz"] = gzip.compress(record)
    listed = "".join(f"{name[1:]}\n" for name in files)
    return {**files, f"/crawl-data/{crawl}/wat.paths.gz": gzip.compress(listed.encode())}
