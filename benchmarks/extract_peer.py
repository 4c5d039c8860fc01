"""The usual way to get images and texts out of a WARC file, timed: warcio reads it, Beautiful Soup (with lxml) parses
the pages.

In: a WARC file, a file for the pairs. Out: the pairs as JSON lines [image URL, alt text], and on the last line of the
output the processor seconds of each part. Runs in the peers' environment and imports nothing of this project.
"""

import json
import sys
import time
from urllib.parse import urljoin

from bs4 import BeautifulSoup
from warcio.archiveiterator import ArchiveIterator

ROUNDS = 3


def read(path: str) -> list[tuple[str, bytes]]:
    """(URL, body) of every HTML response."""
    pages = []
    with open(path, "rb") as stream:
        for record in ArchiveIterator(stream):
            if record.rec_type == "response" and "html" in record.http_headers.get_header("Content-Type", ""):
                pages.append((record.rec_headers.get_header("WARC-Target-URI"), record.content_stream().read()))
    return pages


def extract(url: str, body: bytes) -> list[tuple[str, str]]:
    """(image URL, alt text) of every image that has both."""
    soup = BeautifulSoup(body, "lxml")
    images = soup.find_all("img", src=True, alt=True)
    return [(urljoin(url, image["src"]), " ".join(image["alt"].split())) for image in images]


def main(archive: str, output: str) -> None:
    """Times both parts and writes the pairs."""
    reading, extracting = [], []
    for _ in range(ROUNDS):
        began = time.process_time()
        pages = read(archive)
        reading.append(time.process_time() - began)
        began = time.process_time()
        pairs = [pair for url, body in pages for pair in extract(url, body)]
        extracting.append(time.process_time() - began)
    with open(output, "w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(pair) + "\n" for pair in pairs)
    print(json.dumps({"reading": min(reading), "extracting": min(extracting), "pages": len(pages)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
