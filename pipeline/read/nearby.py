"""Texts beside an image: the caption of its figure, or of a block that its class marks as one.

In: the node of an ``<img>``. Out: the text. Every search is bounded (levels up, nodes looked at, characters), so that a
page of nested figures costs no more than a flat one.
"""

import functools
import re
from collections.abc import Callable
from itertools import islice

from selectolax.lexbor import LexborNode

from pipeline.read.rendered import MAX_NODES, text_of, walk

__all__ = ["Nearby"]

MAX_LEVELS = 6  # elements between an image and its figure
MAX_IMAGES = 3  # that one caption may stand for

# Classes of blocks that hold an image and its caption (DocBook, Sphinx, Asciidoctor, Texinfo, MediaWiki, WordPress,
# OpenStax, Blogger and others), and of the caption itself.
_BLOCK = re.compile(
    r"(?:^|[\s_-])(?:figure|fig|float|thumb|thumbinner|tsingle|caption|image|imageblock|photo|media|mediaobject"
    r"|gallerybox|gallery-item|picture)(?:$|[\s_-])|caption-container",
    re.IGNORECASE,
)
_CAPTION = re.compile(
    r"(?i:(?:^|[\s_-])(?:captions?|thumbcaption|gallerytext|legend)(?:$|[\s_]|-text)|^title$)|[a-z]Caption(?:$|\s)"
)
_STOP = frozenset({"body", "html", "main", "article", "section", "table", "ul", "ol", "form", "nav", "-undef"})
_NO_CAPTION = frozenset({"a", "button", "input", "img", "script", "style"})
_IMAGES = frozenset({"img", "amp-img", "video", "object"})
# What may stand around an image alone, so that a caption behind it is a caption right after the image.
_AROUND = frozenset({"a", "picture", "figure", "noscript"})
_FRAMES = frozenset({"div", "span"})
_WRAPPERS = _AROUND | _FRAMES


# A site has few names of classes, on very many elements.
@functools.lru_cache(maxsize=8192)
def _names_block(name: str) -> bool:
    return _BLOCK.search(name) is not None


@functools.lru_cache(maxsize=8192)
def _names_caption(name: str) -> bool:
    return _CAPTION.search(name) is not None


class Nearby:
    """Finds the captions of the images of one page; remembers each block it has searched. ``microdata``: whether the
    page says of elements that they are an ImageObject."""

    def __init__(self, *, microdata: bool = False) -> None:
        self._known: dict[tuple[int, Callable[[LexborNode], str]], str] = {}
        self._of_blocks: dict[int, dict[int, str]] = {}
        self.microdata = microdata

    def __call__(self, node: LexborNode) -> tuple[str, str]:
        """(kind, text): the figcaption of the nearest ``<figure>`` that has one of its own, else the caption of the
        nearest block that has one, else the caption right after the image; the text is empty where there is none.
        """
        ancestor = node.parent
        caption = ""
        figured = False
        for _ in range(MAX_LEVELS):
            if ancestor is None:
                break
            tag = ancestor.tag
            if tag == "figure":
                text = self._text(ancestor, _figcaption_of if not figured else _figcaption_of_few)
                if text:
                    return "figcaption", text
                figured = True
            if not caption and tag != "a":
                attributes = ancestor.attributes
                if (name := attributes.get("class")) and _names_block(name):
                    caption = self._captions(ancestor).get(node.mem_id, "")
                if self.microdata and "ImageObject" in (attributes.get("itemtype") or ""):
                    caption = caption or self._text(ancestor, _caption_of_object)
            if tag in _STOP:
                break
            ancestor = ancestor.parent
        if not caption and (node.next is not None or node.parent is None or node.parent.tag in _WRAPPERS):
            caption = _caption_after(node)
        return "caption", caption

    def _captions(self, block: LexborNode) -> dict[int, str]:
        key = block.mem_id
        captions = self._of_blocks.get(key)
        if captions is None:
            captions = self._of_blocks[key] = _captions_in(block)
        return captions

    def _text(self, block: LexborNode, find: Callable[[LexborNode], str]) -> str:
        key = block.mem_id, find
        text = self._known.get(key)
        if text is None:
            text = self._known[key] = find(block)
        return text


def _is_figure(node: LexborNode) -> bool:
    return bool(node.tag == "figure")


def _figcaption_of(figure: LexborNode) -> str:
    """The text of a figure's own caption, not of one within a figure that it holds."""
    for found, _ in walk(figure, _is_figure):
        if found.tag == "figcaption":
            return text_of(found)
    return ""


def _figcaption_of_few(figure: LexborNode) -> str:
    """A figure's caption where it may speak of an image in an inner figure: where there are but a few."""
    return _figcaption_of(figure) if _images_in(figure) <= MAX_IMAGES else ""


def _images_in(block: LexborNode) -> int:
    return sum(begins and found.tag == "img" for found, begins in walk(block, lambda _: False))


def _captions_in(block: LexborNode) -> dict[int, str]:
    """The captions of the images of a block, by image, that it holds outside of the figures in it.

    One caption is that of all images, if they are but a few; of several, each is that of the images before it, or of
    those behind it where the block begins with a caption.
    """
    parts: list[tuple[int, LexborNode | None]] = []  # images, and captions as nodes, in the order of the page
    images = 0
    last: LexborNode | None = None
    for found in islice(block.traverse(), MAX_NODES):
        tag = found.tag
        if tag in _IMAGES:
            images += 1
            parts.append((found.mem_id, None))
        elif tag not in _NO_CAPTION:
            name = found.attributes.get("class") if found.is_element_node else None
            if (_names_caption(name) if name else tag == "caption") and not _is_within(found, block, last):
                last = found
                parts.append((0, found))
    captions = len(parts) - images
    if not captions or (captions == 1 and images > MAX_IMAGES):
        return {}
    if captions == 1 and last is not None:
        text = text_of(last)
        return {image: text for image, caption in parts if caption is None}
    return _one_by_one(parts if parts[0][1] is not None else parts[::-1])


def _one_by_one(parts: list[tuple[int, LexborNode | None]]) -> dict[int, str]:
    """The caption of each image, that next before it in ``parts``; none where it would be that of many."""
    found: dict[int, str] = {}
    waiting: list[int] = []
    text = ""
    for image, caption in parts:
        if caption is None:
            waiting.append(image)
            continue
        if len(waiting) <= MAX_IMAGES:
            found |= dict.fromkeys(waiting, text)
        text, waiting = text_of(caption), []
    if len(waiting) <= MAX_IMAGES:
        found |= dict.fromkeys(waiting, text)
    return found


def _is_within(node: LexborNode, block: LexborNode, caption: LexborNode | None) -> bool:
    """Whether a figure within ``block``, or the ``caption`` before, holds the node; true of the block itself too, no
    caption of its own."""
    if node.mem_id == block.mem_id:
        return True
    around = node.parent
    while around is not None and around.mem_id != block.mem_id:
        if around.tag == "figure" or (caption is not None and around.mem_id == caption.mem_id):
            return True
        around = around.parent
    return False


def _caption_of_object(block: LexborNode) -> str:
    """The caption of an ImageObject in the page's microdata."""
    for found in islice(block.traverse(), MAX_NODES):
        if found.attributes.get("itemprop") in ("caption", "description"):
            return text_of(found) or found.attributes.get("content") or ""
    return ""


def _caption_after(node: LexborNode) -> str:
    """The text of the caption that follows an image, or what stands around it alone."""
    around: LexborNode | None = node
    while around is not None:
        after = _next_seen(around)
        if after is not None:
            stray = after.tag == "figcaption" and (around.parent is None or not _is_figure(around.parent))
            return text_of(after) if stray or _is_caption(after) else ""
        if not _holds_alone(around):
            return ""
        around = around.parent
    return ""


def _holds_alone(node: LexborNode) -> bool:
    """Whether what a node stands in, which has nothing behind it, may be but a frame around it."""
    around = node.parent
    if around is None:
        return False
    tag = around.tag
    if tag in _AROUND or tag not in _FRAMES:
        return tag in _AROUND
    before = node.prev
    if before is not None and before.is_text_node and not (before.text_content or "").strip():
        before = before.prev
    return before is None


def _next_seen(node: LexborNode) -> LexborNode | None:
    """What follows a node, but for white space and what only browsers without scripts show."""
    after = node.next
    for _ in range(MAX_IMAGES):
        if after is None:
            break
        if (after.text_content or "").strip() if after.is_text_node else after.tag != "noscript":
            break
        after = after.next
    return after


def _is_caption(node: LexborNode) -> bool:
    if not node.is_element_node or node.tag in _NO_CAPTION:
        return False
    name = node.attributes.get("class")
    return _names_caption(name) if name else node.tag == "caption"
