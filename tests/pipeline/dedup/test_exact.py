"""Exact duplicates: one row stays, the same one in any order."""

import numpy as np
import pyarrow as pa

from pipeline.dedup.exact import DuplicateImageCaption, DuplicatePair
from pipeline.tables.ledger import apply_rules
from pipeline.tables.schema import JOINED


def batch(rows: list[dict[str, object]]) -> pa.RecordBatch:
    defaults = {"url": "u", "caption": "c", "query_ids": []}
    return pa.RecordBatch.from_pylist([defaults | row for row in rows], schema=JOINED)


def test_the_same_pair_on_several_pages() -> None:
    rows = [
        {"pair_id": 7, "page_url": "https://b.example/"},
        {"pair_id": 3, "page_url": None},
        {"pair_id": 7, "page_url": "https://a.example/"},
        {"pair_id": 7, "page_url": "https://a.example/"},
    ]
    kept, (rejected,) = apply_rules(batch(rows), [DuplicatePair()], "dedup")
    assert list(zip(kept["pair_id"].to_pylist(), kept["page_url"].to_pylist(), strict=True)) == [
        (3, None),
        (7, "https://a.example/"),
    ]
    assert rejected.column("reason").to_pylist() == ["duplicate_pair"] * 2


def test_the_same_picture_and_caption() -> None:
    rows = [
        {"pair_id": 9, "sha256": "aa", "caption": "A red fox"},
        {"pair_id": 5, "sha256": "aa", "caption": "a red  fox!"},
        {"pair_id": 6, "sha256": "aa", "caption": "A fox"},
        {"pair_id": 1, "sha256": "bb", "caption": "A red fox"},
    ]
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]):
        kept, (rejected,) = apply_rules(batch([rows[i] for i in order]), [DuplicateImageCaption()], "dedup")
        assert sorted(kept["pair_id"].to_pylist()) == [1, 5, 6]
        assert rejected.column("reason").to_pylist() == ["duplicate_image_caption"]


def test_nothing_to_drop() -> None:
    rows = batch([{"pair_id": n, "sha256": str(n)} for n in range(5)])
    for rule in (DuplicatePair(), DuplicateImageCaption()):
        reasons, _ = rule(rows)
        assert reasons.null_count == 5 and reasons.type == pa.string()
        assert len(rule(rows.slice(0, 0))[0]) == 0


def test_groups_of_any_size_keep_one_each() -> None:
    ids = np.random.default_rng(0).integers(0, 50, 1000)
    reasons, _ = DuplicatePair()(batch([{"pair_id": int(n)} for n in ids]))
    assert reasons.null_count == len(set(ids.tolist()))
