"""Pictures with too many texts, or on too many pages, of one site."""

import random
from collections import Counter

import pyarrow as pa

from pipeline.dedup.texts import SiteTexts
from pipeline.tables.schema import CANDIDATES

Row = tuple[str, str | None, str]  # url, page, caption


def judged(rows: list[Row], rule: SiteTexts, source: str = "pages") -> dict[Row, str | None]:
    columns = [
        {"pair_id": number, "url": url, "page_url": page, "caption": caption, "source": source}
        for number, (url, page, caption) in enumerate(rows)
    ]
    reasons, _ = rule(pa.RecordBatch.from_pylist(columns, schema=CANDIDATES))
    return dict(zip(rows, reasons.to_pylist(), strict=True))


BUTTON: list[Row] = [("http://h/share.png", f"http://h/{n}", f"Share page {n} " + "more " * (n % 7)) for n in range(20)]
LOGO: list[Row] = [("http://h/logo.png", f"http://h/{n}", "The company") for n in range(30)]
DEER: list[Row] = [("http://h/deer.jpg", f"http://h/{n}", text) for n, text in enumerate(["deer", "a roe deer in May"])]
ELSEWHERE: list[Row] = [("http://h/logo.png", "http://other/", "The company's logo")]


def test_of_many_texts_the_best_are_kept() -> None:
    again: list[Row] = [(BUTTON[1][0], "http://h/99", BUTTON[1][2])]
    rows = BUTTON + DEER + again
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        found = judged(rows, SiteTexts(3, 0))
        assert Counter(found[row] for row in BUTTON) == Counter({"further_text": 17, None: 3})
        assert all(len(row[2].split()) >= 8 for row in BUTTON if found[row] is None)
        assert not any(found[row] for row in DEER)
    assert judged(BUTTON, SiteTexts(0, 0)) == dict.fromkeys(BUTTON)
    assert judged(BUTTON, SiteTexts(20, 0)) == dict.fromkeys(BUTTON)


def test_a_text_found_more_often_goes_first() -> None:
    rows: list[Row] = [("u", f"http://h/{n}", f"a text of six words {n % 3}") for n in range(7)]
    found = judged(rows, SiteTexts(1, 0))
    assert {row[2] for row in rows if found[row] is None} == {"a text of six words 0"}


def test_a_picture_of_the_layout() -> None:
    found = judged(LOGO + ELSEWHERE + DEER, SiteTexts(5, 29))
    assert {found[row] for row in LOGO} == {"site_wide"}
    assert not any(found[row] for row in ELSEWHERE + DEER)
    assert not any(judged(LOGO, SiteTexts(5, 30)).values())


def test_lists_and_pairs_without_a_page_keep_all() -> None:
    assert not any(judged(BUTTON + LOGO, SiteTexts(1, 1), "url_list").values())
    nowhere: list[Row] = [(url, None, caption) for url, _, caption in BUTTON]
    assert not any(judged(nowhere, SiteTexts(1, 1)).values())
