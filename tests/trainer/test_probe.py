"""Linear probes and few shots: the classifier is the best there is, and is fitted to what it should be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.peers import PEERS, run_in_peers
from tests.trainer.test_export import saved
from trainer.evaluate import fewshot, probe, zeroshot
from trainer.evaluate.config import FewshotConfig, ProbeConfig, ZeroshotConfig
from trainer.evaluate.features import encode_pictures, samples, with_features
from trainer.evaluate.fewshot import shots_to_match
from trainer.evaluate.logistic import best_strength, fit
from trainer.models.spec import ModelSpec
from trainer.tokenizer import train_tokenizer
from trainer.weights import load_trained
from webimagetext.errors import UserError

SPEC = ModelSpec(16, 32, 2, 64, 2, 8, text_width=64, text_heads=1, text_layers=1, vocab_size=600)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt nothing: 64 features, of which 16 are left by its projection."""
    folder = tmp_path_factory.mktemp("model") / "run"
    saved(folder, SPEC, train_tokenizer(["a red circle", "picture of one green ring"] * 4, 600))
    return folder


def clouds(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Three clouds that overlap, in five dimensions."""
    draw = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, 3, (rows,), generator=draw)
    middles = torch.tensor([[1.0, 0, 0, 0, 0], [0, 1.0, 0, 0, 0], [0, 0, 1.0, 0, 0]])
    return middles[truth] * 1.5 + torch.randn(rows, 5, generator=draw), truth


@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_no_other_classifier_is_better(strength: float) -> None:
    """Where the loss is least its gradient is zero, and a problem like this one has one such place."""
    features, truth = clouds(200, 1)
    found = fit(features, truth, 3, strength)
    weight, bias = found.weight.clone().requires_grad_(), found.bias.clone().requires_grad_()
    loss = F.cross_entropy(features.double() @ weight.T + bias, truth, reduction="sum") * strength
    (loss + weight.square().sum() / 2).backward()
    assert weight.grad is not None and bias.grad is not None
    assert max(float(weight.grad.abs().max()), float(bias.grad.abs().max())) < 1e-4 * max(1, strength)


SCIKIT_LEARN = """
import json, sys
import numpy as np
from sklearn.linear_model import LogisticRegression
held = np.load(sys.argv[1])
found = {}
for strength in map(float, sys.argv[2:]):
    made = LogisticRegression(C=strength, max_iter=10_000, tol=1e-10).fit(held["features"], held["truth"])
    found[strength] = [made.coef_.tolist(), made.predict_proba(held["features"]).tolist()]
print(json.dumps(found))
"""


@pytest.mark.peers
@pytest.mark.skipif(not PEERS.exists(), reason="the peers' environment is not built (make peers)")
def test_it_is_the_classifier_of_scikit_learn(tmp_path: Path) -> None:
    features, truth = clouds(200, 1)
    np.savez(tmp_path / "clouds.npz", features=features.double().numpy(), truth=truth.numpy())
    (tmp_path / "theirs.py").write_text(SCIKIT_LEARN)
    made = run_in_peers(tmp_path / "theirs.py", tmp_path / "clouds.npz", "0.01", "1.0", "100.0")
    for strength, (weight, probabilities) in made.items():
        found = fit(features, truth, 3, float(strength))
        assert torch.allclose(found.weight, torch.tensor(weight, dtype=torch.float64), atol=1e-4)
        theirs = torch.tensor(probabilities, dtype=torch.float64)
        assert torch.allclose(found.scores(features).double().softmax(dim=1), theirs, atol=1e-5)
    assert len(made) == 3


def test_the_strength_is_the_best_on_the_validation_rows() -> None:
    features, truth = clouds(40, 2)
    noise = torch.randn(40, 30, generator=torch.Generator().manual_seed(3))
    held, right = clouds(400, 4)
    others = torch.randn(400, 30, generator=torch.Generator().manual_seed(5))
    sides = torch.cat([features, noise], 1), truth, torch.cat([held, others], 1), right
    strength, tried = best_strength(*sides, 3)
    shares = dict(tried)
    assert shares[strength] == max(shares.values())
    assert strength == min(c for c, share in tried if share == max(shares.values()))
    assert {1e-6, 1e-4, 1e-2, 1.0, 100.0, 1e4, 1e6} <= {float(f"{c:.6g}") for c in shares}
    nearest = min(abs(torch.log10(torch.tensor(c / strength))) for c in shares if c != strength)
    assert float(nearest) == pytest.approx(1 / 8, abs=1e-4)


def test_shots_are_interpolated_by_their_logarithm() -> None:
    curve = [(1, 0.2), (2, 0.4), (4, 0.6), (8, 0.5)]
    assert shots_to_match(curve, 0.1) == 1
    assert shots_to_match(curve, 0.5) == pytest.approx(2 * 2**0.5)
    assert shots_to_match(curve, 0.6) == pytest.approx(4)
    assert shots_to_match(curve, 0.7) is None


def test_a_model_is_probed_on_the_features_before_its_projection(shapes: Path, exported: Path) -> None:
    data, fitted = (str(shapes / "holdout/*.tar"),), (str(shapes / "shards/*.tar"),)
    config = ProbeConfig(checkpoint=str(exported), data=data, train_data=fitted, device="cpu", iterations=200)
    figures = probe.evaluate(config)
    assert (figures["images"], figures["fitted_to"], figures["chosen_by"], figures["classes"]) == (60, 240, 48, 6)
    assert len(figures["strengths"]) >= 7
    assert figures["features"] == 64 and "C = " in probe.render(figures)
    fixed = probe.evaluate(ProbeConfig(**{**vars(config), "strength": 1.0}))
    assert (fixed["strength"], fixed["chosen_by"], fixed["strengths"]) == (1.0, 0, [])
    itself = probe.evaluate(ProbeConfig(**{**vars(config), "data": fitted, "strength": 1e4}))
    assert itself["top1"] > 0.5 > fixed["chance"]  # it can at least learn by heart
    few = fewshot.evaluate(FewshotConfig(checkpoint=str(exported), data=data, train_data=fitted, device="cpu", draws=2))
    assert [row["shots"] for row in few["curve"]] == [1, 2, 4, 8, 16]
    assert all(row["lowest"] <= row["top1"] <= row["highest"] for row in few["curve"])
    assert "shots a class match" in fewshot.render(few)
    alone = zeroshot.evaluate(ZeroshotConfig(checkpoint=str(exported), data=data, device="cpu"))
    assert few["zeroshot"] == alone["top1"]


def test_one_pass_gives_features_and_scores(shapes: Path, exported: Path) -> None:
    trained, cpu = load_trained(str(exported)), torch.device("cpu")
    items = list(samples((str(shapes / "holdout/*.tar"),), 20))
    score = zeroshot.classifier(trained, ["ring", "square"], ["a {}"], cpu)

    def encoded(**options: Any) -> Tensor:
        return encode_pictures(trained, items, lambda item: item[0], device=cpu, **options)[1]

    both = encoded(encode=with_features(trained, score))
    assert torch.equal(both[:, :-2], encoded(before_projection=True))
    assert torch.equal(both[:, -2:], encoded(encode=score))


def test_what_is_missing_is_said(shapes: Path, exported: Path, tmp_path: Path) -> None:
    data = (str(shapes / "holdout/*.tar"),)
    with pytest.raises(UserError, match="--train-data"):
        probe.evaluate(ProbeConfig(checkpoint=str(exported), data=data))
    classes = tmp_path / "classes.txt"
    classes.write_text("ring\nsquare\n")
    config = ProbeConfig(checkpoint=str(exported), data=data, train_data=data, classes=str(classes), device="cpu")
    names: list[str] = []
    probe.features_of(config, data, names, load_trained(str(exported)), "fit to")
    with pytest.raises(UserError, match="has a class 'circle', which the other pictures don't have"):
        probe.features_of(
            ProbeConfig(**{**vars(config), "classes": ""}), data, names, load_trained(str(exported)), "probe"
        )
    with pytest.raises(UserError, match="fewer than --shots"):
        config = FewshotConfig(checkpoint=str(exported), data=data, train_data=data, shots=(100,), device="cpu")
        fewshot.evaluate(config)
