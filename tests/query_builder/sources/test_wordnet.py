"""WordNet's names, in a tiny database and in the real one."""

from query_builder.sources.wordnet import published_names, read_wordnet


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
