"""Retrieval: ranks in chunks, several captions a picture, and what chance gives."""

import math

import pytest
import torch
from torch.nn import functional as F

from trainer.evaluate import retrieval
from trainer.evaluate.retrieval import recalls


def plainly(similarity: torch.Tensor, right: torch.Tensor, k: int) -> float:
    """Recall by sorting: the share of rows with a right column among the first k."""
    order = similarity.argsort(dim=1, descending=True)[:, :k]
    return float(right.gather(1, order).any(dim=1).double().mean())


@pytest.mark.parametrize("cells", [1, 100, 1 << 20])
def test_recall_is_that_of_sorting_with_several_texts_a_picture(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "CELLS", cells)
    draw = torch.Generator().manual_seed(0)
    images = F.normalize(torch.randn(30, 8, generator=draw), dim=1)
    image = torch.arange(30).repeat_interleave(3)[:-2]  # the last picture has one text
    text = torch.cat([torch.randperm(80, generator=draw), torch.tensor([3] * 8)])  # and one text has many pictures
    image, text = torch.stack([image, text]).unique(dim=1)
    texts = F.normalize(torch.randn(80, 8, generator=draw), dim=1)
    right = torch.zeros(30, 80, dtype=torch.bool)
    right[image, text] = True
    found = recalls(images, texts, image, text)
    for k in (1, 5, 10):
        assert found["image_to_text"][str(k)] == pytest.approx(plainly(images @ texts.T, right, k))
        assert found["text_to_image"][str(k)] == pytest.approx(plainly(texts @ images.T, right.T, k))
    by_hand = [1 - math.comb(80 - int(row.sum()), 5) / math.comb(80, 5) for row in right]
    assert found["image_to_text_chance"]["5"] == pytest.approx(sum(by_hand) / 30)


def test_ties_count_against_the_model() -> None:
    images, texts = torch.ones(4, 2), torch.ones(4, 2)
    found = recalls(images, texts, torch.arange(4), torch.arange(4))
    assert found["image_to_text"] == {"1": 0.0, "5": 1.0, "10": 1.0}
    assert found["text_to_image_median_rank"] == 4


def test_each_line_may_be_a_caption() -> None:
    assert retrieval._texts_of("A dog \n\nthe dog\na dog", "lines") == ["a dog", "the dog"]
    assert retrieval._texts_of("A dog\nthe dog", "text") == ["a dog the dog"]
    assert retrieval._texts_of(" \n", "lines") == [""]
