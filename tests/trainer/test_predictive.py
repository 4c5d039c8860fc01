"""The objectives of the comparison: each learns which text fits, from a few pairs, and scores as it is trained."""

import pytest
import torch

from trainer.objectives.predictive import BagOfWordsContrast, BagOfWordsPrediction, CaptionPrediction

IDS = torch.tensor([[28, 3, 4, 29, 0], [28, 5, 29, 0, 0], [28, 6, 3, 7, 29], [28, 8, 9, 29, 0]])


@pytest.mark.parametrize("kind", [BagOfWordsContrast, BagOfWordsPrediction, CaptionPrediction])
def test_each_objective_learns_its_pairs(kind: type) -> None:
    torch.manual_seed(0)
    head = kind(16, 30, 8) if kind is CaptionPrediction else kind(16, 30)
    images = torch.randn(4, 16)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    first = float(head(images, IDS).detach())
    for _ in range(60):
        optimizer.zero_grad()
        head(images, IDS).backward()
        optimizer.step()
    assert float(head(images, IDS).detach()) < first / 2
    assert head.scores(images, IDS).argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_words_beyond_the_end_do_not_count() -> None:
    head = BagOfWordsContrast(16, 30)
    longer = torch.cat([IDS, torch.zeros(4, 3, dtype=torch.long)], dim=1)
    assert torch.allclose(head.encode_text(IDS), head.encode_text(longer))
    swapped = torch.tensor([[28, 4, 3, 29, 0]])
    assert torch.allclose(head.encode_text(swapped), head.encode_text(IDS[:1]), atol=1e-6)
    captions = CaptionPrediction(16, 30, 8)
    images = torch.randn(1, 16)
    assert torch.allclose(captions.scores(images, IDS), captions.scores(images, longer), atol=1e-6)
    assert not torch.allclose(captions.scores(images, swapped), captions.scores(images, IDS[:1]))
