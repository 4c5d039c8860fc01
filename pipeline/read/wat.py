"""Candidate pairs from WAT files: the metadata that Common Crawl publishes for each page, so without the pages
themselves.

In: a path or URL of a WAT file. Out: :class:`Extracted` pieces in file order. A WAT record is JSON with the response's
headers, the page's meta tags and its links; an image is a link with ``path`` ``IMG@/src`` and, where the page gave
them, ``alt`` and ``title``, or a meta tag of Open Graph. Captions of figures are not in a WAT file, so a WARC of the
same pages gives more.
"""

import json
from collections.abc import Iterator
from typing import Any

from pipeline.net.config import HttpConfig
from pipeline.net.transport import Headers
from pipeline.read.addresses import is_placeholder, names_vectors
from pipeline.read.archive import read_metadata
from pipeline.read.archive_items import Problem, Response
from pipeline.read.choose import choose, plain
from pipeline.read.config import ExtractConfig
from pipeline.read.declared import images_of_metas
from pipeline.read.pages import Page, Pair
from pipeline.read.srcset import best_of_srcset
from pipeline.read.tables import Extracted, Rows, page_consent
from pipeline.read.urls import Resolver, canonical
from webimagetext.foreign import valid

__all__ = ["read_wat"]

PIECE_ROWS = 10_000
_IMAGE_PATHS = ("IMG@/src", "IMG@/data-src", "IMG@/srcset", "IMG@/data-srcset")
_TEXTS = ("alt", "title", "aria-label")


def read_wat(path: str, extract: ExtractConfig, http: HttpConfig) -> Iterator[Extracted]:
    """Reads one WAT file. ``http`` says which refusals bind. Raises UserError when it cannot be opened."""
    rows = Rows("wat")
    for item in read_metadata(path, extract.max_page_bytes):
        if isinstance(item, Problem):
            rows.reject(item.url or path, "page", item.reason, item.url, item.detail)
        elif isinstance(item, Response):
            _add_record(rows, item, extract, http)
        if len(rows) >= PIECE_ROWS:
            yield rows.take()
    yield rows.take()


def _add_record(rows: Rows, record: Response, extract: ExtractConfig, http: HttpConfig) -> None:
    try:
        content = json.loads(record.body)
    except (ValueError, RecursionError):
        rows.reject(record.url, "page", "broken_json", record.url)
        return
    envelope = _within(content, "Envelope")
    response = _within(envelope, "Payload-Metadata", "HTTP-Response-Metadata")
    html = _within(response, "HTML-Metadata")
    url = canonical(_text(_within(envelope, "WARC-Header-Metadata"), "WARC-Target-URI") or record.url)
    if not html or url is None:
        return  # of a request, or of something that is no page
    status = _text(_within(response, "Response-Message"), "Status")
    if status not in ("200", ""):
        number = status.isascii() and status.isdigit() and len(status) == 3
        rows.reject(url, "page", f"http_{status}" if number else "bad_response", url, "" if number else status)
        return
    page = _page(html, url, extract)
    rows.add_page(page, url, page_consent(page, _headers(response), http, ["robots.txt: as the archive was made"]))


def _page(html: dict[str, Any], url: str, extract: ExtractConfig) -> Page:
    head = _within(html, "Head")
    page = Page(title=_text(head, "Title"))
    for meta in _dicts(head, "Metas"):
        name = _text(meta, "name") or _text(meta, "property")
        if name:
            page.metas.append((name.strip().lower(), _text(meta, "content")))
    base = Resolver(url)(_text(head, "Base")) if _text(head, "Base") else None
    resolve = Resolver(base or url)
    pairs: dict[tuple[str, str], Pair] = {}
    for link in _dicts(html, "Links"):
        kind, address = _text(link, "path"), _text(link, "url")
        if kind not in _IMAGE_PATHS or not address:
            continue
        if kind.endswith("srcset"):
            address = best_of_srcset(address, extract.image_width) or ""
        absolute = resolve(address)
        texts, caption = choose((name, plain(_text(link, name))) for name in _TEXTS if _text(link, name))
        if is_placeholder(address):
            page.skipped.append((address[:200], "placeholder"))
        elif names_vectors(address):
            page.skipped.append((address[:200], "vector_picture"))
        elif absolute is None:
            page.skipped.append((address[:200], "data_uri" if address.startswith("data:") else "bad_url"))
        elif not caption:
            page.skipped.append((absolute, "no_text"))
        else:
            pairs.setdefault((absolute, caption), Pair(absolute, caption, texts))
    for address, told, _ in images_of_metas(page.metas):
        absolute = resolve(address)
        texts, caption = choose((kind, plain(text)) for kind, text in told)
        if absolute is not None and caption:
            pairs.setdefault((absolute, caption), Pair(absolute, caption, texts))
    page.pairs = list(pairs.values())
    return page


def _headers(response: dict[str, Any]) -> Headers:
    headers: Headers = {}
    for name, value in _within(response, "Headers").items():
        values = value if isinstance(value, list) else [value]
        headers[valid(name).lower()] = tuple(valid(item) for item in values if isinstance(item, str))
    return headers


def _within(value: Any, *names: str) -> dict[str, Any]:
    """The object at a path of keys; empty where anything else is there."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _dicts(value: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    items = value.get(name)
    return (item for item in items if isinstance(item, dict)) if isinstance(items, list) else iter(())


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return valid(found) if isinstance(found, str) else ""
