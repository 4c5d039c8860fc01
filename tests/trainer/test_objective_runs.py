"""Each objective as a user meets it: a short training that learns, its zero-shot classification, what is refused."""

import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor

from pipeline.image.clip_score import ClipScore
from tests.trainer.conftest import Pair, write_shards
from tests.trainer.drawings import COLOURS
from tests.trainer.test_predictive import RESNET, VIT
from tests.trainer.test_train import flags, losses, weights
from trainer import checkpoint
from trainer.evaluate.__main__ import main as evaluate
from trainer.evaluate.features import with_features
from trainer.export import main as export
from trainer.objectives.kinds import KINDS, initial
from trainer.rerank import main as rerank
from trainer.run import main, resolve
from trainer.tokenizer import train_tokenizer
from trainer.weights import Trained, load_trained, read_weights
from webimagetext.errors import UserError

NEW = [objective for objective in KINDS if objective not in ("contrastive", "sigmoid")]
STEPS = {"sigmoid": "120", "caption": "150"}  # the others need 60
PREDICTIVE = ("bag-of-words", "caption", "ngram")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")


def walls(count: int, seed: int) -> list[Pair]:
    """Pairs of a painted wall, in one of eight colours, lit from a side and with grain, and a caption of it."""
    rng = np.random.default_rng(seed)
    found: list[Pair] = []
    for index in range(count):
        colour = COLOURS[rng.integers(len(COLOURS))]
        light = np.linspace(rng.uniform(0.75, 1), rng.uniform(0.75, 1), 36)[None, :, None]
        pixels = np.array(ImageColor.getrgb(colour)) * light + rng.normal(0, 12, (36, 36, 3))
        stream = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "PNG")
        texts = (f"a {colour} wall", f"our house. the door and its {colour} wall", f"{colour}", f"{colour} paint, new")
        found.append((f"{seed:04x}{index:04x}", stream.getvalue(), str(rng.choice(texts)), {"label": colour}))
    return found


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with 192 pairs and 64 held-out ones."""
    root = tmp_path_factory.mktemp("walls")
    write_shards(root / "shards", walls(192, 0), 64)
    write_shards(root / "holdout", walls(64, 1), 64)
    return root


@pytest.fixture(scope="module")
def runs(shapes: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each objective; so small that a second thread would only be in the way."""
    found = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for objective in KINDS:
        found[objective] = tmp_path_factory.mktemp(objective)
        more = ("--objective", objective, "--steps", STEPS.get(objective, "60"), "--ngrams", "100")
        more += ("--learning-rate", "5e-3", "--precision", "fp32")
        assert main(flags(shapes, tiny_model, found[objective], *more)) == 0
    torch.set_num_threads(threads)
    return found


def accuracy(run: Path, shapes: Path, *more: str) -> dict[str, Any]:
    words = ["zeroshot", "--checkpoint", str(run), "--data", str(shapes / "holdout/*.tar")]
    assert evaluate([*words, "--output", str(run / "z.json"), *more]) == 0
    return dict(json.loads((run / "z.json").read_text()))


@pytest.mark.parametrize("objective", KINDS)
def test_a_short_training_learns_to_classify(runs: dict[str, Path], shapes: Path, objective: str) -> None:
    found = losses(runs[objective])
    assert found[max(found)] < 0.9 * found[1]
    by_names = objective in ("bag-of-words", "ngram")
    figures = accuracy(runs[objective], shapes, *(() if by_names else ("--prompts", "a {} wall", "{}")))
    assert (figures["classes"], figures["prompts"]) == (8, 1 if by_names else 2)
    assert figures["chance"] == 1 / 8
    assert figures["top1"] > 0.7, figures
    logged = (runs[objective] / "log.jsonl").read_text()
    assert ('"logit_scale"' in logged) == (objective not in PREDICTIVE)


@pytest.mark.parametrize("objective", ["ngram", "convirt", "caption"])
def test_a_run_goes_on_bit_for_bit(
    runs: dict[str, Path], shapes: Path, tiny_model: Path, tmp_path: Path, objective: str
) -> None:
    more = ("--objective", objective, "--ngrams", "100", "--ema", "0.9", "--steps", "9", "--checkpoint-steps", "4")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(flags(shapes, tiny_model, whole, *more, "--keep", "9")) == 0
    shutil.copytree(whole, broken)
    for step in (8, 9):
        os.unlink(broken / f"checkpoints/step-0000000{step}.pt")
    (broken / "summary.json").unlink()
    assert main(flags(shapes, tiny_model, broken, *more, "--workers", "1")) == 0
    assert losses(broken) == losses(whole)
    ours, theirs = weights(broken), weights(whole)
    assert ours.keys() == theirs.keys() and ("keys" in ours) == (objective == "ngram")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_another_objective_is_refused(runs: dict[str, Path], shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(runs["caption"], tmp_path, dirs_exist_ok=True)
    with pytest.raises(UserError, match=r"was made with --objective caption, not bag-of-words") as error:
        main(flags(shapes, tiny_model, tmp_path, "--objective", "bag-of-words", "--steps", "151"))
    assert "another --output" in error.value.remedy
    # --ngrams decides nothing of a caption, and all of n-grams.
    assert main(flags(shapes, tiny_model, tmp_path, "--objective", "caption", "--steps", "151")) == 0
    with pytest.raises(UserError, match="--ngrams 100, not 99"):
        main(flags(shapes, tiny_model, runs["ngram"], "--objective", "ngram", "--steps", "61", "--ngrams", "99"))


def test_weights_of_another_objective_are_no_beginning(
    runs: dict[str, Path], shapes: Path, tiny_model: Path, tmp_path: Path
) -> None:
    def begin(name: str, objective: str) -> int:
        start = checkpoint.newest(str(runs[name])) or ""
        words = ("--objective", objective, "--steps", "1", "--start-from", start)
        words += ("--tokenizer", str(runs[name] / "tokenizer.json"))
        return main(flags(shapes, tiny_model, tmp_path / f"{name}-{objective}", *words))

    with pytest.raises(UserError, match="was trained by --objective convirt, not contrastive") as error:
        begin("convirt", "contrastive")
    assert "add --objective convirt" in error.value.remedy
    assert begin("contrastive", "sigmoid") == 0
    assert begin("ngram", "ngram") == 0
    assert len(weights(tmp_path / "ngram-ngram")["keys"]) == 100


def test_what_an_objective_does_not_offer_is_refused_in_a_line(
    runs: dict[str, Path], shapes: Path, tiny_model: Path, tmp_path: Path
) -> None:
    holdout = str(shapes / "holdout/*.tar")
    for objective in PREDICTIVE:
        words = ["--checkpoint", str(runs[objective])]
        told = f"--objective {objective}, which gives texts no vectors"
        with pytest.raises(UserError, match=told):
            evaluate(["retrieval", *words, "--data", holdout])
        with pytest.raises(UserError, match=told):
            rerank([*words, "--prompt", "a red circle", "--images", holdout])
        with pytest.raises(UserError, match=told):
            ClipScore(str(runs[objective]))
    for objective in NEW:
        words = ["--checkpoint", str(runs[objective]), "--output", str(tmp_path / "out")]
        for layout in ("open_clip", "huggingface", "onnx"):
            with pytest.raises(
                UserError, match=f"--format {layout}: has no place for a model of --objective {objective}"
            ):
                export([*words, "--format", layout])
    assert not (tmp_path / "out").exists()
    for objective in ("ngram", "bag-of-words"):
        with pytest.raises(UserError, match=f"--prompts: a model of --objective {objective} scores the words"):
            accuracy(runs[objective], shapes, "--prompts", "a {}")
        with pytest.raises(UserError, match=f"--lock-text: a model of --objective {objective} has no text tower"):
            main(flags(shapes, tiny_model, tmp_path / "out", "--objective", objective, "--lock-text"))
    for objective in ("contrastive-bow", "convirt"):
        with pytest.raises(UserError, match=f"--batch-size: the {objective} loss needs two pairs"):
            main([*flags(shapes, tiny_model, tmp_path / "out", "--objective", objective), "--batch-size", "1"])


@pytest.mark.parametrize("objective", KINDS)
def test_a_file_of_our_own_layout_is_the_same_model(
    runs: dict[str, Path], shapes: Path, tmp_path: Path, objective: str
) -> None:
    url = str(tmp_path / "model.safetensors")
    assert export(["--checkpoint", str(runs[objective]), "--output", url]) == 0
    again, before = load_trained(url), load_trained(str(runs[objective]))
    assert type(again.model) is type(before.model) and again.model.objective == objective
    ours, theirs = again.model.state_dict(), before.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_probes_take_the_image_tower_of_any(runs: dict[str, Path], shapes: Path, tmp_path: Path) -> None:
    sets = ["--data", str(shapes / "holdout/*.tar"), "--train-data", str(shapes / "shards/*.tar")]
    out = tmp_path / "p.json"
    for objective in ("ngram", "caption"):
        words = ["--checkpoint", str(runs[objective]), *sets, "--output", str(out)]
        assert evaluate(["probe", *words, "--strength", "10"]) == 0
        assert json.loads(out.read_text())["top1"] > 0.5
        assert evaluate(["fewshot", *words, "--shots", "8", "--draws", "1"]) == 0
        figures = json.loads(out.read_text())
        assert figures["zeroshot"] > 0.5 and figures["curve"][0]["top1"] > 0.5


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_features_on_the_way_are_those_before_the_projection(kind: str) -> None:
    spec = VIT if kind == "vit" else RESNET
    model = initial("caption", spec).eval()
    trained = Trained(model, train_tokenizer(["a wall"] * 4, 514), "here", 0, "center")
    images = torch.randn(3, 3, spec.image_size, spec.image_size)
    expected = model.visual.trunk(images) if kind == "vit" else model.visual(images)
    ids = torch.tensor([[28, 3, 29], [28, 4, 29]])
    found = with_features(trained, lambda given: model.scores(given, ids))(images)
    assert torch.allclose(found, torch.cat([expected, model.scores(images, ids)], dim=1), atol=1e-5)


def test_convirt_implies_sentences_unless_told_otherwise(tmp_path: Path) -> None:
    assert resolve(["--objective", "convirt"]).captions == "sentence"
    assert resolve(["--objective=convirt", "--captions", "longest"]).captions == "longest"
    assert resolve(["--objective", "caption"]).captions == "text"
    (tmp_path / "c.toml").write_text('objective = "convirt"\n')
    assert resolve(["--config", str(tmp_path / "c.toml")]).captions == "sentence"
    (tmp_path / "d.toml").write_text('objective = "convirt"\ncaptions = "join"\n')
    assert resolve(["--config", str(tmp_path / "d.toml")]).captions == "join"


def test_checkpoints_from_before_the_name_of_the_setting(
    runs: dict[str, Path], shapes: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """They call it "loss"."""
    shutil.copytree(runs["sigmoid"], tmp_path / "old")
    url = checkpoint.newest(str(tmp_path / "old")) or ""
    content = checkpoint.read(url)
    config = {name: value for name, value in content.config.items() if name not in ("objective", "ngrams")}
    checkpoint.write(str(tmp_path / "old"), replace(content, config=config | {"loss": "sigmoid"}), 1)
    assert read_weights(url).objective == "sigmoid"
    with pytest.raises(UserError, match="was made with --objective sigmoid, not contrastive"):
        main(flags(shapes, tiny_model, tmp_path / "old", "--steps", "121"))
    assert main(flags(shapes, tiny_model, tmp_path / "old", "--objective", "sigmoid", "--steps", "121")) == 0


def test_an_objective_of_later_is_named(runs: dict[str, Path], tmp_path: Path) -> None:
    content = checkpoint.read(checkpoint.newest(str(runs["caption"])) or "")
    later = {**content.config, "objective": "later"}
    checkpoint.write(str(tmp_path), replace(content, config=later), 1)
    with pytest.raises(UserError, match="was trained by --objective later, which is not known here"):
        load_trained(str(tmp_path))
