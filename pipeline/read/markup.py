"""HTML text to a parsed tree, in time linear in their size whatever they hold.

The parser (lexbor, through selectolax) builds the tree that browsers build, and some of that is quadratic in the number
of open elements or of attributes in one tag. So a tag with thousands of attributes is dropped, and a page of very many
tags is parsed in pieces. In: text. Out: one tree for an ordinary page, several for a huge one.
"""

import re

from selectolax.lexbor import LexborHTMLParser

__all__ = ["parse"]

WHOLE_TAGS = 10_000  # a page of more tags than this is parsed in pieces; fewer cost at most a second of hostile nesting
WHOLE_CHARACTERS = 262_144  # a page longer than this loses scripts and comments first
PIECE_TAGS = 1_000
LONG_TAG = 65_536  # characters
MAX_ATTRIBUTES = 8_000  # of one long tag

# Ends at the end of the text where the closing mark is missing, as in a browser, so that nothing is scanned twice.
_NO_MARKUP = re.compile(
    r"<!--.*?(?:--!?>|\Z)|<(script|style|textarea|title|xmp|iframe|noembed|noframes)\b.*?(?:</\1|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_PIECE = re.compile(rf"[^<]*+(?:<[^<]*+){{1,{PIECE_TAGS}}}+")
# A start tag up to its ">", quotes counting only where a value begins, as the HTML standard's tokenizer reads it.
_TAG = re.compile(
    r"<[a-zA-Z][^\s/>]*+"
    r"(?:[\s/]++|=?[^\s/>=]++(?:\s*+=\s*+(?:\"[^\"]*+\"?|'[^']*+'?|[^\s>\"'][^\s>]*+)?)?|=)*+"
)
_DATA_URI = re.compile(r"data:[a-z]+/[^\"'>\s]*", re.IGNORECASE)
_EMPTY_RAW = re.compile(r"<(script|style|title|textarea|iframe|noscript)\b([^<>]*)/>", re.IGNORECASE)


def parse(text: str, *, xhtml: bool = False) -> list[LexborHTMLParser]:
    """The trees of a page; more than one only when it has more than WHOLE_TAGS tags outside scripts and comments."""
    if xhtml:
        # As HTML, <script/> would swallow the rest of the page.
        text = _EMPTY_RAW.sub(r"<\1\2></\1>", text)
    many = len(text) > WHOLE_TAGS and text.count("<") > WHOLE_TAGS
    if many or len(text) > WHOLE_CHARACTERS:
        # What is no markup goes first: then every "<" and a letter begins a tag, and the text may be cut there.
        text = _without_long_tags(_NO_MARKUP.sub(_kept, text))
        many = text.count("<") > WHOLE_TAGS
    elif len(text) > LONG_TAG and max(map(len, text.split(">"))) > LONG_TAG:
        text = _without_long_tags(text)
    return [LexborHTMLParser(piece) for piece in _PIECE.findall(text)] if many else [LexborHTMLParser(text)]


def _kept(found: re.Match[str]) -> str:
    """What stays of a part that is no markup: all of a title, or of data about the page, in which no tag may begin."""
    part = found.group()
    telling = part[:6].lower() == "<title" or "ld+json" in part[:200]
    return part if telling and part.count("<") == 2 else ""


def _without_long_tags(text: str) -> str:
    longest = max(map(len, _TAG.findall(text)), default=0)
    return _TAG.sub(_shortened, text) if longest > LONG_TAG else text


def _shortened(tag: re.Match[str]) -> str:
    """A tag as it is, or an empty one in place of a tag with too many attributes."""
    text = tag.group()
    if len(text) <= LONG_TAG:
        return text
    text = _DATA_URI.sub("data:,", text)
    return "<x" if text.count("/") + len(text.split()) > MAX_ATTRIBUTES else text
