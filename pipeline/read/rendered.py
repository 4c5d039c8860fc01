"""The text of an element as a reader of the page sees it.

In: a node. Out: its text, in which blocks, cells and line breaks stand apart, and what nobody reads as text is left
out: scripts, styles, buttons, hidden parts, marks of footnotes and of links to a heading. Bounded in nodes and
characters.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.read.choose import LOOKED_AT

__all__ = ["MAX_NODES", "text_of", "thorough_text_of", "walk", "without_markup"]

MAX_NODES = 200  # looked at for one text
MAX_CHARACTERS = LOOKED_AT

_BLOCKS = (
    "address article aside blockquote br caption center dd details dir div dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav ol p pre search section summary table tbody td "
    "tfoot th thead tr ul"
)
_APART = frozenset(_BLOCKS.split())
_NOT_READ = (
    "script style template noscript button select textarea iframe object audio video canvas svg head title datalist "
    "dialog rp rt annotation annotation-xml figure"
)
_UNSEEN = frozenset(_NOT_READ.split())
# Classes of what is not shown, or is a mark and no word of the text (Sphinx, MediaWiki, Bootstrap, WordPress, Pandoc).
_NO_TEXT = re.compile(
    r"(?:^|\s)(?:sr-only|visually-?hidden|screen-reader-text|headerlink|anchorjs-link|heading-?anchor|header-anchor"
    r"|mw-editsection|magnify|reference|footnote-?ref(?:erence)?|noteref|footnote-backref)(?:\s|$)",
    re.IGNORECASE,
)
_NOT_SHOWN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z]{1,10}\b[^<>]{0,200}>|<br\s*/?>", re.IGNORECASE)
_NOTE = re.compile(r"\s*[\[(]?\s*(?:\d{1,3}|[a-z]|[*†‡§]{1,3})\s*[\])]?\s*", re.IGNORECASE)
_LINK_MARK = re.compile(r"\s*(?:[¶#§†‡*↑↩⤴🔗]\ufe0e?|\[\s*\w{1,3}\s*\])\s*")


def walk(
    root: LexborNode, closed: Callable[[LexborNode], bool], most: int = MAX_NODES
) -> Iterator[tuple[LexborNode, bool]]:
    """The nodes within ``root`` in the order of the page, those below a ``closed`` one left out: (node, True) where one
    begins, (node, False) where an element with something in it ends; at most ``most`` beginnings."""
    node: LexborNode | None = root.first_child
    open_nodes: list[LexborNode] = []
    while node is not None and most > 0:
        most -= 1
        yield node, True
        inner = node.first_child if node.is_element_node and not closed(node) else None
        if inner is not None:
            open_nodes.append(node)
            node = inner
            continue
        node = node.next
        while node is None and open_nodes:
            ended = open_nodes.pop()
            yield ended, False
            node = ended.next


def text_of(node: LexborNode) -> str:
    """The text within a node, bounded; white space as in the source."""
    pieces = []
    length = 0
    # Most captions hold words and a few marks alone, which the parser's own way through them gives at half the cost.
    for found in islice(node.traverse(include_text=True), MAX_NODES):
        if found.is_text_node:
            piece = found.text_content or ""
            pieces.append(piece)
            length += len(piece)
            if length > MAX_CHARACTERS:
                break
        elif found.mem_id != node.mem_id and (
            (found.tag in _APART and not _stands_alone(found, node)) or _unread(found)
        ):
            return thorough_text_of(node)
    return "".join(pieces)[:MAX_CHARACTERS]


def without_markup(text: str) -> str:
    """The text that a reader sees of one with tags in it, as lists and data about a page may have."""
    if _TAG.search(text) is None:
        return text
    body = LexborHTMLParser(text[: 4 * MAX_CHARACTERS]).body
    return text_of(body) if body is not None else ""


def _stands_alone(block: LexborNode, node: LexborNode) -> bool:
    """Whether a block is all that a node holds but for white space."""
    parent = block.parent
    if parent is None or parent.mem_id != node.mem_id:
        return False
    beside = [each for each in (block.prev, block.next) if each is not None]
    outer = (block.prev is None or block.prev.prev is None) and (block.next is None or block.next.next is None)
    return outer and all(each.is_text_node and not (each.text_content or "").strip() for each in beside)


def thorough_text_of(node: LexborNode) -> str:
    """As :func:`text_of`, without its short cut."""
    pieces = []
    length = 0
    for found, _ in walk(node, _unread):
        if found.is_text_node:
            piece = found.text_content or ""
            pieces.append(piece)
            length += len(piece)
            if length > MAX_CHARACTERS:
                break
        elif found.tag in _APART:
            pieces.append(" ")
    return "".join(pieces)[:MAX_CHARACTERS]


def _unread(node: LexborNode) -> bool:
    """Whether what is within an element is no part of the text around it."""
    tag = node.tag
    if tag in _UNSEEN:
        return True
    attributes = node.attributes
    if attributes:
        if "hidden" in attributes or _NO_TEXT.search(attributes.get("class") or ""):
            return True
        if _NOT_SHOWN.search(attributes.get("style") or ""):
            return True
        if attributes.get("role") == "button":
            return True
        if "noteref" in (attributes.get("role") or attributes.get("epub:type") or ""):
            return True
    if tag == "sup":
        words, links = _short(node)
        return (links or _leads_within(node.parent)) and _NOTE.fullmatch(words) is not None
    if tag == "a" and _leads_within(node):
        return _LINK_MARK.fullmatch(_short(node)[0]) is not None
    return False


def _short(node: LexborNode) -> tuple[str, bool]:
    """The text within the first few nodes of an element, and whether one of them is a link to a place in a page."""
    within = [found for found, begins in walk(node, lambda _: False, 8) if begins]
    words = "".join(found.text_content or "" for found in within if found.is_text_node)
    return words[:20], any(map(_leads_within, within))


def _leads_within(node: LexborNode | None) -> bool:
    return node is not None and node.tag == "a" and "#" in (node.attributes.get("href") or "")
