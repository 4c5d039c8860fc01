"""Models of your own on the stored pictures: functions named ``module:function`` that score pictures or change them.

A scoring function takes a list of pictures (Pillow, RGB) and the list of their captions, and gives a number for each: a
safety classifier, an aesthetic score, a CLIP score. An editing function takes pictures and gives pictures of the same
sizes: it blurs faces, say. In: names in the settings. Out: columns of scores, rules on them, and bytes. Nothing is
fetched again to change either.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from pipeline.image.config import HooksConfig, ImageConfig
from pipeline.image.encode import encode
from pipeline.own import load
from pipeline.tables.ledger import Rule
from pipeline.tables.schema import SCORES
from webimagetext.errors import UserError

__all__ = ["edit_pictures", "load_edits", "load_scorers", "score_pictures", "score_rules"]

SETTING = "package.hooks"
Pictures = Sequence[Image.Image]
Scorer = Callable[[Pictures, Sequence[str]], Sequence[float | None]]
Edit = Callable[[Pictures], Pictures]


def load_scorers(config: HooksConfig) -> dict[str, Scorer]:
    """The scoring functions by the name of their score, in order of name."""
    scorers: dict[str, Scorer] = {name: load(f"{SETTING}.scores", function) for name, function in config.scores.items()}
    if config.clip_checkpoint:
        from pipeline.image.clip_score import ClipScore

        scorers["clip"] = ClipScore(config.clip_checkpoint)
    return dict(sorted(scorers.items()))


def load_edits(config: HooksConfig) -> list[Edit]:
    """The editing functions, in the order in which they are applied."""
    return [load(f"{SETTING}.edits", name) for name in config.edits]


def _decoded(pictures: Sequence[bytes]) -> list[Image.Image]:
    return [Image.open(io.BytesIO(data)).convert("RGB") for data in pictures]


def score_pictures(pictures: Sequence[bytes], captions: Sequence[str], scorers: Mapping[str, Scorer]) -> pa.Array:
    """The scores of stored pictures with their captions: a column of type SCORES.

    Raises UserError when a function does not give a number for each picture.
    """
    images = _decoded(pictures)
    columns: dict[str, list[float]] = {}
    for name, scorer in scorers.items():
        columns[name] = [math.nan if value is None else float(value) for value in scorer(images, list(captions))]
        if len(columns[name]) != len(images):
            raise UserError(
                f"package.hooks: the score {name} has {len(columns[name])} values for {len(images)} pictures"
            )
    rows = [[{"name": name, "score": values[row]} for name, values in columns.items()] for row in range(len(images))]
    return pa.array(rows, SCORES)


def edit_pictures(pictures: Sequence[bytes], edits: Sequence[Edit], config: ImageConfig) -> list[bytes]:
    """Stored pictures after the editing functions, stored as these are. Raises UserError when one changes a size."""
    images: Pictures = _decoded(pictures)
    sizes = [image.size for image in images]
    for edit in edits:
        images = edit(images)
        if [image.size for image in images] != sizes:
            raise UserError("package.hooks: an editing function changed the number or the sizes of the pictures")
    return [encode(image.convert("RGB"), config) for image in images]


class ScoreRange:
    """Drops pictures whose score ``score`` is below ``minimum`` or above ``maximum``; the ledger's detail states it."""

    def __init__(self, score: str, minimum: float | None, maximum: float | None) -> None:
        self.name = f"score_{score}"
        self.detail = f"_score_{score}"
        self._score, self._minimum, self._maximum = score, minimum, maximum

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        rows = batch.column("scores").to_pylist()
        values = pa.array([{s["name"]: s["score"] for s in row or ()}.get(self._score) for row in rows], pa.float32())
        reasons = pa.nulls(batch.num_rows, pa.string())
        if self._minimum is not None:
            reasons = pc.if_else(pc.fill_null(pc.less(values, self._minimum), False), f"low_{self._score}", reasons)
        if self._maximum is not None:
            reasons = pc.if_else(pc.fill_null(pc.greater(values, self._maximum), False), f"high_{self._score}", reasons)
        said = [None if value is None else f"{self._score} {value:.4f}" for value in values.to_pylist()]
        return reasons, {self.detail: pa.array(said, pa.string())}


class Unscored:
    """Drops pairs of which a model said no number, but an infinite one or none at all: no rule could judge these, and
    no file of JSON could hold them. The reason is ``unscored_NAME``."""

    name, detail = "unscored", "_unscored"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        bad = [
            next((s for s in row or () if s["score"] is None or not math.isfinite(s["score"])), None)
            for row in batch.column("scores").to_pylist()
        ]
        reasons = [f"unscored_{score['name']}" if score else None for score in bad]
        said = [f"{score['name']} {score['score']}" if score else None for score in bad]
        return pa.array(reasons, pa.string()), {self.detail: pa.array(said, pa.string())}


def score_rules(config: HooksConfig) -> list[Rule]:
    """The rules on scores: that each is a number, then those that the settings ask for, in order of their names."""
    names = sorted({*config.minimum, *config.maximum})
    return [Unscored(), *(ScoreRange(name, config.minimum.get(name), config.maximum.get(name)) for name in names)]
