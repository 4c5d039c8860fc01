"""The image and text pairs of an HTML page, its links, and what it says about the use of its content.

In: the bytes of a page. Out: :class:`Page`. Imports neither the network nor Arrow, so crawls and archives share it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.read.choose import MAX_TEXT, choose, plain
from pipeline.read.markup import decode, parse
from pipeline.read.nearby import Nearby
from pipeline.read.srcset import best_of_srcset
from pipeline.read.urls import Resolver

__all__ = ["Page", "Pair", "extract_page"]

MAX_PAIRS = 5_000  # of one page
MAX_LINKS = 5_000

# Attributes in which scripts find the address of an image that is loaded late, the most telling first.
_LAZY = ("data-src", "data-original", "data-lazy-src", "data-lazy", "data-url", "data-img-src", "data-hi-res-src")
_SETS = ("srcset", "data-srcset", "data-lazy-srcset")
_OTHER_ADDRESSES = frozenset({*_LAZY, *_SETS})
_IMAGE_NAME = re.compile(r"\.(jpe?g|png|gif|webp|avif|bmp|tiff?)\b|^(https?:)?//|^/", re.IGNORECASE)
_BASE = re.compile("<base", re.IGNORECASE)
_NUMBER = re.compile(r"\s*(\d{1,5})(?:\.\d+)?\s*(?:px)?\s*$")
_OPEN_GRAPH = ("og:title", "og:description")


@dataclass(slots=True)
class Pair:
    """An image of a page with its texts. ``texts`` are (kind, text) in order of preference, ``caption`` the chosen
    one."""

    url: str
    caption: str
    texts: list[tuple[str, str]]
    width: int | None = None  # as declared in the markup, pixels
    height: int | None = None


@dataclass(slots=True)
class Page:
    """What a page holds. ``skipped`` are images that make no pair, as (URL or a word for it, reason)."""

    pairs: list[Pair] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    language: str = ""
    title: str = ""
    metas: list[tuple[str, str]] = field(default_factory=list)  # names in lower case, for the consent rules
    skipped: list[tuple[str, str]] = field(default_factory=list)


def extract_page(
    content: bytes, url: str, content_type: str = "", *, image_width: int = 1024, links: bool = True
) -> Page:
    """Reads a page. ``url`` is where it came from, the base of its relative URLs unless it has a ``<base>``.

    Every ``<img>`` and the Open Graph image make a pair each, if they have an address and a text. Of several addresses
    (picture, srcset, attributes of lazy loading, src) the first of these that is there is taken, and in a set the
    smallest at least ``image_width`` pixels wide. Its texts, in order of preference: alt, figcaption (of the enclosing
    figure), caption (an element that its class marks as the caption of the image's block, or a caption that follows the
    image), title, aria-label, link_title (of the enclosing link); for the Open Graph image og:image:alt, og:title,
    og:description.

    **The caption is the first text, in that order, of at least three words; failing that, the first of two; failing
    that, the first.** A text that is but a file name or a URL, or has no letter, is no text. Equal (image, caption)
    pairs are one pair.
    """
    text = decode(content, content_type)
    trees = parse(text, xhtml="xhtml" in content_type)
    page = Page()
    head = trees[0]
    _read_head(page, head)
    resolve = Resolver(url)
    base = head.css_first("base[href]") if _BASE.search(text) else None
    if base is not None and (target := resolve(base.attributes.get("href") or "")):
        resolve = Resolver(target)
    pairs: dict[tuple[str, str], Pair] = {}
    for address, texts, attributes in _images(page, trees, image_width):
        absolute = resolve(address)
        if absolute is None:
            page.skipped.append((address[:200], "bad_url"))
            continue
        kept, caption = choose(texts)
        if not caption:
            page.skipped.append((absolute, "no_text"))
        elif (absolute, caption) not in pairs and len(pairs) < MAX_PAIRS:
            size = _size(attributes.get("width")), _size(attributes.get("height"))
            pairs[absolute, caption] = Pair(absolute, caption, kept, *size)
    page.pairs = list(pairs.values())
    if links:
        page.links = _links(trees, resolve)
    return page


def _read_head(page: Page, tree: LexborHTMLParser) -> None:
    html = tree.root
    if html is not None:
        attributes = html.attributes
        page.language = plain(attributes.get("lang") or attributes.get("xml:lang") or "")[:35].lower()
    for meta in tree.css("meta"):
        attributes = meta.attributes
        name = attributes.get("name") or attributes.get("property") or ""
        content = attributes.get("content") or ""
        if name and content:
            page.metas.append((name.strip().lower()[:100], content[:MAX_TEXT]))
        elif (attributes.get("http-equiv") or "").lower() == "content-language" and not page.language:
            page.language = plain(content)[:35].lower()
    title = tree.css_first("title")
    page.title = plain(title.text()) if title is not None else ""


Found = tuple[str, list[tuple[str, str]], dict[str, str | None]]  # address, texts, attributes of one image


def _images(page: Page, trees: Iterable[LexborHTMLParser], image_width: int) -> Iterator[Found]:
    nearby = Nearby()
    for tree in trees:
        for node in tree.css("img"):
            attributes = node.attributes
            parent = node.parent
            address = _address(node, parent, attributes, image_width)
            if not address:
                page.skipped.append(("", "data_uri" if attributes.get("src") else "no_address"))
                continue
            yield address, _texts(node, parent, attributes, nearby), attributes
    graph = dict(reversed(page.metas))  # the first of each name wins
    image = graph.get("og:image") or graph.get("og:image:url")
    if image:
        texts = [
            ("og:image:alt", graph.get("og:image:alt", "")),
            *((name, graph.get(name, "")) for name in _OPEN_GRAPH),
        ]
        size: dict[str, str | None] = {"width": graph.get("og:image:width"), "height": graph.get("og:image:height")}
        yield image, [(kind, plain(text)) for kind, text in texts if text], size


def _address(
    node: LexborNode, parent: LexborNode | None, attributes: dict[str, str | None], image_width: int
) -> str | None:
    """The address to fetch an ``<img>`` from, as written; None when it has none but a data: URI."""
    if parent is not None and parent.tag == "picture":
        for source in parent.css("source"):
            value = source.attributes.get("srcset") or source.attributes.get("data-srcset")
            if value and (best := best_of_srcset(value, image_width)):
                return best
    if len(attributes) > 2 and attributes.keys() & _OTHER_ADDRESSES:
        address = _other_address(attributes, image_width)
        if address:
            return address
    source_value = (attributes.get("src") or "").strip()
    return None if source_value[:5].lower() == "data:" else source_value


def _other_address(attributes: dict[str, str | None], image_width: int) -> str | None:
    for name in _SETS:
        value = attributes.get(name)
        if value and (best := best_of_srcset(value, image_width)):
            return best
    for name in _LAZY:
        value = attributes.get(name)
        if value and not value.startswith("data:") and _IMAGE_NAME.search(value):
            return value
    return None


def _texts(
    node: LexborNode, parent: LexborNode | None, attributes: dict[str, str | None], nearby: Nearby
) -> list[tuple[str, str]]:
    texts = [("alt", attributes.get("alt")), nearby(node)]
    texts += [("title", attributes.get("title")), ("aria-label", attributes.get("aria-label"))]
    if parent is not None and parent.tag == "a":
        texts.append(("link_title", parent.attributes.get("title")))
    return [(kind, cleaned) for kind, text in texts if text and (cleaned := plain(text))]


def _links(trees: Iterable[LexborHTMLParser], resolve: Resolver) -> list[str]:
    """Targets of links that do not ask not to be followed, in page order, each once."""
    raw: dict[str, None] = {}
    for tree in trees:
        for node in tree.css("a[href], area[href], frame[src]"):
            attributes = node.attributes
            if "nofollow" not in (attributes.get("rel") or "").lower():
                raw[(attributes.get("href") or attributes.get("src") or "").partition("#")[0]] = None
        if len(raw) > MAX_LINKS:
            break
    found = (resolve(reference) for reference in list(raw)[:MAX_LINKS] if reference)
    return list(dict.fromkeys(target for target in found if target))


def _size(value: str | None) -> int | None:
    found = _NUMBER.match(value) if value else None
    return int(found.group(1)) if found else None
