"""Image rules drop exactly what they name and leave unknown numbers alone."""

import json

import pyarrow as pa
import pytest

from pipeline.config import RunConfig
from pipeline.image.config import ImageConfig, ImageRulesConfig
from pipeline.image.rules import Verified, image_rules
from pipeline.read.config import ExtractConfig
from pipeline.tables.ledger import apply_rules
from pipeline.tables.schema import JOINED
from webimagetext.errors import UserError


def joined(rows: list[tuple[int | None, int | None, float | None, bool | None]]) -> pa.RecordBatch:
    records = [
        {
            "pair_id": number,
            "url": f"https://example.org/{number}.jpg",
            "caption": f"picture {number}",
            "query_ids": [1],
            "original_width": width,
            "original_height": height,
            "spread": spread,
            "animated": animated,
        }
        for number, (width, height, spread, animated) in enumerate(rows)
    ]
    return pa.RecordBatch.from_pylist(records, schema=JOINED)


def test_each_rule_gives_its_reason() -> None:
    rows = [
        (640, 480, 50.0, False),
        (63, 640, 50.0, False),
        (64, 257, 50.0, False),
        (64, 256, 50.0, False),
        (640, 480, 1.9, False),
        (640, 480, 50.0, True),
        (None, 480, None, None),
    ]
    batch = joined(rows)
    kept, rejected = apply_rules(batch, image_rules(ImageRulesConfig(allow_animated=False)), "package")
    assert kept.column("pair_id").to_pylist() == [0, 3, 6]
    reasons = {row["url"][-5]: row["reason"] for part in rejected for row in part.to_pylist()}
    assert reasons == {"1": "small_image", "2": "bad_aspect_ratio", "4": "blank_image", "5": "animated_image"}


def test_a_picture_must_be_the_one_that_its_list_means() -> None:
    right, other = "ab" * 32, "cd" * 32
    cells = [
        {"Checksum": right},
        {"checksum": f" {right.upper()} "},
        {"checksum": other, "price": 3},
        {"checksum": ""},
        {"checksum": None},
        {"price": 3},
        {"checksum": "not a hash"},
    ]
    records = [
        {"pair_id": number, "url": f"u{number}", "caption": "c", "query_ids": [1], "columns": json.dumps(columns)}
        for number, columns in enumerate(cells)
    ]
    records.append({"pair_id": 7, "url": "u7", "caption": "c", "query_ids": [1]})
    batch = pa.RecordBatch.from_pylist([{**row, "sha256": right, "md5": right[:32]} for row in records], schema=JOINED)
    kept, rejected = apply_rules(batch, [Verified("checksum", "sha256")], "package")
    assert kept.column("pair_id").to_pylist() == [0, 1, 3, 4, 5, 7]
    rows = [row for part in rejected for row in part.to_pylist()]
    assert {row["reason"] for row in rows} == {"hash_mismatch"}
    assert rows[0]["detail"] == f"the list says {other}, received was {right}"
    kept, _ = apply_rules(batch, [Verified("checksum", "md5")], "package")
    assert kept.column("pair_id").to_pylist() == [3, 4, 5, 7]


def test_mistakes_about_hashes_are_named() -> None:
    with pytest.raises(UserError, match="not a column and one of sha256, md5"):
        ExtractConfig(verify_hash=("checksum",))
    with pytest.raises(UserError, match="not a column and one of sha256, md5"):
        ExtractConfig(verify_hash=("checksum", "crc32"))
    with pytest.raises(UserError) as refused:
        RunConfig(extract=ExtractConfig(verify_hash=("checksum", "md5")))
    assert refused.value.remedy == "set image.md5 = true"
    RunConfig(extract=ExtractConfig(verify_hash=("checksum", "md5")), image=ImageConfig(md5=True))


def test_rules_can_be_switched_off() -> None:
    assert not image_rules(ImageRulesConfig(min_side=0, max_aspect_ratio=0, min_spread=0))
    assert [rule.name for rule in image_rules(ImageRulesConfig())] == ["smaller_side", "aspect_ratio", "blank"]


def test_wrong_settings_are_refused() -> None:
    for wrong in ({"quality": 0}, {"max_aspect_ratio": 0.5}, {"image_size": 0}):
        with pytest.raises(UserError, match="give "):
            ImageConfig(**wrong)
