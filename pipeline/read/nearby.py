"""Texts beside an image: the caption of its figure, or of a block that its class marks as one.

In: the node of an ``<img>``. Out: the text. Every search is bounded (levels up, nodes looked at, characters), so that a page of
nested figures costs no more than a flat one.
"""

import re
from itertools import islice

from selectolax.lexbor import LexborNode

__all__ = ["Nearby", "figure_texts", "text_of"]

MAX_LEVELS = 6  # elements between an image and its figure
MAX_NODES = 200  # looked at for one text
MAX_CHARACTERS = 2_000
MAX_IMAGES = 3  # that one caption may stand for

# Classes of blocks that hold an image and its caption (DocBook, MediaWiki, WordPress and others), and of the caption itself.
_BLOCK = re.compile(
    r"(?:^|[\s_-])(?:figure|thumb|thumbinner|caption|image|photo|media|gallerybox|picture)(?:$|[\s_-])", re.IGNORECASE
)
_CAPTION = re.compile(
    r"(?:^|[\s_-])(?:captions?|thumbcaption|gallerytext|legend)(?:$|[\s_]|-text)|^title$", re.IGNORECASE
)
_STOP = frozenset({"body", "html", "main", "article", "section", "table", "ul", "ol", "form", "nav", "-undef"})
_NO_CAPTION = frozenset({"a", "button", "input", "img", "script", "style"})


def figure_texts(node: LexborNode) -> list[tuple[str, str | None]]:
    """[("figcaption", text)] of the nearest enclosing ``<figure>``; empty without one."""
    parent = node.parent
    for _ in range(MAX_LEVELS):
        if parent is None or parent.tag in _STOP:
            return []
        if parent.tag == "figure":
            for found in islice(parent.traverse(), MAX_NODES):
                if found.tag == "figcaption":
                    return [("figcaption", text_of(found))]
            return []
        parent = parent.parent
    return []


class Nearby:
    """Captions outside of figures, for the images of one page; remembers each block it has searched."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}

    def __call__(self, node: LexborNode) -> str:
        """The caption of an image outside a ``<figure>``: of the nearest block that has one, or right after the image."""
        block = node.parent
        for _ in range(MAX_LEVELS):
            if block is None or block.tag in _STOP:
                break
            if _BLOCK.search(block.attrs.get("class") or ""):
                text = self._known.get(block.mem_id)
                if text is None:
                    text = self._known[block.mem_id] = _caption_in(block)
                if text:
                    return text
            block = block.parent
        after = node.parent.next if node.parent is not None and node.parent.tag == "a" else node.next
        if after is not None and after.is_text_node and not (after.text_content or "").strip():
            after = after.next
        return text_of(after) if after is not None and _is_caption(after) else ""


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
