"""Which quotes are apostrophes, against MediaWiki's own rule."""

import re
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_builder.clean.markup import markup_tables, site_rules
from query_builder.clean.wikitext import clean_text

TABLES = markup_tables(site_rules("en", {}))


@pytest.mark.parametrize(
    ("wikitext", "shown"),
    [
        ("The ''Eagle'''s stage", "The Eagle's stage"),
        ("L''''armonium''' suona", "L'armonium suona"),
        ("a '''''b''''' c", "a b c"),
        ("a ''''''b''''' c", "a 'b c"),
        ("''a b'''c''", "a bc"),  # an even number of italic marks: nothing to mend
        ("''a'''b c", "a'b c"),
        ("''ab cd'''e f g'''h '''i", "ab cde f g'h i"),  # behind a word of one letter sooner than behind a longer one
        ("''ab cd'''e '''f '''g", "ab cd'e f g"),
        ("'' '''a b", " 'a b"),  # behind a blank alone
        ("L'''a''b\nL'''a'''b", "L'ab\nLab"),
        ("x {{T\n|''y\n}}'''z''' ''w''", "x \nz w"),  # what is taken out counts for no line
        ("[[a|b]] ''c'''s [[File:d|''e]]", "b c's \n"),
        ("{{nowrap|[[a|''b'''c {{nowrap|d}} e}}\nf", "b'c d e\nf"),
        ("''{{abbr|a'''b|c}} {{lang|fr|d}}", "a'b d"),
        ("a{{nbsp}}b{{snd}}c{{ndash}}d{{okina}}i", "a\u00a0b–c–dʻi"),
    ],
)
def test_quotes_and_signs_are_as_mediawiki_shows_them(wikitext: str, shown: str) -> None:
    assert clean_text(escape(wikitext), TABLES)[0] == shown


def do_quotes(line: str) -> str:
    """MediaWiki's Parser::doQuotes for ASCII, without the tags."""
    parts = re.split("(''+)", line)
    bold = italic = 0
    for k in range(1, len(parts), 2):
        if len(parts[k]) == 4:
            parts[k - 1], parts[k] = parts[k - 1] + "'", "'''"
        elif len(parts[k]) > 5:
            parts[k - 1], parts[k] = parts[k - 1] + "'" * (len(parts[k]) - 5), "'''''"
        bold += len(parts[k]) in (3, 5)
        italic += len(parts[k]) in (2, 5)
    if bold % 2 and italic % 2:
        single = multi = space = -1
        for k in range(1, len(parts), 2):
            if len(parts[k]) == 3:
                last, second = parts[k - 1][-1:], parts[k - 1][-2:-1] if len(parts[k - 1]) > 1 else parts[k - 1]
                if last == " ":
                    space = k if space < 0 else space
                elif second == " ":
                    single = k
                    break
                elif multi < 0:
                    multi = k
        chosen = next((k for k in (single, multi, space) if k >= 0), -1)
        if chosen >= 0:
            parts[chosen - 1] += "'"
    return "".join(parts[::2])


@given(st.lists(st.lists(st.sampled_from(["''", "'''", "'''''", "a", "bc", " ", "'"]), max_size=14), max_size=4))
def test_quotes_follow_mediawiki_whatever_the_line(lines: list[list[str]]) -> None:
    text = "\n".join("".join(line) for line in lines)
    expected = "\n".join(do_quotes(line) for line in text.split("\n"))
    # Several apostrophes in a row may be written as one: they part words all the same.
    assert re.sub("'+", "'", clean_text(escape(text), TABLES)[0]) == re.sub("'+", "'", expected)
