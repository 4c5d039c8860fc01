"""WordNet's names, in a tiny database and in the real one."""

import shutil
from pathlib import Path

import pytest

from query_builder.sources.wordnet import published_names, read_wordnet
from webimagetext.errors import UserError


def test_names_count_the_senses_of_the_head_word(wordnet_folder: str) -> None:
    found = {(synset.head, synset.name) for synset in read_wordnet(wordnet_folder)}
    assert ("dog", "dog.v.01") in found
    assert ("St. Louis", "st._louis.n.01") in found
    assert ("galore", "galore.s.01") in found


def test_the_real_wordnet_has_the_published_numbers_of_names(real_wordnet: str) -> None:
    synsets = read_wordnet(real_wordnet)
    assert len(synsets) == 117_659
    assert len({synset.head.lower() for synset in synsets}) == 86_571
    assert len({synset.name for synset in synsets}) == 117_659
    assert len(published_names(synsets)) == 86_654


def test_a_cut_or_empty_database_is_no_smaller_one(tmp_path: Path, wordnet_folder: str) -> None:
    shutil.copytree(wordnet_folder, tmp_path / "cut")
    data = tmp_path / "cut" / "data.noun"
    lines = data.read_text().splitlines(keepends=True)
    data.write_text("".join(lines[:-1]))
    with pytest.raises(UserError, match=r"data.noun: not whole: it lacks 1 of the synsets that .*index.noun names"):
        read_wordnet(str(tmp_path / "cut"))
    for path in (tmp_path / "cut").iterdir():
        path.write_text("  1 This is a licence line\n")
    with pytest.raises(UserError, match="not one synset in it"):
        read_wordnet(str(tmp_path / "cut"))
