"""Candidate pairs, and image bodies, from WARC and ARC files.

In: a path or URL of an archive. Out: :class:`Extracted` pieces in file order. A record that cannot be used is a row of
the ledger; no broken record ends the reading of a file. An image that is in the archive itself comes out as a body, and
an address for which the archive holds anything else comes out as held, so that nobody has to ask its server again.
"""

import re
from collections.abc import Iterator

from pipeline.image.config import PICTURE_TYPES
from pipeline.net.body import BadEncodingError, BodyTooLargeError
from pipeline.net.config import HttpConfig
from pipeline.net.consent import decide, header_refusals
from pipeline.net.sniff import SNIFFED, is_picture
from pipeline.read.archive import read_responses
from pipeline.read.archive_items import Item, Passed, Problem, Response
from pipeline.read.config import ExtractConfig
from pipeline.read.pages import extract_page
from pipeline.read.payload import decode_payload
from pipeline.read.tables import Body, Extracted, Rows, page_consent
from pipeline.read.urls import canonical, picture_url

__all__ = ["PAGE_TYPES", "PIECE_ROWS", "add_record", "read_warc"]

PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|!--|\?xml|(?:html|head|body|meta|title|script|div|p|h1)\b)", re.IGNORECASE
)
PIECE_ROWS = 10_000
PIECE_BYTES = 64_000_000


def read_warc(path: str, extract: ExtractConfig, http: HttpConfig) -> Iterator[Extracted]:
    """Reads one archive. ``http`` says which refusals bind, and the largest body. Raises UserError when it cannot be
    opened."""
    rows = Rows("warc")

    def wanted(media_type: str) -> bool:
        return media_type in ("", *PAGE_TYPES) or (extract.archive_images and media_type.startswith(PICTURE_TYPES))

    for item in read_responses(path, wanted, http.max_bytes):
        add_record(rows, item, path, extract, http)
        if len(rows) >= PIECE_ROWS or rows.body_bytes >= PIECE_BYTES:
            yield rows.take()
    yield rows.take()


def add_record(rows: Rows, item: Item, place: str, extract: ExtractConfig, http: HttpConfig) -> None:
    """What one record of an archive gives; ``place`` stands for one without an address."""
    if isinstance(item, Passed):
        rows.hold(item.url, item.reason, item.detail)
    elif isinstance(item, Problem):
        rows.reject(item.url or place, "page", item.reason, item.url, item.detail)
        rows.hold(item.url or "", item.reason, item.detail)
    elif (kind := _kind(item, extract)) == "page":
        _add_page(rows, item, extract, http)
        rows.hold(item.url, "wrong_type")
    elif kind == "image":
        _add_image(rows, item, http)
    else:
        rows.hold(item.url, "wrong_type")


def _kind(response: Response, extract: ExtractConfig) -> str:
    """What a response is: "page", "image" or neither, by its type, and by its first bytes where those say more."""
    if is_picture(response.body[:SNIFFED]):
        return "image" if extract.archive_images else ""
    if response.media_type in PAGE_TYPES:
        return "page"
    if response.media_type:
        return "image"
    coding = response.headers.get("content-encoding", ("",))[0]
    try:
        head = decode_payload(response.body[:4096], "", coding, 1 << 20, partial=True)
    except (BadEncodingError, BodyTooLargeError):
        return ""
    if is_picture(head[:SNIFFED]):
        return "image" if extract.archive_images else ""
    return "page" if _MARKUP.match(head) else ""


def _decoded(rows: Rows, response: Response, subject: str, max_bytes: int) -> bytes:
    """The decoded body; empty, with a row in the ledger, when there is none."""

    def reject(reason: str, detail: str = "") -> None:
        rows.reject(response.url, subject, reason, response.url, detail)
        rows.hold(response.url, reason, detail)

    transfer, content = (response.headers.get(f"{name}-encoding", ("",))[0] for name in ("transfer", "content"))
    try:
        body = decode_payload(response.body, transfer, content, max_bytes, partial=subject == "page")
    except BodyTooLargeError:
        reject("too_large")
    except BadEncodingError as error:
        reject("bad_encoding", str(error))
    else:
        if body:
            return body
        reject("empty_body")
    return b""


def _add_page(rows: Rows, response: Response, extract: ExtractConfig, http: HttpConfig) -> None:
    body = _decoded(rows, response, "page", extract.max_page_bytes)
    url = canonical(response.url)
    if not body or url is None:
        return
    content_type = response.headers.get("content-type", ("",))[0]
    page = extract_page(body, url, content_type, image_width=extract.image_width, links=False)
    rows.add_page(page, url, page_consent(page, response.headers, http, ["robots.txt: as the archive was made"]))


def _add_image(rows: Rows, response: Response, http: HttpConfig) -> None:
    url = picture_url(response.url)
    if url is None:
        rows.reject(response.url, "image", "bad_url", response.url)
        return
    refusals = header_refusals(response.headers, http)
    consent = decide(refusals, ["robots.txt: as the archive was made"], http)
    if not consent.allowed:
        rows.reject(url, "image", f"refused_by_{consent.decision}", url, consent.detail)
        rows.hold(url, f"refused_by_{consent.decision}", consent.detail)
        return
    body = _decoded(rows, response, "image", http.max_bytes)
    if body:
        rows.add_body(Body(url, response.media_type, body, consent.decision, consent.evidence))
