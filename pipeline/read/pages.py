"""The image and text pairs of an HTML page, its links, and what it says about the use of its content.

In: the bytes of a page. Out: :class:`Page`. Imports neither the network nor Arrow, so crawls and archives share it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.read.addresses import address_of, names_picture, names_vectors
from pipeline.read.charset import decode
from pipeline.read.choose import LOOKED_AT, choose, plain
from pipeline.read.declared import Declared, images_of_json, images_of_metas
from pipeline.read.links import links_of
from pipeline.read.markup import parse
from pipeline.read.nearby import Nearby
from pipeline.read.rendered import text_of, walk
from pipeline.read.urls import Resolver
from pipeline.text.detectors import language_of

__all__ = ["Page", "Pair", "extract_page"]

MAX_PAIRS = 5_000  # of one page
MAX_IDS = 20_000
MAX_OBJECTS = 1_000  # of microdata
PROSE = 250  # characters that tell the language of a page
TINY = 2  # pixels; a picture of these sides counts visitors, or keeps a place

_NUMBER = re.compile(r"\s*(\d{1,5})(?:\.\d+)?\s*(?:px)?\s*$")
_REFRESH = re.compile(r"\s*[\d.]*+\s*[;,\s]\s*(?:url\s*=)?\s*[\"']?\s*([^\"'\s][^\"']*)", re.IGNORECASE)
_TINY_STYLE = re.compile(r"(?:^|;)\s*(width|height)\s*:\s*[01]px\s*(?=;|$)", re.IGNORECASE)
_SPRITE = re.compile(r"(?:^|[/_.-])sprites?[\w.-]*\.(?:png|gif|svg|webp)", re.IGNORECASE)
# All that is looked at of a page, found in one pass; those that show a picture, and those that speak of the page.
_SHOWN = "img, amp-img, amp-anim, video[poster], object[data]"
_SAID = "meta, title, base[href], link[rel~=canonical][href], script[type], picture, p"
_WANTED = f"{_SHOWN}, {_SAID}"
_SAID_TAGS = frozenset({"meta", "title", "base", "link", "script", "picture", "p"})


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
    language: str = ""  # of its text, else as it declares
    title: str = ""
    metas: list[tuple[str, str]] = field(default_factory=list)  # names in lower case, for the consent rules
    skipped: list[tuple[str, str]] = field(default_factory=list)
    canonical: str = ""  # the address that the page gives as its own, absolute
    refresh: str = ""  # where it sends its reader on, absolute


def extract_page(
    content: bytes, url: str, content_type: str = "", *, image_width: int = 1024, links: bool = True
) -> Page:
    """Reads a page. ``url`` is where it came from, the base of its relative URLs unless it has a ``<base>``.

    Every ``<img>`` (``<amp-img>``, a video's poster, a picture as ``<object>``), every Open Graph or Twitter image and
    every ImageObject of JSON-LD make a pair each, if they have an address and a text. The address is that which
    addresses.py finds, in a set the smallest at least ``image_width`` pixels wide. An image's texts, in order of
    preference: alt, figcaption (of the enclosing figure), caption (an element that its class marks as the caption of
    the image's block, or a caption that follows the image), title, aria-label, aria-labelledby, link_title (of the
    enclosing link); for an Open Graph image og:image:alt, og:title, og:description.

    **The caption is the first text, in that order, of at least three words; failing that, the first of two; failing
    that, the first.** A text that is but a file name or a URL, or has no letter, is no text. Equal (image, caption)
    pairs are one pair. Images that by their markup are no part of the content (a role of presentation, sides of a
    pixel, sprites, stand-ins) make no pair, nor do drawings in SVG.
    """
    text = decode(content, content_type)
    trees = parse(text, xhtml="xhtml" in content_type)
    parts = list(map(_Parts, trees))
    page = Page()
    head = parts[0].said
    refresh = _read_head(page, trees[0], head)
    resolve = Resolver(url)
    if "base" in head and (target := resolve(head["base"][0].attributes.get("href") or "")):
        resolve = Resolver(target)
    page.refresh = resolve(refresh) or "" if refresh else ""
    if "link" in head:
        page.canonical = resolve(head["link"][0].attributes.get("href") or "") or ""
    nearby = Nearby(microdata="ImageObject" in text)
    pairs: dict[tuple[str, str], Pair] = {}
    for address, texts, sides in _images(page, parts, nearby, image_width):
        absolute = resolve(address)
        if absolute is None:
            page.skipped.append((address[:200], "bad_url"))
            continue
        kept, caption = choose(texts)
        if not caption:
            page.skipped.append((absolute, "no_text"))
        elif (absolute, caption) not in pairs and len(pairs) < MAX_PAIRS:
            pairs[absolute, caption] = Pair(absolute, caption, kept, *map(_size, sides))
    page.pairs = list(pairs.values())
    if pairs:
        page.language = language_of(_prose(parts[0])) or page.language
    if links:
        page.links = links_of(trees, resolve)
    return page


def _prose(part: "_Parts") -> str:
    """The first sentences of a page, as much as tells their language."""
    text = _beginning("", part.said.get("p", ()))
    return text if len(text) >= PROSE // 2 else _beginning(text, part.tree.css("li, dd, td"))


def _beginning(text: str, nodes: Iterable[LexborNode]) -> str:
    for node in nodes:
        if len(text) >= PROSE:
            break
        text = f"{text} {' '.join(node.text().split())}"
    return text[:PROSE].strip()


_NAMED = ("aria-labelledby", "aria-describedby")


class _Parts:
    """The elements of a tree that are looked at: ``shown`` in the order of the page, ``said`` by their tags."""

    def __init__(self, tree: LexborHTMLParser) -> None:
        self.tree = tree
        self.shown: list[tuple[str, LexborNode]] = []
        self.said: dict[str, list[LexborNode]] = {}
        for node in tree.css(_WANTED):
            tag = node.tag or ""
            if tag in _SAID_TAGS:
                self.said.setdefault(tag, []).append(node)
            else:
                self.shown.append((tag, node))


def _read_head(page: Page, tree: LexborHTMLParser, head: dict[str, list[LexborNode]]) -> str:
    """Reads language, title and meta tags; returns where a refresh leads, as written."""
    html = tree.root
    if html is not None:
        attributes = html.attributes
        page.language = plain(attributes.get("lang") or attributes.get("xml:lang") or "")[:35].lower()
    refresh = ""
    for meta in head.get("meta", ()):
        attributes = meta.attributes
        name = attributes.get("name") or attributes.get("property") or ""
        content = attributes.get("content") or ""
        if name and content:
            page.metas.append((name.strip().lower()[:100], content[:LOOKED_AT]))
            continue
        told = (attributes.get("http-equiv") or "").lower()
        if told == "content-language" and not page.language:
            page.language = plain(content)[:35].lower()
        elif told == "x-robots-tag":
            page.metas.append(("robots", content[:LOOKED_AT]))
        elif told == "refresh" and not refresh and (found := _REFRESH.match(content)):
            refresh = found.group(1).strip()
    page.title = plain(head["title"][0].text()) if "title" in head else ""
    return refresh


# Address, texts, and the two sides as declared, of one image.
Found = tuple[str, list[tuple[str, str]], tuple[str | None, str | None]]


def _images(page: Page, parts: list[_Parts], nearby: Nearby, image_width: int) -> Iterator[Found]:
    labels = _Labels(parts)
    for part in parts:
        pictures = "picture" in part.said
        for tag, node in part.shown:
            attributes = node.attributes
            sides = attributes.get("width"), attributes.get("height")
            if "layout" in attributes:  # of AMP: the sides may be but their proportion
                sides = None, None
            if tag in ("video", "object"):
                address, reason = _embedded(node, attributes)
            else:
                address, reason = address_of(node, attributes, image_width, pictures=pictures)
            if not reason and ("role" in attributes or sides[0] or "style" in attributes or "sprite" in address):
                reason = _no_content(attributes, address, sides)
            if not reason and names_vectors(address):
                reason = "vector_picture"
            if reason:
                page.skipped.append((address[:200], reason))
            elif address:
                yield address, _texts(node, attributes, nearby, labels), sides
    declared = [*images_of_metas(page.metas), *_of_scripts(parts), *(_of_microdata(parts) if nearby.microdata else ())]
    for address, found, stated in declared:
        if names_vectors(address):
            page.skipped.append((address[:200], "vector_picture"))
            continue
        sides = stated.get("width"), stated.get("height")
        yield address, [(kind, cleaned) for kind, text in found if (cleaned := plain(text))], sides


def _of_scripts(parts: Iterable[_Parts]) -> Iterator[Declared]:
    for part in parts:
        for script in part.said.get("script", ()):
            if (script.attributes.get("type") or "").partition(";")[0].strip().lower() == "application/ld+json":
                yield from images_of_json(script.text())


def _of_microdata(parts: Iterable[_Parts]) -> Iterator[Declared]:
    """The objects of type ImageObject whose address stands in a link or a meta tag, not in an image."""
    for part in parts:
        for node in part.tree.css("[itemtype*=ImageObject]")[:MAX_OBJECTS]:
            said: dict[str, str] = {}
            for found, begins in walk(node, lambda _: False):
                if begins and found.is_element_node and (name := found.attributes.get("itemprop")):
                    attributes = found.attributes
                    value = attributes.get("href") or attributes.get("content") or ""
                    said.setdefault(name, value if found.tag in ("link", "meta", "a") else text_of(found))
            address = said.get("contentUrl") or said.get("url") or ""
            texts = [(name, said[name]) for name in ("caption", "description", "name") if said.get(name)]
            if address and texts:
                yield address, texts, {}


def _embedded(node: LexborNode, attributes: dict[str, str | None]) -> tuple[str, str]:
    """The address of a video's poster or of an object that is a picture; both empty for other objects."""
    if node.tag == "object":
        kind, address = (attributes.get("type") or "").lower(), (attributes.get("data") or "").strip()
        if not kind.startswith("image/") and (kind or not names_picture(address)):
            return "", ""
    else:
        address = (attributes.get("poster") or "").strip()
    return ("", "data_uri") if address[:5].lower() == "data:" else (address, "")


def _no_content(attributes: dict[str, str | None], address: str, sides: tuple[str | None, str | None]) -> str:
    """Why an image is no part of the page's content, by what its markup says; "" where it may be one."""
    role = attributes.get("role")
    if role and role.strip().lower() in ("presentation", "none") and not attributes.get("aria-label"):
        return "decorative"
    width, height = map(_size, sides) if sides[0] and sides[1] else (None, None)
    if width is not None and height is not None and max(width, height) <= TINY:
        return "tracking_pixel"
    style = attributes.get("style")
    if style and len({side.lower() for side in _TINY_STYLE.findall(style)}) == 2:
        return "tracking_pixel"
    return "sprite" if "sprite" in address and _SPRITE.search(address) else ""


class _Labels:
    """The elements of a page by their ids, looked for once there is an image that names one."""

    def __init__(self, parts: list[_Parts]) -> None:
        self._parts = parts
        self._nodes: dict[str, LexborNode] | None = None

    def __call__(self, ids: str | None) -> str:
        """The texts of the elements that a list of ids names."""
        if not ids:
            return ""
        if self._nodes is None:
            self._nodes = {}
            for part in self._parts:
                for node in part.tree.css("[id]")[:MAX_IDS]:
                    self._nodes.setdefault(node.attributes.get("id") or "", node)
        return " ".join(text_of(self._nodes[name]) for name in ids.split()[:4] if name in self._nodes)


def _texts(
    node: LexborNode, attributes: dict[str, str | None], nearby: Nearby, labels: _Labels
) -> list[tuple[str, str]]:
    texts = [("alt", attributes.get("alt")), nearby(node)]
    texts += [(name, attributes[name]) for name in ("title", "aria-label") if name in attributes]
    texts += [(name, labels(attributes[name])) for name in _NAMED if name in attributes]
    if "data" in attributes and node.tag == "object":
        texts.append(("fallback", text_of(node)))
    parent = node.parent
    if parent is not None and parent.tag == "a":
        texts.append(("link_title", parent.attributes.get("title")))
    return [(kind, cleaned) for kind, text in texts if text and (cleaned := plain(text))]


def _size(value: str | None) -> int | None:
    found = _NUMBER.match(value) if value else None
    return int(found.group(1)) if found else None
