"""Models on pictures: scores, rules on them, and edits."""

import io
import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageFilter

from pipeline.image.config import HooksConfig, ImageConfig
from pipeline.image.hooks import edit_pictures, load_edits, load_scorers, score_pictures, score_rules
from pipeline.reasons import cause_of
from pipeline.tables.ledger import apply_rules
from pipeline.tables.schema import JOINED
from webimagetext.errors import UserError

HERE = "tests.pipeline.image.test_hooks"


def brightness(images: Sequence[Image.Image], captions: Sequence[str]) -> list[float]:
    return [float(np.asarray(image).mean()) for image in images]


def blur(images: Sequence[Image.Image]) -> list[Image.Image]:
    return [image.filter(ImageFilter.GaussianBlur(4)) for image in images]


def grow(images: Sequence[Image.Image]) -> list[Image.Image]:
    return [image.resize((999, 9)) for image in images]


def too_few(images: Sequence[Image.Image], captions: Sequence[str]) -> list[float]:
    return [1.0]


def jpeg(level: int) -> bytes:
    stream = io.BytesIO()
    picture = Image.new("RGB", (40, 30), (level, level, level))
    picture.paste((255 - level, 0, 0), (10, 10, 20, 20))
    picture.save(stream, "JPEG")
    return stream.getvalue()


def test_scores_are_stored_and_judged() -> None:
    config = HooksConfig(scores={"light": f"{HERE}:brightness"}, minimum={"light": 50.0}, maximum={"light": 200.0})
    scores = score_pictures([jpeg(5), jpeg(120), jpeg(250)], ["a", "b", "c"], load_scorers(config))
    rows = [{"pair_id": n, "url": "u", "caption": "c", "query_ids": []} for n in range(3)]
    batch = pa.RecordBatch.from_pylist(rows, schema=JOINED)
    batch = batch.set_column(JOINED.get_field_index("scores"), JOINED.field("scores"), scores)
    kept, rejected = apply_rules(batch, score_rules(config), "package")
    assert kept.column("pair_id").to_pylist() == [1]
    (stored,) = kept.column("scores").to_pylist()
    assert [entry["name"] for entry in stored] == ["light"] and 100 < stored[0]["score"] < 140
    told = [(row["reason"], row["detail"].split()[0]) for found in rejected for row in found.to_pylist()]
    assert told == [("low_light", "light"), ("high_light", "light")]


def odd_scores(images: Sequence[Image.Image], captions: Sequence[str]) -> list[float | None]:
    return [{"nan": math.nan, "inf": -math.inf, "none": None}.get(text, 0.25) for text in captions]


@pytest.mark.parametrize("limits", [{}, {"minimum": {"odd": 0.1}}, {"maximum": {"odd": 0.9}}])
def test_what_is_no_number_is_a_counted_reject(limits: dict[str, dict[str, float]]) -> None:
    """A model that says not-a-number has judged nothing: no limit may let it pass, and no JSON could hold it."""
    config = HooksConfig(scores={"light": f"{HERE}:brightness", "odd": f"{HERE}:odd_scores"}, **limits)
    captions = ["a", "nan", "b", "inf", "none"]
    scores = score_pictures([jpeg(120)] * 5, captions, load_scorers(config))
    rows = [{"pair_id": n, "url": "u", "caption": text, "query_ids": []} for n, text in enumerate(captions)]
    batch = pa.RecordBatch.from_pylist(rows, schema=JOINED)
    batch = batch.set_column(JOINED.get_field_index("scores"), JOINED.field("scores"), scores)
    kept, rejected = apply_rules(batch, score_rules(config), "package")
    assert kept.column("caption").to_pylist() == ["a", "b"]
    told = [(row["key"][-1], row["reason"], row["detail"]) for found in rejected for row in found.to_pylist()]
    assert [(key, detail) for key, _, detail in told] == [("1", "odd nan"), ("3", "odd -inf"), ("4", "odd nan")]
    assert {reason for _, reason, _ in told} == {"unscored_odd"}
    assert cause_of("unscored_odd", "package") == "scores"


def test_edits_change_the_bytes_and_not_the_sizes() -> None:
    before = jpeg(200)
    (after,) = edit_pictures([before], load_edits(HooksConfig(edits=(f"{HERE}:blur",))), ImageConfig())
    sharp, soft = (np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float) for data in (before, after))
    assert soft.shape == sharp.shape
    assert np.abs(np.diff(soft, axis=1)).max() < np.abs(np.diff(sharp, axis=1)).max() / 2
    with pytest.raises(UserError, match="the sizes of the pictures"):
        edit_pictures([before], load_edits(HooksConfig(edits=(f"{HERE}:grow",))), ImageConfig())


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        load_edits(HooksConfig(edits=("no.such.module:blur",)))
    with pytest.raises(UserError, match="cannot be loaded"):
        load_scorers(HooksConfig(scores={"x": f"{HERE}:no_such_function"}))
    with pytest.raises(UserError, match="does not name a function"):
        HooksConfig(edits=("blur",))
    with pytest.raises(UserError, match="no score clip"):
        HooksConfig(minimum={"clip": 0.2})
    with pytest.raises(UserError, match="1 values for 2 pictures"):
        score_pictures([jpeg(1), jpeg(2)], ["a", "b"], load_scorers(HooksConfig(scores={"x": f"{HERE}:too_few"})))
