"""The CLIP score by a checkpoint that was trained here: right captions score higher than others, through the hooks'
settings."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.image.config import HooksConfig
from pipeline.image.hooks import load_scorers, score_pictures
from trainer import checkpoint


def test_right_captions_score_higher(trained: tuple[list[str], Path], make_pairs: Callable[..., list[Any]]) -> None:
    url = checkpoint.newest(str(trained[1]))
    assert url is not None
    scorers = load_scorers(HooksConfig(clip_checkpoint=url))
    samples = make_pairs(60, seed=1)
    pictures, captions = [picture for _, picture, _, _ in samples], [caption for _, _, caption, _ in samples]
    others = captions[1:] + captions[:1]
    right, wrong = (
        [entry["score"] for (entry,) in score_pictures(pictures, texts, scorers).to_pylist()]
        for texts in (captions, others)
    )
    assert all(-1 <= score <= 1 for score in right + wrong)
    assert math.fsum(right) / 60 > math.fsum(wrong) / 60 + 0.1
