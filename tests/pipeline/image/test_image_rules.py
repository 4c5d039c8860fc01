"""Image rules drop exactly what they name and leave unknown numbers alone."""

import pyarrow as pa
import pytest

from pipeline.image.config import ImageConfig, ImageRulesConfig
from pipeline.image.rules import image_rules
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


def test_rules_can_be_switched_off() -> None:
    assert not image_rules(ImageRulesConfig(min_side=0, max_aspect_ratio=0, min_spread=0))
    assert [rule.name for rule in image_rules(ImageRulesConfig())] == ["smaller_side", "aspect_ratio", "blank"]


def test_wrong_settings_are_refused() -> None:
    for wrong in ({"quality": 0}, {"max_aspect_ratio": 0.5}, {"image_size": 0}):
        with pytest.raises(UserError, match="give "):
            ImageConfig(**wrong)
