"""What decides whether a bigram is in the list, and what is only told of it."""

from pathlib import Path

import numpy as np
import pytest

from query_builder.build import build
from query_builder.config import BuildConfig
from query_builder.explain import explain
from query_builder.lists import read_list
from query_builder.merge.bigrams import _kept
from query_builder.schema import read_metadata
from tests.query_builder.conftest import dump, page

FILLER = "common word here is filler. " * 300


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildConfig:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")
    return BuildConfig(output=str(tmp_path / "queries.parquet"), size=1000, workers=1, min_bigram_count=20)


def sources(config: BuildConfig) -> dict[str, list[str]]:
    return {row["query"]: row["sources"] for row in read_list(config.output).to_pylist()}


def built(config: BuildConfig, pages: list[str], **changes: object) -> BuildConfig:
    path = Path(config.output).with_suffix(".xml")
    path.write_text(dump(pages))
    made = BuildConfig(**{**vars(config), "dump": (str(path),), **changes})  # type: ignore[arg-type]
    build(made)
    return made


@pytest.mark.parametrize(("least", "expected"), [(100, ["title"]), (26, ["title"]), (25, ["bigram", "title"])])
def test_the_words_of_a_bigram_pass_the_threshold_too(config: BuildConfig, least: int, expected: list[str]) -> None:
    pages = [page("Rare pair", "rare pair. " * 25 + FILLER), page("Other", "x")]
    made = built(config, pages, min_word_count=least)
    assert sources(made)["rare pair"] == expected
    told = "\n".join(explain(made.output, "rare pair"))
    assert f"its words: rare 25, pair 25 (threshold {least})" in told


def test_a_near_miss_names_the_words_that_are_too_rare(config: BuildConfig) -> None:
    pages = [page("Rare word", "rare word. " * 25 + FILLER), page("Other", "x")]
    made = built(config, pages, min_word_count=100, min_pmi=1.0, budget=("titles=0",), size=3)
    told = "\n".join(explain(made.output, "rare word"))
    assert "bigram: 25 occurrences, but 'rare' below the threshold of words, 100" in told
    assert "its words: rare 25, word 325 (threshold 100)" in told


def test_a_synset_without_a_place_was_read(config: BuildConfig, wordnet_folder: str) -> None:
    made = built(config, [page("A", FILLER)], wordnet=wordnet_folder, size=3, min_word_count=10)
    told = explain(made.output, "St. Louis")
    assert told[1:] == ["  synset: 0 occurrences: read, but the list of 3 was full of better ones"]
    assert "Nothing is kept of it" in explain(made.output, "zyzzyva")[1]


def test_the_words_of_the_pmi_are_those_of_the_normal_form(config: BuildConfig) -> None:
    made = built(config, [page("A", "2½ big ﬁne days " * 30)], min_word_count=1, min_pmi=-9.0)
    metadata = read_metadata(made.output)
    assert metadata is not None and metadata["totals"]["words"] == 30 * 6
    row = next(row for row in read_list(made.output).to_pylist() if row["query"] == "big fine")
    assert row["pmi"] == pytest.approx(np.log2(30 * 180 / 30**2))


def test_what_passes_shares_no_place_with_what_is_told() -> None:
    passed = np.array([0, 0, 1, 0, 1, 1, 0], bool)
    wanted = np.array([0, 0, 0, 0, 0, 0, 1], bool)
    assert np.flatnonzero(_kept(passed, ~passed, wanted, 2)).tolist() == [0, 1, 2, 4, 6]


def test_near_misses_crowd_out_no_bigram(config: BuildConfig) -> None:
    """The scores of near misses, pairs of rare words that stand in titles, are above those of all that pass."""
    rare = [f"r{number}a r{number}b" for number in range(1500)]
    common = [f"c{number}a c{number}b" for number in range(30)]
    text = "".join(f"{pair}. " * 3 for pair in rare) + "".join(f"{pair}. " * 8 for pair in common)
    made = built(config, [page("A", text)], min_word_count=3, min_bigram_count=6, budget=("words=0",), size=100)
    assert {pair for pair in sources(made) if pair in common} == set(common)


def test_a_sign_counts_as_what_it_stands_for_written_out_does(config: BuildConfig) -> None:
    all_kept = {"min_word_count": 1, "min_pmi": -9.0, "min_bigram_count": 1}
    all_kept |= {"function_words": "keep", "bare_numbers": "keep"}
    made = built(config, [page("A", "½ cup ㏂ ㍿ ﷺ. " * 30)], **all_kept)
    found = {query for query, of in sources(made).items() if "bigram" in of}
    assert found == {
        "2 cup",
        "cup a",
        "m 株",
        "株 式",
        "式 会",
        "会 社",
        "社 صلى",
        "صلى الله",
        "الله عليه",
        "عليه وسلم",
    }
