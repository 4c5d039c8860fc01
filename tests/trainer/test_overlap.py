"""Overlap: planted copies of pictures trained on are found, others are not, and the figures are those of the binomial
distribution."""

import io
import json
import random
import tarfile
from fractions import Fraction
from math import comb
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmarks.altered import ALTERATIONS, DATA
from benchmarks.training_shards import write_training_shards
from pipeline.dedup.evaluation import fingerprint
from tests.trainer.conftest import write_shards
from tests.trainer.test_export import saved
from tests.trainer.test_probe import SPEC
from trainer.evaluate import overlap
from trainer.evaluate.config import OverlapConfig
from trainer.evaluate.intervals import at_least, clopper_pearson
from trainer.evaluate.overlap import beside, found_in
from trainer.tokenizer import train_tokenizer
from webimagetext.errors import UserError

PLANTED = ("re-encoded (JPEG 40)", "half the size", "cropped by 5 %", "cropped by 10 %", "mirrored")


def jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def copies(pictures: list[bytes]) -> list[bytes]:
    """Each picture altered, in turn by each of PLANTED."""
    found = []
    for index, data in enumerate(pictures):
        name = PLANTED[index % len(PLANTED)]
        found.append(jpeg(ALTERATIONS[name](Image.open(io.BytesIO(data)).convert("RGB"), random.Random(index))))
    return found


def in_tar(path: Path, *, below: str = "") -> list[bytes]:
    with tarfile.open(path) as archive:
        wanted = [member for member in archive if member.name.startswith(below) and member.name.endswith(".jpg")]
        return [archive.extractfile(member).read() for member in wanted]  # type: ignore[union-attr]


def test_copies_are_found_with_and_without_tables_of_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = write_training_shards(tmp_path, 60, 30)
    inside, other = in_tar(tmp_path / "00000.tar"), in_tar(tmp_path / "00001.tar")
    marks = [fingerprint(data) for data in inside]
    columns = dict(zip(("sha256", "phash", "sketch"), zip(*marks, strict=True), strict=True))  # type: ignore[arg-type]
    columns["phash"] = tuple(f"{value:016x}" for value in columns["phash"])
    columns["sha256"] = (*columns["sha256"][:-1], None)  # the last one has no hash
    pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), tmp_path / "00000.parquet")
    asked = [*copies(inside[:20]), *inside[20:], b"no picture", *copies(other[:10])]
    for together in (overlap.TOGETHER, 7):
        monkeypatch.setattr(overlap, "TOGETHER", together)
        found = found_in(asked, [pattern])
        assert (found.trained_on, found.unreadable) == (59, 2)
        names = [partner.rpartition("/")[2] for partner in found.partners]
        right = [f"00000.parquet#{row}" for row in range(29)] + ["", ""] + [f"00001.tar#{row}" for row in range(10)]
        assert names == right
    alone = found_in(asked, [f"{tmp_path}/00000.tar"], distance=-1)
    assert [bool(name) for name in alone.partners] == [False] * 20 + [True] * 9 + [False] * 12
    near = found_in(asked, [f"{tmp_path}/00000.tar"], altered=False)
    assert [bool(name) for name in near.partners[:5]] == [True, True, False, False, False]


@pytest.mark.skipif(not DATA.exists(), reason=f"there are no photographs ({DATA})")
def test_recall_and_precision_on_photographs(tmp_path: Path) -> None:
    """Groceries trained on, altered copies of them planted among photographs of clothes."""
    draw = random.Random(0)
    groceries = draw.sample(in_tar(DATA / "grocery_store_81.tar", below="dataset/train"), 200)
    clothes = draw.sample(in_tar(DATA / "clothing_small_10.tar"), 200)
    pairs = [(f"{index:04d}", data, "", dict[str, object]()) for index, data in enumerate(groceries)]
    write_shards(tmp_path, pairs, 200)
    found = found_in([*copies(groceries), *clothes], [f"{tmp_path}/00000.tar"]).partners
    right = sum(name == f"{tmp_path}/00000.tar#{index}" for index, name in enumerate(found[:200]))
    recall, precision = right / 200, right / sum(map(bool, found))
    print(f"recall {recall:.3f}, precision {precision:.3f}")
    assert recall >= 0.98
    assert precision >= 0.99


def test_the_test_and_the_interval_are_exact() -> None:
    for right, total, share in ((7, 10, Fraction(1, 2)), (3, 40, Fraction(1, 7)), (40, 40, Fraction(9, 10))):
        exact = sum(comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(right, total + 1))
        assert at_least(right, total, float(share)) == pytest.approx(float(exact), rel=1e-9)
    assert (at_least(0, 9, 0.1), at_least(3, 9, 0.0), at_least(3, 9, 1.0)) == (1, 0, 1)
    assert clopper_pearson(81, 263, 0.95) == pytest.approx((0.2527, 0.3676), abs=1e-4)  # Newcombe 1998, method 5
    assert clopper_pearson(15, 148, 0.95) == pytest.approx((0.0578, 0.1617), abs=1e-4)
    assert clopper_pearson(0, 20, 0.95) == pytest.approx((0, 1 - 0.025 ** (1 / 20)))
    low, high = clopper_pearson(50_000, 100_000)
    assert at_least(50_000, 100_000, low) == pytest.approx(0.0025, rel=1e-4)
    assert high == pytest.approx(1 - low)


def test_accuracies_of_both_sides() -> None:
    right = [True, True, True, False, True, False, False, False]
    found = beside(right, [True] * 4 + [False] * 4)
    assert (found["overlap"], found["share"], found["top1"]) == (4, 0.5, 0.5)
    assert (found["top1_overlap"], found["top1_clean"], found["gained"]) == (0.75, 0.25, 0.25)
    assert found["p_value"] == pytest.approx(4 * 0.25**3 * 0.75 + 0.25**4)
    assert (found["lowest"], found["highest"]) == clopper_pearson(3, 4)
    assert "p_value" not in beside(right, [False] * 8) and beside(right, [True] * 8)["top1_overlap"] == 0.5


def test_a_model_is_told_of_what_it_was_trained_on(shapes: Path, tmp_path: Path) -> None:
    saved(tmp_path / "run", SPEC, train_tokenizer(["a red circle", "picture of one green ring"] * 4, 600))
    data, shards = (str(shapes / "holdout/*.tar"),), (str(shapes / "shards/00000.tar"),)
    config = OverlapConfig(checkpoint=str(tmp_path / "run"), data=data, device="cpu", limit=20)
    with pytest.raises(UserError, match="--train-data"):
        overlap.evaluate(config)
    figures = overlap.evaluate(OverlapConfig(**{**vars(config), "train_data": data, "distance": -1}))
    assert (figures["images"], figures["overlap"], figures["trained_on"]) == (20, 20, 60)
    assert "p_value" not in figures and "20 of 20 images" in overlap.render(figures)
    none = overlap.evaluate(OverlapConfig(**{**vars(config), "train_data": shards, "distance": -1}))
    assert (none["overlap"], none["top1_clean"], none["pairs"]) == (0, none["top1"], [])
    assert json.dumps(none) and "0 of 20 images" in overlap.render(none)
