"""The page of each evaluation: its table, its drawing, its figures, and nothing from strangers that runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.test_export import saved
from tests.trainer.test_probe import SPEC
from trainer.evaluate.__main__ import CONFIGS, main
from trainer.evaluate.report import DRAWN, report
from trainer.models.clip import parameter_count
from trainer.models.count import training_operations
from trainer.tokenizer import train_tokenizer
from trainer.weights import load_trained

ABOUT = {"checkpoint": "run <b>", "step": 7}
SHARES = {"top1": 0.5, "top5": 0.9, "mean_per_class": 0.4, "chance": 0.1}
RECALL = {"1": 0.1, "5": 0.4, "10": 0.6}
DRAWABLE: dict[str, tuple[dict[str, Any], str]] = {
    "retrieval": ({f"{a}{b}": RECALL for a in ("image_to_text", "text_to_image") for b in ("", "_chance")}, "<path d="),
    "zeroshot": (SHARES, 'width="50.00"'),
    "probe": (SHARES | {"strengths": [{"strength": 0.1, "accuracy": 0.2}, {"strength": 10, "accuracy": 0.3}]}, "C"),
    "fewshot": (
        {"zeroshot": 0.4, "curve": [{"shots": n, "top1": 0.3, "lowest": 0.2, "highest": 0.5} for n in (1, 2)]},
        "dasharray",
    ),
    "robustness": (
        {"shifted": [{"set": "a <b>", "top1": 0.3, "base": {"top1": 0.5}}, {"set": "b", "top1": 0.1, "base": SHARES}]},
        "a &lt;b&gt;",
    ),
    "overlap": (SHARES | {"top1_clean": 0.25}, 'width="25.00"'),
    "suite": ({"sets": [{"title": "a <b>", "value": 0.75}]}, 'width="75.00"'),
    "scaling": (
        {"by": "compute", "factor": 1, "exponent": 0.3, "floor": 0, "runs": [{"x": 10, "error": 0.5}]},
        "<circle",
    ),
}


@pytest.mark.parametrize("verb", sorted(CONFIGS))
def test_each_evaluation_has_a_drawing(verb: str) -> None:
    figures, drawn = DRAWABLE[verb]
    text = report(verb, ABOUT | figures, "the table <b>")
    body = DRAWN[verb](ABOUT | figures)
    assert drawn in body and body in text
    assert "the table &lt;b&gt;" in text and "<b>" not in text and "<script" not in text


def test_pages_and_figures_are_written(shapes: Path, tmp_path: Path) -> None:
    saved(tmp_path / "run", SPEC, train_tokenizer(["a red circle", "picture of one green ring"] * 4, 600))
    words = ["--checkpoint", str(tmp_path / "run"), "--data", str(shapes / "holdout/*.tar"), "--device", "cpu"]
    for verb in ("retrieval", "zeroshot"):
        page, output = tmp_path / f"{verb}.html", tmp_path / f"{verb}.json"
        assert main([verb, *words, "--limit", "12", "--page", str(page), "--output", str(output)]) == 0
        figures = json.loads(output.read_text())
        assert "All figures" in page.read_text() and "<svg" in page.read_text()
        assert (figures["step"], figures["samples"]) == (7, 56)
        assert figures["parameters"] == parameter_count(load_trained(str(tmp_path / "run")).model)
        assert figures["compute"] == training_operations(SPEC, 56)
