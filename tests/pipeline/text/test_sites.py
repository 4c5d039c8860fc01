"""What the captions of sites are in: sums that no order changes, and what they make likely for one more caption."""

import random

import numpy as np
import pyarrow as pa
import pytest

from pipeline.hashing import hash64
from pipeline.tables.schema import CANDIDATES, SITE_LANGUAGES
from pipeline.text.english import lexicon_of
from pipeline.text.evidence import chance_of, evidence, odds_of
from pipeline.text.sites import LIST_SHARE, OTHERS, SITE_SHARE, UNIT, count_sites, read_sites, sum_sites

ENGLISH = ["A dog runs along the beach", "The bridge at night", "Two children with a kite", "Snow on the roof"]
GERMAN = ["Ein Hund am Strand", "Die Brücke bei Nacht", "Zwei Kinder mit einem Drachen", "Schnee auf dem Dach"]
LEXICON = lexicon_of(())


def candidates(rows: list[tuple[str, str, str | None, str | None]]) -> pa.RecordBatch:
    """Candidates of (caption, image's address, page, its language)."""
    names = ("caption", "url", "page_url", "page_language")
    filled = [dict(zip(names, row, strict=True)) | {"pair_id": number} for number, row in enumerate(rows)]
    return pa.RecordBatch.from_pylist(filled, schema=CANDIDATES)


def listed(host: str, captions: list[str]) -> list[tuple[str, str, str | None, str | None]]:
    return [(caption, f"https://{host}/{number}.jpg", None, None) for number, caption in enumerate(captions)]


def counted(batch: pa.RecordBatch) -> dict[int, tuple[int, float]]:
    counts = count_sites(batch, "fasttext", "en", LEXICON)
    assert counts.schema == SITE_LANGUAGES
    return {row["site"]: (row["captions"], row["wanted"] / UNIT) for row in counts.to_pylist()}


def test_a_site_is_the_host_of_the_page_or_else_of_the_image() -> None:
    rows = [*listed("en.example", ENGLISH), *listed("de.example", GERMAN)]
    rows += [("A cat on a chair", "https://de.example/x", "http://EN.example:80/page", "")]
    found = counted(candidates(rows))
    assert set(found) == {hash64("en.example"), hash64("de.example")}
    assert found[hash64("en.example")][0] == 5 and found[hash64("en.example")][1] > 4.5
    assert found[hash64("de.example")][0] == 4 and found[hash64("de.example")][1] < 0.4


def test_what_a_page_tells_and_what_is_too_short_is_not_counted() -> None:
    rows = listed("a.example", ["Two words", "IMG", "日本の風景", "three words here"])
    rows += [("A dog on the beach", "https://a.example/p", "https://a.example/", language) for language in ("en", "de")]
    assert counted(candidates(rows))[hash64("a.example")][0] == 2
    assert counted(candidates(rows[:2])) == {}


def test_no_order_and_no_cut_changes_the_sums() -> None:
    draw = random.Random(5)
    rows = [row for host in range(6) for row in listed(f"h{host}.example", draw.choices(ENGLISH + GERMAN, k=host * 3))]
    whole = count_sites(candidates(rows), "fasttext", "en", LEXICON)
    for _ in range(3):
        draw.shuffle(rows)
        cuts = sorted(draw.sample(range(1, len(rows)), 4))
        parts = [
            count_sites(candidates(rows[start:stop]), "fasttext", "en", LEXICON)
            for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True)
        ]
        assert sum_sites(pa.Table.from_batches(parts)).equals(pa.Table.from_batches([whole]))


def test_sites_of_one_caption_are_one_row() -> None:
    table = pa.table([[7, 3, 7, 9, 0], [1, 1, 2, 1, 4], [10, 20, 30, 40, 50]], schema=SITE_LANGUAGES)
    assert sum_sites(table, 2).to_pylist() == [
        {"site": 0, "captions": 6, "wanted": 110},
        {"site": 7, "captions": 3, "wanted": 40},
    ]
    told = read_sites(sum_sites(table, 2))
    assert told.sites.tolist() == [7] and told.all_captions == 9 and told.all_wanted == pytest.approx(150 / UNIT)
    assert sum_sites(table.slice(0, 0), 2).num_rows == 0


def test_a_caption_does_not_speak_for_itself() -> None:
    rows = [*listed("a.example", [*ENGLISH, GERMAN[0]]), *listed("b.example", GERMAN[1:2])]
    batch = candidates(rows)
    told = read_sites(pa.Table.from_batches([count_sites(batch, "fasttext", "en", LEXICON)]))
    own = chance_of(evidence("fasttext", "en", batch["caption"], LEXICON))
    shares, others = told.around(batch, own)
    assert others.tolist() == [4, 4, 4, 4, 4, 0]
    for row in range(6):
        rest = [own[other] for other in range(6) if other != row]
        of_list = min(max((sum(rest) + 1) / 7, 1 - LIST_SHARE), LIST_SHARE)
        site = [own[other] for other in range(5) if other != row] if row < 5 else []
        assert shares[row] == pytest.approx((sum(site) + OTHERS * of_list) / (len(site) + OTHERS), abs=1e-4)
    assert shares[4] == shares.max() and shares[0] < shares[4]


def test_an_empty_list_says_nothing_and_a_plain_one_not_everything() -> None:
    batch = candidates(listed("a.example", ENGLISH[:1]))
    nothing = read_sites(pa.Table.from_pylist([], schema=SITE_LANGUAGES))
    shares, others = nothing.around(candidates(listed("a.example", ["One word"])), np.array([0.9]))
    assert shares.tolist() == [0.5] and others.tolist() == [0] and odds_of(0.5) == 0
    site = hash64("a.example")
    much = pa.table([[site, 0], [10_001, 10**6], [10_001 * UNIT, 10**6 * UNIT]], schema=SITE_LANGUAGES)
    assert read_sites(much).around(batch, np.ones(1))[0].tolist() == [SITE_SHARE]
    other = candidates(listed("b.example", ENGLISH[:1]))
    assert read_sites(much).around(other, np.ones(1))[0].tolist() == pytest.approx([LIST_SHARE])
    none = pa.table([[site, 0], [10_001, 10**6], [0, 0]], schema=SITE_LANGUAGES)
    assert read_sites(none).around(batch, np.zeros(1))[0].tolist() == pytest.approx([1 - SITE_SHARE])
