"""The suite: what is known of each set parses, usual layouts are read as they are, and all sets stand in one table."""

import io
import json
import random
import tarfile
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.trainer.conftest import draw
from tests.trainer.test_export import saved
from tests.trainer.test_probe import SPEC
from trainer.evaluate.__main__ import main
from trainer.evaluate.known_sets import _normal, find_sets, known_sets, read_set
from trainer.evaluate.suite import roc_auc
from trainer.evaluate.zeroshot import PROMPTS, filled
from trainer.tokenizer import train_tokenizer
from webimagetext.errors import UserError

CLASSES = {
    "birdsnap": 0, "caltech101": 102, "cifar10": 10, "cifar100": 100, "clevr_counts": 8, "country211": 211, "dtd": 47,
    "eurosat": 10, "fer2013": 7, "fgvc_aircraft": 100, "flowers102": 102, "food101": 101, "gtsrb": 43,
    "hateful_memes": 2, "imagenet": 1000, "kinetics700": 0, "kitti": 4, "mnist": 10, "objectnet": 0, "oxford_pets": 37,
    "pcam": 2, "rendered_sst2": 2, "resisc45": 45, "stanford_cars": 196, "stl10": 10, "sun397": 0, "ucf101": 101,
    "voc2007": 20,
}  # fmt: skip


def test_every_set_of_the_paper_is_known() -> None:
    assert {name: len(known.classes) for name, known in known_sets().items()} == CLASSES
    folders = [folder for known in known_sets().values() for folder in known.folders]
    assert len(set(folders)) == len(folders) and all(folder == _normal(folder) for folder in folders)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_what_is_known_of_a_set(name: str) -> None:
    known = known_sets()[name]
    assert known.title and known.prompts
    for prompt in known.prompts:
        assert prompt.count("{}") == 1 and filled(prompt, "x") != filled(prompt, "y") and prompt == prompt.strip()
    assert len(set(known.prompts)) == len(known.prompts)
    words = [_normal(word) for word in known.classes]
    assert len(set(words)) == len(words) and all(words) and all(word == word.strip() for word in known.classes)
    assert len(known.ids) in (0, len(known.classes)) and len(set(known.ids)) == len(known.ids)
    # In order, which the numbers of shards go by, where the names are the order.
    if name in ("food101", "cifar10", "cifar100", "dtd", "oxford_pets", "resisc45", "stl10", "fgvc_aircraft"):
        lower = [word if name == "fgvc_aircraft" else word.lower().replace(" ", "_") for word in known.classes]
        assert all(first < second for first, second in pairwise(lower))
    if name in ("imagenet", "eurosat", "country211"):
        assert list(known.ids) == sorted(known.ids)


def jpegs(folder: Path, count: int = 2) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.JPEG").write_bytes(draw("red", "ring", number))


def shards(folder: Path, labels: list[str]) -> None:
    folder.mkdir(parents=True)
    with tarfile.open(folder / "0.tar", "w") as archive:
        for number, label in enumerate(labels):
            for name, data in ((f"s{number}.jpg", draw("blue", "cross", number)), (f"s{number}.cls", label.encode())):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight sets as people have them, and a folder with none."""
    root = tmp_path_factory.mktemp("sets")
    jpegs(root / "imagenet/val/n01440764")
    jpegs(root / "imagenet/val/n15075141")
    jpegs(root / "imagenet/train/n01443537")
    jpegs(root / "imagenetv2-matched-frequency/imagenetv2-matched-frequency-format-val/0", 1)
    jpegs(root / "imagenetv2-matched-frequency/imagenetv2-matched-frequency-format-val/999")
    jpegs(root / "oxford_flowers102/test/1")
    jpegs(root / "oxford_flowers102/test/102")
    for number in range(2, 102):
        jpegs(root / f"oxford_flowers102/test/{number}", 1)
    jpegs(root / "UCF101/ApplyEyeMakeup")
    jpegs(root / "UCF101/YoYo", 1)
    jpegs(root / "my_shop/green_hat")
    jpegs(root / "my_shop/red shoe", 1)
    shards(root / "wds_cifar10/test", ["0", "9", "9"])
    shards(root / "wds_odd/test", ["1", "0"])
    (root / "wds_odd/classnames.txt").write_text("a dot\na line\n")
    (root / "wds_odd/zeroshot_classification_templates.txt").write_text("drawn: {c}\n")
    shards(root / "hateful_memes", ["0", "1", "1", "0"])
    (root / "nothing/inside").mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("name", "count", "labels", "classes"),
    [
        ("imagenet", 2, {"tench", "toilet tissue"}, ["tench", "toilet tissue"]),
        ("imagenetv2-matched-frequency", 2, {"tench", "toilet tissue"}, ["tench", "toilet tissue"]),
        ("oxford_flowers102", 102, None, None),
        ("UCF101", 101, {"apply eye makeup", "yo yo"}, ["apply eye makeup", "yo yo"]),
        ("my_shop", 0, {"green hat", "red shoe"}, ["green hat", "red shoe"]),
        ("wds_cifar10", 10, {"airplane", "truck"}, None),
        ("wds_odd", 2, {"a line", "a dot"}, ["a dot", "a line"]),
    ],
)
def test_usual_layouts(sets: Path, name: str, count: int, labels: set[str] | None, classes: list[str] | None) -> None:
    (found,) = (found for found in find_sets(str(sets)) if found.name == name)
    pictures, names, prompts = read_set(found, 0)
    pictures = list(pictures)
    assert all(picture.take() for picture in pictures)
    assert labels is None or {picture.name for picture in pictures} == labels
    assert names == (classes or list(found.known.classes if found.known else ()))
    if name == "wds_odd":
        assert [*prompts] == ["drawn: {c}"] and [picture.name for picture in pictures] == ["a line", "a dot"]
    else:
        assert tuple(prompts) == (found.known.prompts if found.known else ())
    few, _, _ = read_set(found, 2)
    assert len(list(few)) == 2
    assert names[0] != "pink primrose" or (names[-1], len(names)) == ("blackberry lily", count)


def test_one_table_of_all_sets(sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path / "run", SPEC, train_tokenizer(["a red circle", "picture of one green ring"] * 4, 600))
    words = ["suite", str(sets), "--checkpoint", str(tmp_path / "run"), "--device", "cpu", "--limit", "4"]
    assert main([*words, "--output", str(tmp_path / "s.json"), "--text-cache", str(tmp_path / "kept")]) == 0
    figures = json.loads((tmp_path / "s.json").read_text())
    rows = {row["set"]: row for row in figures["sets"]}
    assert len(rows) == 8 and not figures["left_out"]
    assert (rows["imagenet"]["title"], rows["imagenet"]["classes"], rows["my_shop"]["prompts"]) == ("ImageNet", 2, 7)
    assert rows["my_shop"]["prompts"] == len(PROMPTS) and rows["wds_odd"]["prompts"] == 1
    assert (rows["oxford_flowers102"]["metric"], rows["hateful_memes"]["metric"]) == ("mean_per_class", "roc_auc")
    assert rows["hateful_memes"]["chance"] == 0.5 and rows["wds_cifar10"]["chance"] == pytest.approx(0.1)
    assert rows["imagenet"]["lowest"] <= rows["imagenet"]["value"] <= rows["imagenet"]["highest"]
    assert figures["mean"] == pytest.approx(sum(row["value"] for row in rows.values()) / 8)
    shown = capsys.readouterr().out
    assert "Oxford Flowers 102" in shown and "area under the ROC curve" in shown
    shards(tmp_path / "bad/wds_odd/test", ["7"])
    (tmp_path / "bad/wds_odd/classnames.txt").write_text("a dot\na line\n")
    with pytest.raises(UserError, match="has a class 7, of 2 names"):
        main(["suite", str(tmp_path / "bad"), "--checkpoint", str(tmp_path / "run"), "--device", "cpu"])
    with pytest.raises(UserError, match="no evaluation sets here"):
        main(["suite", str(tmp_path / "kept"), "--checkpoint", str(tmp_path / "run"), "--device", "cpu"])


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    numbers = random.Random(1)
    scores = torch.tensor([numbers.randint(0, 6) / 2 for _ in range(40)])
    positive = torch.tensor([numbers.random() < 0.4 for _ in range(40)])
    pairs = [
        (1.0 if right > wrong else 0.5 if right == wrong else 0.0)
        for right in scores[positive].tolist()
        for wrong in scores[~positive].tolist()
    ]
    assert roc_auc(scores, positive) == pytest.approx(sum(pairs) / len(pairs))
