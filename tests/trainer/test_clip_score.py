"""The CLIP score by a checkpoint that was trained here: right captions score higher than others, through the hooks' settings."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.image.config import HooksConfig
from pipeline.image.hooks import load_scorers, score_pictures
from trainer import checkpoint
from trainer.run import main


def test_right_captions_score_higher(
    shapes: Path, tiny_model: Path, tmp_path: Path, make_pairs: Callable[..., list[Any]]
) -> None:
    flags = ["--preset", "tiny", "--model", str(tiny_model), "--train-data", str(shapes / "shards/*.tar")]
    flags += ["--output", str(tmp_path), "--vocab-size", "700", "--batch-size", "24", "--warmup-steps", "5"]
    assert main([*flags, "--steps", "80"]) == 0
    url = checkpoint.newest(str(tmp_path))
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
