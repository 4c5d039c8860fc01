"""Zero-shot classification: which pictures and classes it takes, and how right answers are counted."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.trainer.test_export import saved
from tests.trainer.test_probe import SPEC
from trainer.evaluate.config import ZeroshotConfig
from trainer.evaluate.features import encode_texts
from trainer.evaluate.labelled import Labelled, labelled
from trainer.evaluate.zeroshot import PROMPTS, accuracy, class_vectors, filled, prompts_for
from trainer.models.clip import build
from trainer.tokenizer import train_tokenizer
from trainer.weights import Trained, load_trained
from webimagetext.errors import UserError


def in_data(config: ZeroshotConfig) -> tuple[list[Labelled], list[str]]:
    return labelled(config, config.data)


def test_accuracy_counts_pictures_and_classes() -> None:
    # Six classes; the pictures' own classes are 0, 0, 0, 1.
    similarity = torch.tensor(
        [
            [9.0, 1, 2, 3, 4, 5],
            [8.0, 9, 2, 3, 4, 5],  # second
            [0.0, 9, 8, 7, 6, 5],  # last of six
            [0.0, 9, 8, 7, 6, 5],
        ]
    )
    found = accuracy(similarity, torch.tensor([0, 0, 0, 1]))
    assert found == pytest.approx({"top1": 2 / 4, "top5": 3 / 4, "mean_per_class": (1 / 3 + 1) / 2})


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("red_ring/b.jpg", "red_ring/a.png", "red_ring/notes.txt", "dot/1.jpg", "dot/2.jpg", "dot/3.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_a_folder_of_folders_gives_its_pictures_by_class(folders: Path) -> None:
    items, names = in_data(ZeroshotConfig(data=(str(folders),)))
    assert names == ["dot", "red ring"]
    assert [(Path(path).name, label) for path, label in items] == [
        *(("1.jpg", "dot"), ("2.jpg", "dot"), ("3.webp", "dot"), ("a.png", "red ring"), ("b.jpg", "red ring")),
    ]
    for limit, places in (
        (1, [0]),
        (2, [0, 2]),
        (3, [0, 1, 3]),
        (4, [0, 1, 2, 3]),
        (5, [0, 1, 2, 3, 4]),
        (9, range(5)),
    ):
        limited, _ = in_data(ZeroshotConfig(data=(str(folders),), limit=limit))
        assert limited == [items[place] for place in places]
    classes = folders / "classes.txt"
    classes.write_text("a dot\n\n a ring \n")
    items, names = in_data(ZeroshotConfig(data=(str(folders),), classes=str(classes)))
    assert names == ["a dot", "a ring"] and items[4][1] == "a ring"
    classes.write_text("one\n")
    with pytest.raises(UserError, match="1 names for 2 folders"):
        in_data(ZeroshotConfig(data=(str(folders),), classes=str(classes)))


def test_shards_give_the_pictures_whose_class_is_known(shapes: Path, tmp_path: Path) -> None:
    data = (str(shapes / "holdout/*.tar"),)
    items, names = in_data(ZeroshotConfig(data=data))
    assert len(items) == 60 and len(names) == 6 and names == sorted(names)
    classes = tmp_path / "classes.txt"
    classes.write_text("ring\nsquare\n")
    items, names = in_data(ZeroshotConfig(data=data, classes=str(classes)))
    assert {label for _, label in items} == set(names) == {"ring", "square"}
    for config in (ZeroshotConfig(data=data, label_field="no"), ZeroshotConfig(data=data, limit=1)):
        with pytest.raises(UserError, match="no pictures with known classes"):
            in_data(config)


def test_classes_of_webdataset_are_numbers_of_lines_or_names(tmp_path: Path) -> None:
    """Evaluation sets in webdataset's form hold KEY.cls beside KEY.webp, and often no text at all."""
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        for key, label in (("a", b"1"), ("b", b"0\n"), ("c", b"7"), ("d", b"dot")):
            for name, data in ((f"{key}.webp", key.encode()), (f"{key}.cls", label)):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    classes = tmp_path / "classes.txt"
    classes.write_text("dot\nred ring\n")
    items, names = in_data(ZeroshotConfig(data=(str(tmp_path / "0.tar"),), classes=str(classes)))
    assert names == ["dot", "red ring"]
    assert items == [(b"a", "red ring"), (b"b", "dot"), (b"d", "dot")]
    items, names = in_data(ZeroshotConfig(data=(str(tmp_path / "0.tar"),)))
    assert names == ["0", "1", "7", "dot"] and [label for _, label in items] == ["1", "0", "7", "dot"]


def test_prompts_come_from_a_file_too_and_have_a_place_for_the_name(tmp_path: Path) -> None:
    two_towers = Trained(build(SPEC), train_tokenizer(["a dot"] * 4, 514), "here", 0, "center")
    file = tmp_path / "prompts.txt"
    file.write_text("a drawing of a {c}\n\n {} \n")
    config = ZeroshotConfig(prompts=("one {}",), prompts_file=str(file))
    assert [filled(prompt, "dot") for prompt in prompts_for(config, two_towers)] == [
        "one dot",
        "a drawing of a dot",
        "dot",
    ]
    assert prompts_for(ZeroshotConfig(), two_towers) == PROMPTS
    with pytest.raises(UserError, match="'a picture' has no place"):
        prompts_for(ZeroshotConfig(prompts=("a picture",)), two_towers)
    file.write_bytes(b"\xff\xfe\x00{}")
    with pytest.raises(UserError, match="no text in UTF-8"):
        prompts_for(config, two_towers)


def test_vectors_of_classes_are_kept_for_the_same_model_names_and_prompts(tmp_path: Path) -> None:
    saved(tmp_path / "run", SPEC, train_tokenizer(["a red circle", "picture of one green ring"] * 4, 600))
    trained, cpu, kept = load_trained(str(tmp_path / "run")), torch.device("cpu"), tmp_path / "kept"
    names, prompts = ["red", "ring"], ["a {}", "one {} here"]
    made = class_vectors(trained, names, prompts, cpu, str(kept))
    plain = F.normalize(
        torch.stack([encode_texts(trained, [f"a {n}", f"one {n} here"], device=cpu).mean(0) for n in names])
    )
    assert torch.allclose(made, plain, atol=1e-6)
    (file,) = kept.iterdir()
    np.save(file, np.full((2, 16), 0.5, np.float32))  # so that it is seen where they come from
    assert torch.equal(class_vectors(trained, names, prompts, cpu, str(kept)), torch.full((2, 16), 0.5))
    assert torch.equal(class_vectors(trained, names, prompts, cpu), made)
    file.write_bytes(b"half")
    assert torch.equal(class_vectors(trained, names, prompts, cpu, str(kept)), made)
    class_vectors(trained, names[::-1], prompts, cpu, str(kept))
    class_vectors(trained, names, prompts[:1], cpu, str(kept))
    assert len(list(kept.iterdir())) == 3
    with torch.no_grad():
        next(iter(trained.model.text.parameters())).add_(0.1)
    assert not torch.equal(class_vectors(trained, names, prompts, cpu, str(kept)), made)
