"""Scaling: known exponents and floors are found again, with their errors; figures come from files and logs."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from trainer.evaluate.__main__ import main
from trainer.evaluate.scaling import fit_law
from trainer.models.count import operations, training_operations
from trainer.models.spec import SPECS
from webimagetext.errors import UserError

X = [1e3, 4e3, 2e4, 3e5, 1e7]


def test_a_known_exponent_is_found() -> None:
    law = fit_law(X, [2.5 * x**-0.21 for x in X])
    assert (law.exponent, law.factor, law.floor) == pytest.approx((0.21, 2.5, 0))
    assert law.deviation == pytest.approx(0, abs=1e-9) and law.explained == pytest.approx(1)
    assert law.at(1e9) == pytest.approx(2.5 * 1e9**-0.21)
    with pytest.raises(ValueError, match="no line"):
        fit_law([3.0, 3.0], [0.5, 0.4])


@pytest.mark.parametrize(("exponent", "floor"), [(0.21, 0.13), (0.5, 0.02), (0.3, 0.0)])
def test_a_known_floor_is_found(exponent: float, floor: float) -> None:
    law = fit_law(X, [2.5 * x**-exponent + floor for x in X], floor=True)
    assert (law.exponent, law.floor) == pytest.approx((exponent, floor), abs=1e-4)
    if floor:
        plain = fit_law(X, [2.5 * x**-exponent + floor for x in X])
        assert plain.exponent < exponent - 0.01 and plain.explained < law.explained


def test_the_standard_error_is_that_of_noise() -> None:
    draw, found, stated = np.random.default_rng(0), [], []
    for _ in range(400):
        law = fit_law(X, [x**-0.3 * math.exp(noise) for x, noise in zip(X, draw.normal(0, 0.1, 5), strict=True)])
        found.append(law.exponent)
        stated.append(law.deviation**2)
    assert np.mean(found) == pytest.approx(0.3, abs=0.003)
    assert math.sqrt(np.mean(stated)) == pytest.approx(float(np.std(found)), rel=0.1)


def test_runs_are_read_from_figures_and_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, x in enumerate(X[:3]):
        figures = {"compute": x, "samples": 10 * x, "top1": 1 - x**-0.25, "image_to_text": {"1": 0.1 * (number + 1)}}
        (tmp_path / f"{number}.json").write_text(json.dumps(figures))
    (tmp_path / "run").mkdir()
    events = [
        {"event": "start"},
        {"event": "evaluation", "compute": 1.0, "top1": 0.1},
        {"event": "evaluation", "compute": X[3], "samples": 10 * X[3], "top1": 1 - X[3] ** -0.25},
        {"event": "end"},
    ]
    (tmp_path / "run/log.jsonl").write_text("\n".join(map(json.dumps, events)))
    files = [str(tmp_path / f"{number}.json") for number in range(3)]
    page = tmp_path / "fit.html"
    output = str(tmp_path / "fit.out")
    assert main(["scaling", *files, str(tmp_path / "run"), "--output", output, "--page", str(page)]) == 0
    fit = json.loads(Path(output).read_text())
    assert fit["exponent"] == pytest.approx(0.25) and fit["span"] == pytest.approx(300)
    assert [row["x"] for row in fit["runs"]] == X[:4]
    assert fit["expected_of_ten_times"] == pytest.approx((10 * X[3]) ** -0.25)
    assert "falls as compute ^ -0.2500" in capsys.readouterr().out
    assert page.read_text().count("<circle") == 4 and "<script" not in page.read_text()
    assert main(["scaling", *files, "--by", "samples", "--figure", "image_to_text.1"]) == 0
    for words, told in (
        ([*files[:2]], "needs 3 runs"),
        ([*files, "--floor"], "needs 4 runs"),
        ([*files, "--by", "parameters"], "does not state parameters and top1"),
        ([], "--runs: is needed"),
    ):
        with pytest.raises(UserError, match=told):
            main(["scaling", *words])
    (tmp_path / "run/log.jsonl").write_text('{"event": "start"}\n')
    with pytest.raises(UserError, match="--evaluate-every"):
        main(["scaling", *files, str(tmp_path / "run")])


def test_what_training_computes_is_three_times_a_pass() -> None:
    image, text = operations(SPECS["ViT-B/32"])
    assert image == pytest.approx(8.8e9, rel=0.1)  # the paper's figure; the last block goes for one row alone here
    assert training_operations(SPECS["ViT-B/32"], 7) == pytest.approx(21 * (image + text))
