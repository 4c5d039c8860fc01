"""Headings, and sections of links and sources, which are no text."""

from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_builder.clean.markup import markup_tables, site_rules
from query_builder.clean.wikitext import clean_text

WITHOUT = markup_tables(site_rules("en", {}, without_lists_of_links=True))


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("a\n== Head ==\nb", "a b"),
        ("== References ==\na\n== Next ==\nb", "b"),
        ("== Head ==\na\n=== External links ===\nb\n== Next ==\nc", "a c"),
        ("a\n==External_links==  \n* b\n=== Deeper ===\nc\n== Next ==\nd", "a d"),
        ("a\n=== References ===\nb\n== See also ==\nc\n=== Sub ===\nd", "a"),
        ("a\n== References ==\n{{reflist|\n== b ==\n}} c\n== Next ==\nd", "a d"),
        ("a\n== External links ==\n[[b|c {{nowrap|d.\n== Next ==\ne]] f}} g", "a e f g"),
        ("a\n== External links\nb", "a External links b"),
        ("a = b\n= c =\n=\n==\n", "a b"),
        ("a\n== External links to b ==\nc", "a c"),
        ("a\n* b, ''c'', ISBN 0-14\n* d\n# {{Cite book|e}} f\n## g {{citation|h}}\ni", "a d i"),
        ("a\n* [[b|ISSN]] 3\n*c", "a c"),
        ("a\nb ISBN 3", "a b ISBN 3"),
        ("a\n* ISB, ISBM, IS and {{site}} {{cart}} {{nowrap|c}}\n", "a ISB ISBM IS and c"),
        ("a\n* ISBN {{nowrap|b\n}} c", "a ISBN b c"),
        ("a\n* ISBN <ref>d\ne</ref> c", "a ISBN c"),
        ("a\n{{nowrap|\n* ISBN b}} c", "a ISBN b c"),
        ("a\n* ISBN 0-14", "a"),
        ("a\n== references ==\n'''b''\n== c ==\n''d'''e", "a d e"),
    ],
)
def test_headings_and_sections_of_links_are_left_out(wikitext: str, expected: str) -> None:
    text = clean_text(escape(wikitext), WITHOUT)[0]
    assert " ".join("".join(c if c.isalnum() else " " for c in text).split()) == expected


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("a {{quote|text=b c.|author=d}} e", ["a", "b c.", "e"]),
        ("a {{quote|sign=x|text = b [[c|d]]\n|source=f}} e", ["a", "b d", "e"]),
        ("a {{quote|texts=b|1=c}} e {{lang|fr|text=g}}", ["a", "c", "e"]),
        ("a {{hlist|b|c [[d]]|e|f|g|h|i|j|style=k}} l", ["a", "b", "c d", "e", "f", "g", "h", "i", "j", "l"]),
        ("{{ordered list|start=4\n| b.\n| c\n}}", ["b.", "c"]),
        ("a {{sic}} b {{sic|teh}} {{Sic|hide=y|c|d}}", ["a sic b teh c"]),
        ("the {{USS|Maine|ACR-1}} {{sort|Zebra|a zebra}} {{angbr|e}}", ["the USS Maine a zebra e"]),
        ("{{columns-list|colwidth=30em|\n* [[b|c]]<ref>d</ref>\n* e}} {{nowrap|f|g|h}}", ["* c", "* e", "f"]),
    ],
)
def test_lists_and_quotations_show(wikitext: str, expected: list[str]) -> None:
    lines = clean_text(escape(wikitext), WITHOUT)[0].split("\n")
    assert [line.strip() for line in lines if line.strip()] == expected


def test_where_all_sections_count_these_stay_hidden() -> None:
    tables = markup_tables(site_rules("en", {}))
    assert clean_text("a {{hlist|b|c}} {{quote|text=d}} {{sort|b|c}} {{USS|e}} {{sic}}", tables)[0].split() == ["a"]


def test_other_languages_have_their_own_titles() -> None:
    tables = markup_tables(site_rules("fr", {}, without_lists_of_links=True))
    assert clean_text("a\n== Références ==\nb\n== Liens externes ==\nc", tables)[0].split() == ["a"]


PARTS = (
    "\n== References ==\n",
    "\n=== b ===\n",
    "\n== c ==\n",
    "é",
    "x ",
    "[[",
    "]]",
    "{{",
    "}}",
    "{{nowrap|",
    "|",
    "''",
    "'''",
)


@given(st.lists(st.sampled_from([*PARTS, "{|\n", "\n|}", "&lt;table&gt;", "&lt;/table&gt;", "[[a|"]), max_size=40))
def test_whatever_is_open_where_a_section_ends_the_text_is_whole(parts: list[str]) -> None:
    assert "\ufffd" not in clean_text("".join(parts), WITHOUT)[0]
