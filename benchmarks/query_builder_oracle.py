"""An independent, slow way from wikitext to words and bigrams: mwparserfromhell's tree and dictionaries.

In: pages as they stand in a dump. Out: their words and bigrams; as a command, ``python -m
benchmarks.query_builder_oracle DUMP``, the share of occurrences that the builder and the oracle agree on. It shares
with the builder only the tables of what counts as hidden (tags, link prefixes) or as shown (templates), and the normal
form of words.
"""

import bz2
import json
import re
import sys
from collections import Counter
from xml.etree import ElementTree

import mwparserfromhell
from mwparserfromhell import nodes

from query_builder.clean.markup import (
    BREAK,
    CONVERSIONS,
    DROP,
    FRACTIONS,
    LANGUAGES,
    PARTED_ARGUMENTS,
    QUOTATIONS,
    SHOWN_TEMPLATES,
    SIGNS,
    TAGS,
    TRANSLITERATIONS,
    markup_tables,
    site_rules,
)
from query_builder.clean.wikitext import clean_text
from query_builder.normalize import words
from query_builder.sources.dump import plan_shards, read_pages, read_site_info
from query_builder.sources.page import Ledger

__all__ = ["agreement", "count", "count_plain", "main", "visible"]

SHOWN_ARGUMENTS = (
    *SHOWN_TEMPLATES.items(),
    *PARTED_ARGUMENTS.items(),
    ((1,), QUOTATIONS),
    ((1, 2, 3), FRACTIONS),
    ((1, 2), CONVERSIONS),
    ((2, 3), TRANSLITERATIONS),
)
HIDDEN = {"file", "image", "category", *LANGUAGES}
JOINT = re.compile(r"(?:[^\S\n\r\x0b\x0c\x1c-\x1f\x85\u2028\u2029]+|[-\u2010\u2011])?")
RUN = re.compile(r"[^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*")


def visible(code: mwparserfromhell.wikicode.Wikicode) -> str:
    return "".join(map(_visible_node, code.nodes))


def _visible_node(node: nodes.Node) -> str:
    if isinstance(node, nodes.Text):
        return re.sub(r"__[A-Z]+__", "", str(node.value))
    if isinstance(node, nodes.HTMLEntity):
        return str(node.normalize())
    if isinstance(node, nodes.Heading):
        return f"\n{visible(node.title)}\n"
    if isinstance(node, nodes.ExternalLink):
        return f"\n{visible(node.title)}\n" if node.title else "\n"
    if isinstance(node, nodes.Wikilink):
        title = str(node.title)
        if ":" in title and title.split(":")[0].strip().lower() in HIDDEN:
            return ""
        return visible(node.text) if node.text is not None else visible(node.title)
    if isinstance(node, nodes.Tag):
        name = str(node.tag).strip().lower()
        if name == "table":
            return "\n"
        if name in TAGS[DROP]:
            return " " if name == "ref" else "\n"
        inside = visible(node.contents) if node.contents else ""
        return f"\n{inside}\n" if name in TAGS[BREAK] else inside
    if isinstance(node, nodes.Template):
        return _visible_template(node)
    return "" if isinstance(node, nodes.Comment) else "\n"


def _visible_template(node: nodes.Template) -> str:
    """What a template shows, by the builder's table of those that show arguments as they are."""
    name = " ".join(str(node.name).replace("_", " ").split()).lower()
    function, colon, value = name.partition(":")
    if colon and f"{function}:" in SHOWN_TEMPLATES[0,]:
        return value
    shown = next((sign for sign, names in SIGNS.items() if name in names), "")
    family = "".join(name.partition("-")[:2])  # lang-de is one of lang-
    numbers = next((of for of, names in SHOWN_ARGUMENTS if name in names or family in names), ())
    if name in CONVERSIONS and node.has("2") and str(node.get("2").value).strip() in ("to", "and", "-", "–", "x"):
        numbers = (1, 2, 3, 4)
    values = [visible(node.get(str(number)).value) for number in numbers if node.has(str(number))]
    if name in TRANSLITERATIONS:
        values = values[-1:]
    joint = "/" if name in FRACTIONS else " "
    around = "\n" if name in QUOTATIONS else ""
    return around + joint.join(values) + around or shown or "\n"


def _unescape(escaped: str) -> str:
    for name, text in (("lt", "<"), ("gt", ">"), ("quot", '"'), ("amp", "&")):
        escaped = escaped.replace(f"&{name};", text)
    return escaped


def count(escaped: str) -> tuple[Counter[str], Counter[str]]:
    """The words and bigrams of a page as it stands in a dump."""
    return count_plain(visible(mwparserfromhell.parse(_unescape(escaped), skip_style_tags=False)))


def count_plain(text: str) -> tuple[Counter[str], Counter[str]]:
    """The words and bigrams of a plain text."""
    singles: Counter[str] = Counter(words(text))
    pairs: Counter[str] = Counter()
    last, end = "", 0
    for found in RUN.finditer(text):
        normal = words(found[0])
        if last and normal and JOINT.fullmatch(text[end : found.start()]):
            pairs[f"{last} {normal[0]}"] += 1
        last, end = normal[-1] if normal else "", found.end()
    return singles, pairs


def agreement(ours: Counter[str], other: Counter[str]) -> float:
    """The share of occurrences that both have."""
    return (ours & other).total() / max(1, (ours | other).total())


def main(path: str) -> None:
    """Compares words, bigrams and titles of a whole dump."""
    tables = markup_tables(site_rules("en", read_site_info(path).namespaces))
    ours: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    slow: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    pages = 0
    for shard in plan_shards((path,)):
        for batch in read_pages(shard, skip_corrupt=False, ledger=Ledger()):
            for page in batch.pages:
                if page.target is None:
                    text = batch.buffer[page.start : page.end].decode()
                    pages += 1
                    plain = clean_text(text, tables)[0]
                    for sums, found in ((ours, count_plain(plain)), (slow, count(text))):
                        for total, part in zip(sums, found, strict=True):
                            total.update(part)
    with bz2.open(path) as file:
        root = ElementTree.fromstring(file.read())
    titles = [
        element.findtext("{*}title")
        for element in root.iterfind("{*}page")
        if element.findtext("{*}ns") == "0" and element.find("{*}redirect") is None
    ]
    result = {
        "articles": pages,
        "articles by an XML parser": len(titles),
        "words": round(agreement(ours[0], slow[0]), 5),
        "bigrams": round(agreement(ours[1], slow[1]), 5),
        "words counted": ours[0].total(),
        "words counted by the oracle": slow[0].total(),
    }
    for name, mine, other in (("words", ours[0], slow[0]), ("bigrams", ours[1], slow[1])):
        print(f"{name}: most more here: {(mine - other).most_common(12)}")
        print(f"{name}: most more there: {(other - mine).most_common(12)}")
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
