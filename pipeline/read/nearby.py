"""Texts beside an image: the caption of its figure, or of a block that its class marks as one.

In: the node of an ``<img>``. Out: the text. Every search is bounded (levels up, nodes looked at, characters), so that a
page of nested figures costs no more than a flat one.
"""

import re
from collections.abc import Callable
from itertools import islice

from selectolax.lexbor import LexborNode

__all__ = ["Nearby"]

MAX_LEVELS = 6  # elements between an image and its figure
MAX_NODES = 200  # looked at for one text
MAX_CHARACTERS = 2_000
MAX_IMAGES = 3  # that one caption may stand for

# Classes of blocks that hold an image and its caption (DocBook, MediaWiki, WordPress and others), and of the caption
# itself.
_BLOCK = re.compile(
    r"(?:^|[\s_-])(?:figure|thumb|thumbinner|caption|image|photo|media|gallerybox|picture)(?:$|[\s_-])", re.IGNORECASE
)
_CAPTION = re.compile(
    r"(?:^|[\s_-])(?:captions?|thumbcaption|gallerytext|legend)(?:$|[\s_]|-text)|^title$", re.IGNORECASE
)
_STOP = frozenset({"body", "html", "main", "article", "section", "table", "ul", "ol", "form", "nav", "-undef"})
_NO_CAPTION = frozenset({"a", "button", "input", "img", "script", "style"})


class Nearby:
    """Finds the captions of the images of one page; remembers each block it has searched."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def __call__(self, node: LexborNode) -> tuple[str, str]:
        """(kind, text): the figcaption of the nearest ``<figure>``, else the caption of the nearest block that has one,
        else the caption right after the image; the text is empty where there is none.
        """
        parent = ancestor = node.parent
        caption = ""
        for _ in range(MAX_LEVELS):
            if ancestor is None or (tag := ancestor.tag) in _STOP:
                break
            if tag == "figure":
                return "figcaption", self._text(ancestor, _figcaption_in)
            if not caption and tag != "a" and (name := ancestor.attrs.get("class")) and _BLOCK.search(name):
                caption = self._text(ancestor, _caption_in)
            ancestor = ancestor.parent
        if caption:
            return "caption", caption
        after = parent.next if parent is not None and parent.tag == "a" else node.next
        if after is not None and after.is_text_node and not (after.text_content or "").strip():
            after = after.next
        return "caption", text_of(after) if after is not None and _is_caption(after) else ""

    def _text(self, block: LexborNode, find: Callable[[LexborNode], str]) -> str:
        key = block.mem_id
        text = self._known.get(key)
        if text is None:
            text = self._known[key] = find(block)
        return text


def _figcaption_in(figure: LexborNode) -> str:
    for found in islice(figure.traverse(), MAX_NODES):
        if found.tag == "figcaption":
            return text_of(found)
    return ""


def _caption_in(block: LexborNode) -> str:
    caption = None
    images = 0
    for found in islice(block.traverse(), MAX_NODES):
        images += found.tag == "img"
        if caption is None and found.mem_id != block.mem_id and _is_caption(found):
            caption = found
    return text_of(caption) if caption is not None and images <= MAX_IMAGES else ""


def _is_caption(node: LexborNode) -> bool:
    return node.is_element_node and node.tag not in _NO_CAPTION and bool(_CAPTION.search(node.attrs.get("class") or ""))


def text_of(node: LexborNode) -> str:
    """The text within a node, bounded."""
    pieces = []
    length = 0
    for found in islice(node.traverse(include_text=True), MAX_NODES):
        if found.is_text_node:
            piece = found.text_content or ""
            pieces.append(piece)
            length += len(piece)
            if length > MAX_CHARACTERS:
                break
    return "".join(pieces)[:MAX_CHARACTERS]
