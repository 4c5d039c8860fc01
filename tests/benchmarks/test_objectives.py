"""The comparison of objectives: what is read off curves, what captions are, the plot."""

import io
import re
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from benchmarks import objectives
from benchmarks.objectives_data import photos
from benchmarks.objectives_figure import Curve, figure
from webimagetext.errors import UserError

HEAD = "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),Iconic Image Path (str),"
HEAD += "Product Description Path (str)"


def test_the_images_until_a_goal_lie_on_the_line_between_points() -> None:
    images, curve = [100, 200, 400], [0.1, 0.3, 0.2]
    assert objectives.images_until(images, curve, 0.05) == pytest.approx(50)
    assert objectives.images_until(images, curve, 0.1) == pytest.approx(100)
    assert objectives.images_until(images, curve, 0.25) == pytest.approx(175)
    assert objectives.images_until(images, curve, 0.31) is None


def test_order_and_ratios_are_those_of_the_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives, "POINTS", (1, 2, 4, 8))
    fast, middle, slow = [0.4, 0.5, 0.6, 0.6], [0.1, 0.2, 0.4, 0.5], [0.0, 0.0, 0.1, 0.2]
    curves = {"contrastive-bow": [fast, fast], "bag-of-words": [middle, middle], "caption": [slow, slow]}
    curves |= {"ngram": [[0.1, 0.1, 0.1, 0.1]] * 2, "sigmoid": [[0.0, 0.3, 0.4, 0.4], [0.0, 0.1, 0.2, 0.4]]}
    found = objectives.summary(curves, 0.01)
    assert found["goal"] == 0.18
    assert found["order"] == ["contrastive-bow", "bag-of-words", "sigmoid", "caption", "ngram"]
    batch = objectives.BATCH
    wanted = {"contrastive-bow": 0.45, "bag-of-words": 1.8, "caption": 7.2, "sigmoid": 1.9, "ngram": None}
    assert found["images"] == {name: steps and round(steps * batch) for name, steps in wanted.items()}
    assert found["ratios"]["bag-of-words / contrastive-bow"] == {"ratio": 4.0, "lowest": 4.0, "highest": 4.0}
    assert found["ratios"]["caption / bag-of-words"]["ratio"] == 4.0
    assert found["ratios"]["caption / contrastive-bow"]["ratio"] == 16.0
    assert found["seeds"] == 2 and found["accuracy"]["sigmoid"] == 0.4


def shop(path: Path) -> Path:
    """A dataset of two products in the layout of the real one."""
    files = {
        "classes.csv": f"{HEAD}\nRed-Pear,0,Pear,0,/a.jpg,/d/pear.txt\nOat,1,Oat,1,/b.jpg,/d/oat.txt\n",
        "d/pear.txt": "Sweet and red. Keeps for a week!  Is it ripe?",
        "d/oat.txt": "A drink",
        "train.txt": "".join(f"train/{number}.jpg, {number % 2}, 0\n" for number in range(40)),
        "test.txt": "".join(f"test/{number}.jpg, {number % 2}, 0\n" for number in range(10)),
    }
    data = {name: text.encode() for name, text in files.items()}
    for number in range(40):
        stream = io.BytesIO()
        Image.new("RGB", (40, 50), (200, 5 * number, 0)).save(stream, "JPEG")
        data |= {f"train/{number}.jpg": stream.getvalue(), f"test/{number}.jpg": stream.getvalue()}
    with tarfile.open(path, "w") as archive:
        for name, content in data.items():
            member = tarfile.TarInfo(f"dataset/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_captions_are_names_with_a_sentence_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROCERY_STORE", str(shop(tmp_path / "shop.tar")))
    found = photos(16, 5)
    assert found.names == ["Red Pear", "Oat"]
    assert found.seen.shape == (40, 16, 16, 3) and found.held.shape == (5, 16, 16, 3)
    assert set(found.captions[::2]) == {
        "Red Pear",
        *(f"Red Pear. {told}" for told in ("Sweet and red.", "Keeps for a week!", "Is it ripe?")),
    }
    assert set(found.captions[1::2]) == {"Oat", "Oat. A drink"}
    assert found.truth == [0, 0, 0, 0, 0] and abs(int(found.held[3, 0, 0, 1]) - 30) < 9  # tests 0, 2, 4, 6, 8
    with tarfile.open(tmp_path / "shop.tar") as archive:
        archive.extractall(tmp_path / "folder", filter="data")
    monkeypatch.setenv("GROCERY_STORE", str(tmp_path / "folder"))
    assert photos(16, 5).captions == found.captions
    monkeypatch.setenv("GROCERY_STORE", str(tmp_path / "none.tar"))
    with pytest.raises(UserError, match="photographs of the Grocery Store dataset are not here") as error:
        photos(16, 5)
    assert "GROCERY_STORE=" in error.value.remedy


def test_the_plot_has_a_line_with_its_range_for_each_objective() -> None:
    curves = [
        Curve("a & b", [100, 300], [0.2, 0.4], [0.1, 0.4], [0.3, 0.5]),
        Curve("c", [100, 300], [0.1, 0.39], [0.1, 0.3], [0.1, 0.45]),
    ]
    text = figure(curves, 0.35, 0.1)
    root = ElementTree.fromstring(text)
    assert "a &amp; b" in text and text.count("<polyline") == text.count("<polygon") == 2
    lines = re.findall(r'polyline points="([^"]*)"', text)
    (x0, y0), (x1, y1) = ([float(v) for v in point.split(",")] for point in lines[0].split())
    # From the axis at 52 to 490 for 300 images, and upwards for accuracy: 0 at 356, 0.525 at 16.
    assert (x0, x1) == pytest.approx((52 + 438 / 3, 490), abs=0.1)
    assert (y0, y1) == pytest.approx((356 - 340 * 0.2 / 0.525, 356 - 340 * 0.4 / 0.525), abs=0.1)
    names = [e for e in root.iter("{http://www.w3.org/2000/svg}text") if e.text in ("a & b", "c")]
    assert abs(float(names[0].attrib["y"]) - float(names[1].attrib["y"])) >= 14
    assert {"100", "200", "300", "20%", "images processed", "zero-shot accuracy", "chance"} <= {
        e.text for e in root.iter()
    }
