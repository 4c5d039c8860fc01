"""Robustness: classes and pictures on both sides are the same, and what others let expect is subtracted."""

import json
import math
from pathlib import Path

import pytest
import torch

from tests.trainer.test_export import saved
from tests.trainer.test_probe import SPEC
from trainer.evaluate import robustness
from trainer.evaluate.config import RobustnessConfig
from trainer.evaluate.intervals import wilson
from trainer.evaluate.robustness import among, effective
from trainer.tokenizer import train_tokenizer
from webimagetext.errors import UserError


def test_both_sides_are_classified_among_the_same_classes() -> None:
    # The first picture is taken for class 2, which doesn't count where that is none of the classes.
    similarity = torch.tensor([[2.0, 1, 9], [5.0, 1, 0], [4.0, 1, 0], [0.0, 0, 1]])
    truth = torch.tensor([0, 0, 1, 2])
    assert among(similarity, truth, [0, 1, 2])["top1"] == 2 / 4
    found = among(similarity, truth, [0, 1])
    assert (found["images"], found["top1"]) == (3, 2 / 3)
    with pytest.raises(UserError, match="no picture"):
        among(similarity[:3], truth[:3], [2])


def test_the_interval_is_wilsons() -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(29, 29)[1] == pytest.approx(1)


def test_effective_robustness_is_what_is_above_the_line_of_others() -> None:
    def on_line(base: float) -> float:
        return 1 / (1 + math.exp(-(0.9 * math.log(base / (1 - base)) - 1)))

    others = [(base, on_line(base)) for base in (0.3, 0.5, 0.8)]
    assert effective(0.6, on_line(0.6), 10_000, others) == pytest.approx(0)
    assert effective(0.6, on_line(0.6) + 0.1, 10_000, others) == pytest.approx(0.1)
    assert effective(0.6, 0.5, 100, others[:1]) is None
    assert effective(0.6, 0.5, 100, []) is None
    assert effective(1.0, 0.0, 100, others) is not None


def test_sets_are_held_against_the_base_and_other_models(shapes: Path, tmp_path: Path) -> None:
    saved(tmp_path / "run", SPEC, train_tokenizer(["a red circle", "picture of one green ring"] * 4, 600))
    base, shifted = str(shapes / "shards/*.tar"), str(shapes / "holdout/*.tar")
    config = RobustnessConfig(checkpoint=str(tmp_path / "run"), data=(base,), shifted=(shifted,), device="cpu")
    figures = robustness.evaluate(config)
    row = figures["shifted"][0]
    assert (figures["images"], row["images"], row["classes"], row["base"]["images"]) == (240, 60, 6, 240)
    assert row["base"]["top1"] == figures["top1"] and row["effective"] is None
    assert row["lowest"] <= row["top1"] <= row["highest"]
    assert shifted in robustness.render(figures)
    others = []
    for number, (known, other) in enumerate(((0.2, 0.1), (0.7, 0.6))):
        figures["shifted"][0] |= {"base": {"top1": known}, "top1": other}
        others.append(str(tmp_path / f"{number}.json"))
        Path(others[-1]).write_text(json.dumps(figures))
    told = robustness.evaluate(RobustnessConfig(**{**vars(config), "others": tuple(others)}))["shifted"][0]
    expected = effective(told["base"]["top1"], told["top1"], 60, [(0.2, 0.1), (0.7, 0.6)])
    assert told["effective"] == pytest.approx(expected)
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(UserError, match=r"bad.json: is none of these results"):
        robustness.evaluate(RobustnessConfig(**{**vars(config), "others": (str(tmp_path / "bad.json"),)}))
    with pytest.raises(UserError, match="--shifted"):
        robustness.evaluate(RobustnessConfig(**{**vars(config), "shifted": ()}))
