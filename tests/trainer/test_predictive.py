"""Objectives that predict a text, each against its formula written out plainly in float64."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from trainer.models.spec import ModelSpec
from trainer.objectives.bag_of_words import BagOfWords
from trainer.objectives.caption import Caption
from trainer.objectives.dictionary import dictionary
from trainer.objectives.kinds import initial
from trainer.objectives.ngram import Ngram
from webimagetext.errors import UserError

VIT = ModelSpec(16, 32, 2, 32, 2, 8, text_width=32, text_heads=2, text_layers=2, context_length=12, vocab_size=30)
RESNET = ModelSpec(16, 64, (1, 1, 1, 1), 8, 4, 0, text_width=32, text_heads=2, text_layers=1, vocab_size=30)
# Start 28, end 29, zeros behind; a text of one word, one with a word twice, one that fills the row, none at all.
IDS = torch.tensor(
    [
        [28, 3, 4, 5, 4, 29, 0],
        [28, 7, 29, 0, 0, 0, 0],
        [28, 0, 3, 4, 5, 6, 29],
        [28, 3, 4, 9, 3, 4, 29],
        [28, 29, 0, 0, 0, 0, 0],
    ]
)
TEXTS = [[3, 4, 5, 4], [7], [0, 3, 4, 5, 6], [3, 4, 9, 3, 4], []]
# (3 4) (4 5) (3 4 5) (9 3) (3 4 9): of those that occur, some are entries and some are not.
NGRAMS = [(3, 4), (4, 5), (9, 3), (3, 4, 5), (3, 4, 9), (0, 3), (0, 3, 4)]


def keys_of(ngrams: list[tuple[int, ...]], vocabulary: int = 30) -> tuple[Tensor, dict[tuple[int, ...], int]]:
    """The keys, and the number of each entry, found by plain sorting."""
    numbers = {(word,): word for word in range(vocabulary)}
    keys = []
    for order in range(2, 6):
        level = sorted((numbers[ngram[:-1]] * vocabulary + ngram[-1], ngram) for ngram in ngrams if len(ngram) == order)
        for key, ngram in level:
            numbers[ngram] = vocabulary + len(keys)
            keys.append(key)
    return torch.tensor(keys), numbers


def made(objective: str, spec: ModelSpec = VIT) -> tuple[torch.nn.Module, Tensor]:
    """A model in float64 whose vectors are of a size that counts, and five pictures."""
    model = initial(objective, spec, keys=keys_of(NGRAMS)[0]).double().eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(("head", "text")):
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return model, torch.randn(5, 3, spec.image_size, spec.image_size, dtype=torch.float64)


def log_softmax(scores: list[float]) -> list[float]:
    total = math.fsum(math.exp(score) for score in scores)
    return [score - math.log(total) for score in scores]


def rows_of(model: torch.nn.Module, images: Tensor) -> list[list[float]]:
    """The log-probabilities that the head gives, by matrices written out."""
    with torch.no_grad():
        scores = model.visual(images) @ model.head.weight.T
        if model.head.bias is not None:
            scores = scores + model.head.bias
    return [log_softmax(row) for row in scores.tolist()]


def test_bag_of_words_is_the_mean_over_the_words() -> None:
    model, images = made("bag-of-words")
    assert isinstance(model, BagOfWords)
    rows = rows_of(model, images)
    expected = [
        -math.fsum(row[word] for word in text) / max(1, len(text)) for row, text in zip(rows, TEXTS, strict=True)
    ]
    assert model(images, IDS)[0].tolist() == pytest.approx(expected, rel=1e-5)
    for row, found in zip(rows, model.scores(images, IDS).tolist(), strict=True):
        assert found == pytest.approx([math.fsum(row[w] for w in text) / max(1, len(text)) for text in TEXTS], rel=1e-5)


def likelihood(logs: list[float], numbers: dict[tuple[int, ...], int], text: list[int]) -> float:
    """The logarithm of the product of p(word | all words before it, five in all), by recursion."""

    def p(word: int, history: tuple[int, ...]) -> float:
        if not history:
            return math.exp(logs[word])
        if history not in numbers:
            return p(word, history[1:])
        whole = numbers.get((*history, word))
        quotient = 0.0 if whole is None else min(1.0, math.exp(logs[whole]) / math.exp(logs[numbers[history]]))
        return 0.2 * quotient + 0.8 * p(word, history[1:])

    return math.fsum(math.log(p(word, tuple(text[max(0, at - 4) : at]))) for at, word in enumerate(text))


def test_ngrams_are_smoothed_and_back_off() -> None:
    model, images = made("ngram")
    assert isinstance(model, Ngram)
    numbers = keys_of(NGRAMS)[1]
    rows = rows_of(model, images)
    expected = [-likelihood(row, numbers, text) for row, text in zip(rows, TEXTS, strict=True)]
    assert model(images, IDS)[0].tolist() == pytest.approx(expected, rel=1e-5)
    for row, found in zip(rows, model.scores(images, IDS).tolist(), strict=True):
        assert found == pytest.approx([likelihood(row, numbers, text) for text in TEXTS], rel=1e-5, abs=1e-9)
    # Quotients of both kinds occur, above 1 and below.
    quotients = [row[numbers[ngram]] > row[numbers[ngram[:-1]]] for row in rows for ngram in NGRAMS]
    assert {True, False} == set(quotients)


def test_the_dictionary_is_of_the_most_frequent() -> None:
    rng = np.random.default_rng(0)
    batches, texts = [], []
    for longest in (9, 2, 14):
        ids = np.zeros((40, longest + 2), np.int64)
        for row in ids:
            length = int(rng.integers(0, longest + 1))
            words = (rng.pareto(1.0, length) * 2).astype(np.int64) % 28
            row[: length + 2] = [28, *words, 29]
            texts.append(words.tolist())
        batches.append(ids)
    counted: Counter[tuple[int, ...]] = Counter()
    for text in texts:
        for order in range(2, 6):
            counted.update(tuple(text[at : at + order]) for at in range(len(text) - order + 1))
    repeated = [ngram for ngram, count in counted.items() if count >= 2]
    assert {len(ngram) for ngram in repeated} == {2, 3, 4, 5}
    assert dictionary(batches, 30, 10**6).tolist() == keys_of(repeated)[0].tolist()
    for most in (1, 12, 60):
        found = dictionary(iter(batches), 30, most).tolist()
        names = {key: ngram for ngram, key in zip(NGRAMS, found, strict=False)}
        assert len(names) <= most == len(found) and found == sorted(set(found))
        # Each entry by its pieces, from its key and its beginning's.
        entries: dict[int, tuple[int, ...]] = {word: (word,) for word in range(30)}
        for number, key in enumerate(found):
            entries[30 + number] = (*entries[key // 30], key % 30)
        kept = [counted[entry] for entry in entries.values() if len(entry) > 1]
        left = [count for ngram, count in counted.items() if ngram not in entries.values()]
        assert min(kept) >= max(left)
    with pytest.raises(UserError, match="repeat no two words"):
        dictionary([np.array([[28, 3, 4, 29], [28, 4, 3, 29]])], 30, 9)


@pytest.mark.parametrize("spec", [VIT, RESNET])
def test_a_caption_is_written_piece_by_piece(spec: ModelSpec) -> None:
    model, images = made("caption", spec)
    assert isinstance(model, Caption)
    text = model.text
    ids = IDS[:4]
    expected, sums = [], []
    with torch.no_grad():
        features, cells = model.visual.with_cells(images)
        assert torch.allclose(features, model.visual(images))
        assert cells.shape[1] == {8: 16, 0: 4}[spec.patch_size]
        for image, row in enumerate(ids.tolist()):
            whole = row[: row.index(29) + 1]
            start = torch.cat(
                [
                    features[image, None] @ text.features_projection.weight.T + text.features_projection.bias,
                    cells[image] @ text.cells_projection.weight.T + text.cells_projection.bias,
                ]
            )
            logs = []
            for before, word in enumerate(whole[1:], start=1):
                words = torch.stack(
                    [
                        text.token_embedding.weight[piece] + text.positional_embedding[place]
                        for place, piece in enumerate(whole[:before])
                    ]
                )
                last = text.transformer(torch.cat([start, words])[None], None, causal=True)[0, -1]
                logs.append(log_softmax((text.token_embedding.weight @ text.ln_final(last)).tolist())[word])
            expected.append(-math.fsum(logs) / len(logs))
            sums.append(math.fsum(logs))
        assert model(images[:4], ids)[0].tolist() == pytest.approx(expected, rel=1e-5)
        assert model.scores(images[:4], ids).diagonal().tolist() == pytest.approx(sums, rel=1e-5)
        longer = torch.cat([ids, torch.zeros(4, 3, dtype=torch.long)], dim=1)
        assert torch.allclose(model(images[:4], longer)[0], model(images[:4], ids)[0])


def test_a_caption_depends_on_the_image_and_on_the_order() -> None:
    model, images = made("caption")
    swapped = torch.tensor([[28, 4, 3, 5, 4, 29, 0]])
    with torch.no_grad():
        found = model.scores(images, torch.cat([IDS[:1], swapped]))
        assert not torch.allclose(found[:, 0], found[:, 1])
        assert all(not torch.isclose(a, b) for a, b in pairwise(found[:, 0]))
        cells = [model.visual.with_cells(images)[1].clone() for _ in range(2)]
        cells[1][:, 3] += 1
        seen = [model.text.seen(model.visual(images), each) for each in cells]
        assert not torch.allclose(model.text(seen[0], IDS), model.text(seen[1], IDS))
        bag = made("bag-of-words")[0].scores(images, torch.cat([IDS[:1], swapped]))
        assert torch.allclose(bag[:, 0], bag[:, 1])
