"""Rules on pictures: which pairs go because of how their image is, judged from metadata that fetching stored.

In: record batches of schema JOINED. Out: per row null or a reason: small_image, bad_aspect_ratio, blank_image,
animated_image, hash_mismatch. A number that is not known (null) never drops a row.
"""

import json

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.image.config import ImageRulesConfig
from pipeline.tables.ledger import Rule

__all__ = ["Verified", "image_rules"]

Verdicts = tuple[pa.Array, dict[str, pa.Array]]


def _verdicts(drop: pa.Array, reason: str) -> Verdicts:
    """``reason`` where ``drop`` is true, null where it is false or null."""
    return pc.if_else(pc.fill_null(drop, False), reason, pa.scalar(None, pa.string())), {}


def _sides(batch: pa.RecordBatch) -> tuple[pa.Array, pa.Array]:
    """The smaller and the larger side of the picture as received; null when either is."""
    width, height = batch.column("original_width"), batch.column("original_height")
    smaller = pc.min_element_wise(width, height, skip_nulls=False)
    return smaller, pc.max_element_wise(width, height, skip_nulls=False)


class SmallerSide:
    """The smaller side must have at least so many pixels."""

    name = "smaller_side"

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels

    def __call__(self, batch: pa.RecordBatch) -> Verdicts:
        return _verdicts(pc.less(self.measures(batch)["smaller_side"], self.pixels), "small_image")

    def measures(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """What the limit is held against: pixels."""
        return {"smaller_side": _sides(batch)[0]}


class AspectRatio:
    """The larger side may be at most so many times the smaller."""

    name = "aspect_ratio"

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio

    def __call__(self, batch: pa.RecordBatch) -> Verdicts:
        smaller, larger = _sides(batch)
        return _verdicts(pc.greater(larger, pc.multiply(smaller.cast(pa.float64()), self.ratio)), "bad_aspect_ratio")

    def measures(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """The larger side over the smaller."""
        smaller, larger = _sides(batch)
        return {"aspect_ratio": pc.divide(larger.cast(pa.float64()), smaller)}


class Blank:
    """The grey levels must deviate at least so much from their mean."""

    name = "blank"

    def __init__(self, spread: float) -> None:
        self.spread = spread

    def __call__(self, batch: pa.RecordBatch) -> Verdicts:
        return _verdicts(pc.less(batch.column("spread"), self.spread), "blank_image")

    def measures(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """Grey levels."""
        return {"spread": batch.column("spread")}


class NotAnimated:
    """The picture must not have been animated."""

    name = "not_animated"

    def __call__(self, batch: pa.RecordBatch) -> Verdicts:
        return _verdicts(batch.column("animated"), "animated_image")


class Verified:
    """The picture must be the one that a list means: the hash in ``column`` of the list, where it gives one, is that of
    the bytes received. The ledger's detail gives both."""

    name = "verified"
    detail = "_hashes"

    def __init__(self, column: str, kind: str) -> None:
        self.column, self.kind = column.lower(), kind

    def _given(self, columns: str | None) -> str:
        """The hash in a row's columns, "" for none."""
        cells = json.loads(columns) if columns else {}
        value = next((value for name, value in cells.items() if name.strip().lower() == self.column), None)
        return str(value).strip().lower() if value is not None else ""

    def __call__(self, batch: pa.RecordBatch) -> Verdicts:
        received = batch.column(self.kind).to_pylist()
        given = [self._given(columns) for columns in batch.column("columns").to_pylist()]
        wrong = [told != "" and told != came for told, came in zip(given, received, strict=True)]
        details = [
            f"the list says {told[:64]}, received was {came}" if bad else None
            for told, came, bad in zip(given, received, wrong, strict=True)
        ]
        reasons, _ = _verdicts(pa.array(wrong, pa.bool_()), "hash_mismatch")
        return reasons, {self.detail: pa.array(details, pa.string())}


def image_rules(config: ImageRulesConfig) -> list[Rule]:
    """The rules that the settings switch on, in the order in which they are applied."""
    rules: list[Rule] = []
    if config.min_side:
        rules.append(SmallerSide(config.min_side))
    if config.max_aspect_ratio:
        rules.append(AspectRatio(config.max_aspect_ratio))
    if config.min_spread:
        rules.append(Blank(config.min_spread))
    if not config.allow_animated:
        rules.append(NotAnimated())
    return rules
