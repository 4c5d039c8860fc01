"""Evaluation while a model is trained: the figures are those of the checkpoint, and training doesn't notice."""

import json
from pathlib import Path

import pytest
import torch

from tests.trainer.test_train import flags, losses, weights
from trainer import checkpoint
from trainer.evaluate import retrieval, zeroshot
from trainer.evaluate.config import RetrievalConfig, ZeroshotConfig
from trainer.report import render_run
from trainer.run import main
from webimagetext.errors import UserError


def test_evaluations_are_those_of_the_checkpoint_and_change_nothing(
    shapes: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")
    holdout = str(shapes / "holdout/*.tar")
    more = ("--steps", "12", "--ema", "0.6", "--patch-dropout", "0.25")
    watched = ("--evaluate-every", "5", "--evaluate-zeroshot", holdout, "--evaluate-retrieval", holdout)
    assert main(flags(shapes, tiny_model, tmp_path / "plain", *more)) == 0
    assert main(flags(shapes, tiny_model, tmp_path / "seen", *more, *watched)) == 0
    assert losses(tmp_path / "plain") == losses(tmp_path / "seen")
    plain, seen = weights(tmp_path / "plain"), weights(tmp_path / "seen")
    assert all(torch.equal(plain[name], seen[name]) for name in plain)
    events = [json.loads(line) for line in (tmp_path / "seen/log.jsonl").read_text().splitlines()]
    found = [event for event in events if event["event"] == "evaluation"]
    assert [event["step"] for event in found] == [5, 10, 12]
    assert (found[-1]["samples"], found[-1]["parameters"]) == (12 * 24, events[0]["parameters"])
    made = checkpoint.read(checkpoint.newest(str(tmp_path / "seen")) or "")
    assert any(not torch.equal(made.model[name], made.average[name]) for name in made.model)  # it is no easy case
    same = {"checkpoint": str(tmp_path / "seen"), "data": (holdout,), "device": "cpu"}
    by_class, by_text = zeroshot.evaluate(ZeroshotConfig(**same)), retrieval.evaluate(RetrievalConfig(**same))
    assert found[-1]["top1"] == by_class["top1"] and found[-1]["mean_per_class"] == by_class["mean_per_class"]
    assert found[-1]["compute"] == by_class["compute"]
    for way in ("image_to_text", "text_to_image"):
        assert found[-1][f"{way}_5"] == by_text[way]["5"]
    page = (tmp_path / "seen/report.html").read_text()
    assert "image to text @1" in page and page.count("<svg") >= 6 and "evaluate_every = 5" in page
    assert "Evaluations" not in (tmp_path / "plain/report.html").read_text()


def test_what_cannot_be_evaluated_is_said_before_the_first_step(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    for more, told in (
        (("--evaluate-every", "5"), "there is nothing to evaluate on"),
        (("--evaluate-every", "5", "--evaluate-zeroshot", str(tmp_path)), "no pictures with known classes"),
        (
            ("--evaluate-every", "5", "--evaluate-retrieval", str(shapes / "holdout/*.tar"), "--objective", "caption"),
            "gives texts no vectors",
        ),
    ):
        with pytest.raises(UserError, match=told):
            main(flags(shapes, tiny_model, tmp_path / "model", *more, "--steps", "3"))
    assert not (tmp_path / "model/checkpoints").exists()


def test_of_a_step_that_was_taken_twice_the_later_counts() -> None:
    def step(number: int, loss: float) -> dict[str, object]:
        return {"event": "step", "step": number, "samples": 10 * number, "loss": loss}

    events = [step(1, 5.0), step(2, 9.0), step(2, 4.0), {"event": "skipped", "step": 2}, {"event": "end", "step": 2}]
    text = render_run("a <b>", events, 'model = "<i>"')
    assert "loss 4.0000" in text and "1 steps did not move" in text
    assert "<b>" not in text and "<i>" not in text and "9.0" not in text
    assert render_run("empty", [], "").count("<svg") == 0
