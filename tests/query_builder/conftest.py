"""A small dump with every kind of page, written by the tests themselves, and the places where larger real data may
be."""

import os
from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

HEADER = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="en">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>enwiki</dbname>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="6" case="first-letter">File</namespace>
      <namespace key="14" case="first-letter">Category</namespace>
    </namespaces>
  </siteinfo>
"""


def page(title: str, text: str, *, namespace: int = 0, redirect: str | None = None) -> str:
    target = f'    <redirect title="{escape(redirect, {chr(34): "&quot;"})}" />\n' if redirect else ""
    return f"""  <page>
    <title>{escape(title)}</title>
    <ns>{namespace}</ns>
    <id>1</id>
{target}    <revision>
      <text xml:space="preserve">{escape(text)}</text>
    </revision>
  </page>
"""


def dump(pages: Iterable[str]) -> str:
    return HEADER + "".join(pages) + "</mediawiki>\n"


STORY = (
    "'''Los Angeles''' is a city. {{Infobox|name=[[Hidden]]}} The harbour of Los Angeles lies at San Pedro; it was\n"
    "dug by hand. [[File:port.jpg|thumb|The port]] A [[steam locomotive|locomotive]] stands "
    "there.<ref>{{cite|a}}</ref>\n"
)


@pytest.fixture(scope="session")
def small_dump() -> str:
    """40 articles, two redirects, a disambiguation page, a list, a page of another namespace."""
    pages = [page(f"Story {number}", STORY + f"Number {number} of the Café stories.") for number in range(40)]
    pages += [
        page("Mercury (planet)", "The planet Mercury is near the Sun."),
        page("Mercury (element)", "The element mercury is liquid."),
        page("Mercury", "Mercury may be:\n* [[Mercury (planet)]]\n{{disambiguation}}"),
        page("Quicksilver", "#REDIRECT [[Mercury (element)]]", redirect="Mercury (element)"),
        page("Hydrargyrum", "#REDIRECT [[Quicksilver]]", redirect="Quicksilver"),
        page("Loop one", "#REDIRECT [[Loop two]]", redirect="Loop two"),
        page("Loop two", "#REDIRECT [[Loop one]]", redirect="Loop one"),
        page("List of planets", "Mercury, Venus."),
        page("Talk about it", "chatter chatter", namespace=1),
    ]
    return dump(pages)


@pytest.fixture(scope="session")
def wordnet_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny database in WordNet's format."""
    folder = tmp_path_factory.mktemp("wordnet")
    licence = "  1 This is a licence line\n"
    data = {
        "noun": ["00000001 03 n 02 dog 0 domestic_dog 0 000 | an animal", "00000002 03 n 01 St._Louis 0 000 | a city"],
        "verb": ["00000001 30 v 01 dog 0 000 01 + 01 00 | to follow"],
        "adj": ["00000001 00 s 01 galore(ip) 0 000 | in plenty", "00000002 00 a 01 .22_caliber 0 000 | a size"],
        "adv": ["00000001 02 r 01 harbour 0 000 | not a real one"],
    }
    index = {
        "noun": ["dog n 1 0 1 0 00000001", "domestic_dog n 1 0 1 0 00000001", "st._louis n 1 0 1 0 00000002"],
        "verb": ["dog v 1 0 1 0 00000001"],
        "adj": ["galore a 1 0 1 0 00000001", ".22_caliber a 1 0 1 0 00000002"],
        "adv": ["harbour r 1 0 1 0 00000001"],
    }
    for part in data:
        (folder / f"data.{part}").write_text(licence + "".join(f"{line}\n" for line in data[part]))
        (folder / f"index.{part}").write_text(licence + "".join(f"{line}\n" for line in index[part]))
    return str(folder)


@pytest.fixture(scope="session")
def real_wordnet() -> str:
    """A real WordNet 3.0: Debian's, or the folder that WEBIMAGETEXT_WORDNET names."""
    for folder in (os.environ.get("WEBIMAGETEXT_WORDNET", ""), "/usr/share/wordnet"):
        if folder and (Path(folder) / "data.noun").is_file():
            return folder
    pytest.skip(
        "no WordNet 3.0 is here (on Debian: apt install wordnet-base; or set WEBIMAGETEXT_WORDNET to its folder)"
    )
