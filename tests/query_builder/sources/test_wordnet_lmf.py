"""Wordnets in WN-LMF: the same synsets as from WordNet's own database, whatever the version of the format and the
packing."""

import bz2
import gzip
import io
import itertools
import lzma
import tarfile
from collections import defaultdict
from pathlib import Path

import pytest
import zstandard

from query_builder.build import build
from query_builder.config import BuildConfig
from query_builder.lists import read_list
from query_builder.sources.synset import Synset
from query_builder.sources.wordnet import read_wordnet
from webimagetext.errors import UserError

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE LexicalResource SYSTEM "WN-LMF-1.1.dtd">\n<LexicalResource>\n'


def entry(identity: str, form: str, part: str, *senses: str) -> str:
    inside = "".join(f'<Sense id="s-{identity}-{number}" synset={sense}/>' for number, sense in enumerate(senses))
    return f'<LexicalEntry id="{identity}"><Lemma writtenForm="{form}" partOfSpeech="{part}"/>{inside}</LexicalEntry>\n'


def lexicon(language: str, *parts: str) -> str:
    return f'<Lexicon id="x" label="X" language="{language}" version="1">\n{"".join(parts)}</Lexicon>\n'


def document(*lexicons: str) -> str:
    return HEAD + "".join(lexicons) + "</LexicalResource>\n"


ENGLISH = lexicon(
    "en",
    entry("e-hound-n", "hound", "n", '"x-1-n"'),
    entry("e-dog-n", "dog", "n", '"x-2-n" n="1"', '"x-1-n" n="0"'),
    entry("e-galore-s", "galore", "s", '"x-3-s"'),
    entry("e-big-a", "big", "a", '"x-4-a"', '"x-5-s"'),
    entry("e-st-n", "St. Louis", "n", '"x-6-n"'),
    '<Synset id="x-1-n" partOfSpeech="n" members="e-dog-n e-hound-n"><Definition>an animal</Definition></Synset>',
    '<Synset id="x-2-n" partOfSpeech="n"/><Synset id="x-3-s" partOfSpeech="s"/><Synset id="x-4-a" partOfSpeech="a"/>',
    '<Synset id="x-5-s" partOfSpeech="s"/><Synset id="x-6-n" partOfSpeech="n"/><Synset id="x-7-n" partOfSpeech="n"/>',
)
GERMAN = lexicon("de", entry("d-hund-n", "Hund", "n", '"d-1-n"'), '<Synset id="d-1-n" partOfSpeech="n"/>')
ENTITIES = "".join(f'<!ENTITY {name} "{f"&{before};" * 40}">' for before, name in itertools.pairwise("abcdefghij"))
BOMB = f"""<!DOCTYPE x [<!ENTITY a "{"a" * 999}">{ENTITIES}]><LexicalResource>&j;</LexicalResource>""".encode()
SYNSETS = [
    Synset("dog", "dog.n.01"),
    Synset("dog", "dog.n.02"),
    Synset("galore", "galore.s.01"),
    Synset("big", "big.a.01"),
    Synset("big", "big.s.02"),
    Synset("St. Louis", "st._louis.n.01"),
]


def tar(content: bytes, compression: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for name, data in (("oewn/README.md", b"<a>"), ("oewn/oewn.xml", content)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def test_every_packing_gives_the_same_synsets(tmp_path: Path) -> None:
    content = document(ENGLISH).encode()
    packings = {
        "a.xml": content,
        "a.xml.gz": gzip.compress(content),
        "a.xml.bz2": bz2.compress(content),
        "a.xml.xz": lzma.compress(content),
        "a.xml.zst": zstandard.compress(content),
        "a.tar.xz": tar(content, "xz"),
        "a.tgz": tar(content, "gz"),
    }
    for name, packed in packings.items():
        (tmp_path / name).write_bytes(packed)
        assert read_wordnet(str(tmp_path / name)) == SYNSETS, name


def test_a_folder_of_files_and_the_lexicon_of_the_language(tmp_path: Path) -> None:
    (tmp_path / "all.xml").write_text(document(GERMAN, ENGLISH))
    assert read_wordnet(str(tmp_path / "all.xml")) == SYNSETS
    assert read_wordnet(str(tmp_path / "all.xml"), "de") == [Synset("Hund", "hund.n.01")]
    assert len(read_wordnet(str(tmp_path / "all.xml"), "fr")) == len(SYNSETS) + 1
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "b.xml").write_text(document(GERMAN.replace('"de"', '"en-GB"')))
    (folder / "a.xml").write_text(document(ENGLISH))
    assert read_wordnet(str(folder)) == [*SYNSETS, Synset("Hund", "hund.n.01")]


def test_wordnet_written_as_lmf_is_itself(wordnet_folder: str, tmp_path: Path) -> None:
    """Each synset's word says its sense: the numbers come back."""
    synsets = read_wordnet(wordnet_folder)
    senses = defaultdict(list)
    for number, synset in enumerate(synsets):
        _, part, sense = synset.name.rsplit(".", 2)
        senses[synset.head, "a" if part == "s" else part].append(f'"x-{number}" n="{int(sense)}"')
    parts = [entry(f"e-{head}-{part}", head, part, *own) for (head, part), own in senses.items()]
    kinds = [synset.name.rsplit(".", 2)[1] for synset in synsets]
    parts += [f'<Synset id="x-{number}" partOfSpeech="{kind}"/>' for number, kind in enumerate(kinds)]
    (tmp_path / "w.xml").write_text(document(lexicon("en", *parts)))
    assert read_wordnet(str(tmp_path / "w.xml")) == synsets


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.xml", b"<LexicalResource><Lexicon", "not a wordnet in WN-LMF that can be read"),
        ("a.xml", b"<html/>", "not a wordnet: it begins with <html>"),
        ("a.xml", document(lexicon("en")).encode(), "not one synset with a word"),
        ("a.xml.gz", gzip.compress(document(ENGLISH).encode())[:-9], "not a wordnet in WN-LMF that can be read"),
        ("a.tar", tar(document(ENGLISH).encode(), "")[:2000], "not a wordnet in WN-LMF that can be read"),
        ("a.txt", b"dog", "not a WordNet database folder"),
        ("a.xml", BOMB, "not a wordnet in WN-LMF that can be read"),
    ],
)  # fmt: skip
def test_what_is_none_is_named(name: str, content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=problem):
        read_wordnet(str(tmp_path / name))


def test_a_list_of_a_wordnet_alone(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(document(GERMAN, ENGLISH))
    output = str(tmp_path / "q.parquet")
    build(BuildConfig(wordnet=str(tmp_path / "a.xml"), output=output, language="de"))
    assert read_list(output).to_pylist()[0]["synsets"] == ["hund.n.01"]
