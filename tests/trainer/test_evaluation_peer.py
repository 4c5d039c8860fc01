"""Zero-shot classification and retrieval give open_clip's figures: its model, tokenizer, preparation of pictures,
zero-shot classifier and metrics, on the same weights and files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.peers import PEERS, run_in_peers
from tests.trainer.conftest import Pair
from trainer.evaluate import retrieval, zeroshot
from trainer.evaluate.config import RetrievalConfig, ZeroshotConfig
from trainer.export import main as export
from trainer.weights import load_trained

NAMES = ("circle", "square", "triangle", "cross", "ring", "stripe")
PROMPTS = ("a {}", "picture of one red {}", "the {c}, painted blue")
THEIRS = """
import io, json, sys, tarfile
import open_clip, torch
from PIL import Image
from open_clip.tokenizer import SimpleTokenizer
from open_clip_train.train import get_clip_metrics
from open_clip_train import zero_shot
zero_shot.float = lambda value: value.item()  # it makes a number of an array of one, which NumPy 2.4 refuses
folder, names, prompts = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
sizes = json.load(open(f"{folder}/model.json"))
model = open_clip.model.CLIP(**sizes).eval()
model.load_state_dict(torch.load(f"{folder}/model.pt", weights_only=True))
words = SimpleTokenizer(f"{folder}/model-merges.txt.gz")
prepare = open_clip.image_transform(sizes["vision_cfg"]["image_size"], is_train=False)
parts = {}
with tarfile.open(f"{folder}/0.tar") as archive:
    for member in archive:
        key, kind = member.name.split(".")
        parts.setdefault(key, {})[kind] = archive.extractfile(member).read()
pictures = torch.stack([prepare(Image.open(io.BytesIO(part["jpg"]))) for part in parts.values()])
truth = torch.tensor([names.index(json.loads(part["json"])["label"]) for part in parts.values()])
templates = [lambda name, prompt=prompt: prompt.replace("{c}", name).replace("{}", name) for prompt in prompts]
classes = open_clip.build_zero_shot_classifier(model, words, names, templates, num_classes_per_batch=4)
with torch.no_grad():
    images = model.encode_image(pictures, normalize=True)
    texts = model.encode_text(words([part["txt"].decode() for part in parts.values()]), normalize=True)
right = zero_shot.accuracy(100.0 * images @ classes, truth, topk=(1, 5))
found = {"classes": classes.T.tolist(), "top1": right[0] / len(truth), "top5": right[1] / len(truth)}
metrics = get_clip_metrics(images, texts, torch.tensor(100.0))
print(json.dumps(found | {name: float(value) for name, value in metrics.items()}))
"""


@pytest.mark.peers
@pytest.mark.skipif(not PEERS.exists(), reason="the peers' environment is not built (make peers)")
def test_the_figures_are_those_of_open_clip(
    trained: tuple[list[str], Path],
    make_pairs: Callable[..., list[Pair]],
    make_shards: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Equal captions count as one text here, which open_clip doesn't do: so each is another one.
    pairs = [
        (key, picture, f"{caption} {index}", about)
        for index, (key, picture, caption, about) in enumerate(make_pairs(60, seed=2))
    ]
    make_shards(tmp_path, pairs, 60)
    (tmp_path / "00000.tar").rename(tmp_path / "0.tar")
    (tmp_path / "sizes.json").unlink()
    assert (
        export(["--checkpoint", str(trained[1]), "--output", str(tmp_path / "model.pt"), "--format", "open_clip"]) == 0
    )
    (tmp_path / "theirs.py").write_text(THEIRS)
    theirs = run_in_peers(tmp_path / "theirs.py", tmp_path, json.dumps(NAMES), json.dumps(PROMPTS))
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    (tmp_path / "prompts.txt").write_text("\n".join(PROMPTS[1:]))
    same = {"checkpoint": str(trained[1]), "data": (str(tmp_path / "0.tar"),), "device": "cpu"}
    ours = zeroshot.evaluate(
        ZeroshotConfig(
            **same,
            classes=str(tmp_path / "classes.txt"),
            prompts=PROMPTS[:1],
            prompts_file=str(tmp_path / "prompts.txt"),
        )
    )
    assert (ours["images"], ours["prompts"]) == (60, 3)
    for name in ("top1", "top5"):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-9)
    assert 0 < ours["top1"] < ours["top5"] < 1  # so that the comparison tells something
    model, cpu = load_trained(str(trained[1])), torch.device("cpu")
    vectors = zeroshot.class_vectors(model, NAMES, PROMPTS, cpu)
    assert torch.allclose(vectors, torch.tensor(theirs["classes"]), atol=1e-5)
    for cells in (retrieval.CELLS, 150):  # all at once, or two rows at a time
        monkeypatch.setattr(retrieval, "CELLS", cells)
        found = retrieval.evaluate(RetrievalConfig(**same))
        for way in ("image_to_text", "text_to_image"):
            for k in ("1", "5", "10"):
                assert found[way][k] == pytest.approx(theirs[f"{way}_R@{k}"], abs=1e-9)
            assert found[f"{way}_median_rank"] == theirs[f"{way}_median_rank"]
