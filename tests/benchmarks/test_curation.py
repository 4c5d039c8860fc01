"""The benchmark on curation: its pool is what it says, its interval is Student's, its steps keep what they should."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import curation
from benchmarks.curation import curated, interval
from benchmarks.curation_pool import GROCERIES, SHARES, Photograph, texts_for
from benchmarks.language import lexicon
from benchmarks.match import write_queries
from pipeline.match.build import build_automaton
from pipeline.match.matcher import Matcher


def test_the_interval_is_students() -> None:
    assert interval([1.0, 2.0, 3.0]) == pytest.approx(4.303 / 3**0.5)
    assert interval([5.0, 5.0, 5.0]) == 0


@pytest.mark.skipif(not GROCERIES.exists(), reason=f"there are no photographs ({GROCERIES})")
def test_texts_have_their_shares_and_the_right_ones_name_the_class() -> None:
    pool = [Photograph("clothes", b"", ("hat", "skirt")[row % 2], "Hut", "") for row in range(2000)]
    texts = texts_for(pool, 0)
    counts = Counter(kind for kind, _ in texts)
    assert {kind: count / 2000 for kind, count in counts.items()} == pytest.approx(SHARES, abs=0.03)
    for photograph, (kind, text) in zip(pool, texts, strict=True):
        assert kind != "english" or photograph.name in text
        assert kind != "german" or "Hut" in text
    other = [photo.name in text for photo, (kind, text) in zip(pool, texts, strict=True) if kind == "other"]
    assert 0.4 < sum(other) / len(other) < 0.6
    assert texts_for(pool, 0) == texts and texts_for(pool, 1) != texts


def test_each_step_keeps_a_part_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curation, "HEAD", 0.5)
    write_queries(["hat", "skirt", "photo"], tmp_path / "queries.parquet")
    matcher = Matcher(build_automaton(str(tmp_path / "queries.parquet"), str(tmp_path)))
    texts = ["a photo of my new hat"] * 60 + ["a skirt on the floor"] * 3 + ["there is nothing to be seen"] * 5
    texts += ["ein Foto von heute: Hut"] * 5 + ["IMG_2041.JPG"] * 5
    sets, t = curated(texts, matcher, lexicon(), 0)
    assert t == 60  # counts of 60, 60 and 3
    assert sets["raw"] == list(range(78)) and set(range(68)) <= set(sets["english"])
    assert not set(range(68, 73)) & set(sets["english"])
    assert sets["matched"] == list(range(63)) == sets["balanced"]
    monkeypatch.setattr(curation, "HEAD", 0.999)
    sets, t = curated(texts, matcher, lexicon(), 0)
    assert 3 <= t < 4 and {60, 61, 62} <= set(sets["balanced"]) and 3 < len(sets["balanced"]) < 20
