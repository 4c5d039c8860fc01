"""The contrastive objective's relatives, against their formulas: a text encoder without order, and ConVIRT."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from trainer.config import OptimConfig
from trainer.distributed import World
from trainer.models.spec import ModelSpec
from trainer.objectives import augment
from trainer.objectives.augment import altered
from trainer.objectives.kinds import initial
from trainer.optim import make_optimizer

SPEC = ModelSpec(16, 32, 2, 32, 2, 8, text_width=32, text_heads=2, text_layers=1, context_length=12, vocab_size=30)
IDS = torch.tensor([[28, 3, 4, 29, 0], [28, 5, 29, 0, 0], [28, 6, 3, 7, 29], [28, 8, 8, 29, 0]])
TEXTS = [[3, 4], [5], [6, 3, 7], [8, 8]]


def pictures() -> Tensor:
    return torch.randn(4, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def cross_entropy(logits: Tensor) -> float:
    """The mean over rows of -log softmax at the diagonal."""
    rows = logits.tolist()
    return math.fsum(math.log(math.fsum(map(math.exp, row))) - row[at] for at, row in enumerate(rows)) / len(rows)


def test_texts_are_the_mean_of_their_words() -> None:
    model = initial("contrastive-bow", SPEC, seed=3).double()
    with torch.no_grad():
        table, project = model.text.token_embedding.weight, model.text.text_projection.weight
        means = torch.stack([sum(table[word] for word in text) / len(text) for text in TEXTS])
        texts = means @ project.T
        texts = texts / texts.square().sum(dim=1, keepdim=True).sqrt()
        images, found = model(pictures(), IDS)
        assert torch.allclose(found, texts, rtol=1e-9)
        # The words' vectors are small at first, so the expected value is made of what was found equal.
        logits = images @ texts.T / 0.07
        expected = (cross_entropy(logits) + cross_entropy(logits.T)) / 2
        assert float(model.loss((images, found), World("cpu"), 2)) == pytest.approx(expected, rel=1e-6)
        assert torch.allclose(model.encode_text(torch.tensor([[28, 4, 3, 29]])), found[:1])
        assert not torch.allclose(model.encode_text(torch.tensor([[28, 4, 5, 29]])), found[:1])


def test_convirt_is_its_formula() -> None:
    model = initial("convirt", SPEC, seed=3).double().eval()
    images = pictures()
    with torch.no_grad():

        def head(layers: torch.nn.Sequential, x: Tensor) -> Tensor:
            first, _, last = layers
            out = (x @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
            return out / out.square().sum(dim=1, keepdim=True).sqrt()

        for layers in (model.image_head, model.text_head):
            for layer in (layers[0], layers[2]):
                layer.bias.normal_()
        looks, words = head(model.image_head, model.visual(images)), head(model.text_head, model.text(IDS))
        found = model(images, IDS)
        assert torch.allclose(found[0], looks) and torch.allclose(found[1], words)
        logits = looks @ words.T / 0.1
        expected = 0.75 * cross_entropy(logits) + 0.25 * cross_entropy(logits.T)
        for tile in (1, 2048):
            assert float(model.loss(found, World("cpu"), tile)) == pytest.approx(expected, rel=1e-6)
        assert cross_entropy(logits) != pytest.approx(cross_entropy(logits.T), rel=1e-3)
    assert not model.logit_scale.requires_grad


SIDE = 40
NEUTRAL = {"area": 1.0, "across": 0.5, "down": 0.5, "mirror": 1.0, "turn": 0.5, "right": 0.5, "below": 0.5}
NEUTRAL |= {"scale": 0.5, "brightness": 0.5, "contrast": 0.5, "blur": 0.0}


def drawn(monkeypatch: pytest.MonkeyPatch, images: Tensor, **draws: float) -> Tensor:
    """The pictures altered by these numbers."""
    row = torch.tensor([list((NEUTRAL | draws).values())])
    monkeypatch.setattr(augment.torch, "rand", lambda count, width, device: row.expand(count, width))
    return altered(images)


def slope() -> Tensor:
    """A picture whose red tells the column and green the row, so that a result tells where its pixels come from."""
    places = torch.arange(SIDE, dtype=torch.float32)
    blue = torch.full((SIDE, SIDE), 100.0)
    return torch.stack([places.expand(SIDE, SIDE), places[:, None].expand(SIDE, SIDE), blue], dim=2)[None]


@pytest.mark.parametrize(
    "draws",
    [
        {},
        {"mirror": 0.0},
        {"turn": 1.0},
        {"turn": 0.2, "mirror": 0.0},
        {"right": 1.0, "below": 0.25},
        {"scale": 1.0},
        {"area": 0.0, "across": 1.0, "down": 0.0},
        {"area": 0.3, "across": 0.2, "down": 0.7, "mirror": 0.3, "turn": 0.9, "right": 0.1, "below": 0.6, "scale": 0.1},
    ],
)
def test_pixels_come_from_where_the_draws_say(monkeypatch: pytest.MonkeyPatch, draws: dict[str, float]) -> None:
    found = drawn(monkeypatch, slope(), **draws)[0]
    d = NEUTRAL | draws
    part = math.sqrt(0.6 + 0.4 * d["area"])
    angle = math.radians(40 * d["turn"] - 20)
    size, middle = 1 + 0.05 * (2 * d["scale"] - 1), (SIDE - 1) / 2
    for row, column in ((19, 19), (17, 24), (24, 16)):
        x, y = column - middle, row - middle
        x = -x if d["mirror"] < 0.5 else x
        turned = (x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle))
        shift = (0.2 * d["right"] - 0.1, 0.2 * d["below"] - 0.1)
        room = (SIDE - part * SIDE) / 2
        expected = [
            middle + part * (turned[i] / size + shift[i] * SIDE) + room * (2 * d[across] - 1)
            for i, across in ((0, "across"), (1, "down"))
        ]
        assert found[row, column, :2].tolist() == pytest.approx(expected, abs=0.02)


def test_light_and_contrast(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = torch.zeros(1, SIDE, SIDE, 3)
    picture[:, :20] = torch.tensor([40.0, 80.0, 120.0])
    picture[:, 20:] = torch.tensor([60.0, 100.0, 20.0])
    lit = drawn(monkeypatch, picture, brightness=1.0)[0]
    assert lit[5, 5].tolist() == pytest.approx([56.0, 112.0, 168.0], abs=0.01)
    assert drawn(monkeypatch, 3 * picture, brightness=1.0)[0, 5, 5].tolist() == pytest.approx([168, 255, 255], abs=0.01)
    weights = (0.299, 0.587, 0.114)
    grey = sum(w * (a + b) / 2 for w, a, b in zip(weights, (40, 80, 120), (60, 100, 20), strict=True))
    flat = drawn(monkeypatch, picture, contrast=0.25)[0]
    assert flat[30, 7].tolist() == pytest.approx([grey + 0.8 * (value - grey) for value in (60, 100, 20)], abs=0.05)


@pytest.mark.parametrize(("draw", "side"), [(1.0, 224), (0.5, 224), (1.0, 112)])
def test_the_blur_has_its_deviation(monkeypatch: pytest.MonkeyPatch, draw: float, side: int) -> None:
    picture = torch.zeros(1, side, side, 3)
    picture[0, side // 2, side // 2, 1] = 255.0
    monkeypatch.setattr(augment, "_moved", lambda x, draws: x)
    found = drawn(monkeypatch, picture, blur=draw)[0]
    assert float(found[..., 0].abs().max()) == 0
    shares = found[..., 1].double() / 255
    assert float(shares.sum()) == pytest.approx(1, abs=1e-4)
    wanted = (0.1 + 2.9 * draw) * side / 224
    for axis in (0, 1):
        along, places = shares.sum(dim=1 - axis), torch.arange(side) - side // 2
        assert float((along * places**2).sum().sqrt()) == pytest.approx(wanted, rel=0.02)


def test_each_picture_is_altered_by_its_own_draws() -> None:
    images = (torch.rand(1, 32, 32, 3) * 255).to(torch.uint8).expand(6, -1, -1, -1)
    torch.manual_seed(2)
    first = altered(images)
    torch.manual_seed(2)
    assert torch.equal(first, altered(images))
    assert first.shape == images.shape and float(first.min()) >= -0.01 and float(first.max()) <= 255.01
    assert all(not torch.allclose(first[i], first[j], atol=1) for i in range(6) for j in range(i))
    model = initial("convirt", SPEC)
    assert not torch.equal(model.train().prepare(images), images)
    assert torch.equal(model.eval().prepare(images), images)
    assert torch.equal(initial("contrastive", SPEC).train().prepare(images), images)
    assert F.mse_loss(first.mean(dim=(1, 2)), images.float().mean(dim=(1, 2))) > 1


def test_the_rate_of_a_head_is_whole_and_that_of_an_input_is_not() -> None:
    def factors(objective: str) -> dict[str, float]:
        model = initial(objective, SPEC, keys=torch.tensor([3 * 30 + 4]))
        groups = make_optimizer(model, OptimConfig(layer_decay=0.5)).param_groups
        named = {id(parameter): name for name, parameter in model.named_parameters()}
        return {named[id(parameter)]: group["factor"] for group in groups for parameter in group["params"]}

    for objective in ("bag-of-words", "ngram"):
        assert factors(objective)["head.weight"] == 1
        assert factors(objective)["visual.proj"] == 1
        assert factors(objective)["visual.conv1.weight"] == 0.5**3  # two blocks behind it
    found = factors("convirt")
    assert {found[f"{side}_head.{layer}.weight"] for side in ("image", "text") for layer in (0, 2)} == {1}
    assert found["text.token_embedding.weight"] == 0.5**2 and "logit_scale" not in found
    found = factors("contrastive-bow")
    assert (found["text.token_embedding.weight"], found["text.text_projection.weight"]) == (0.5, 1)
    found = factors("caption")
    assert found["text.ln_final.weight"] == 1
    assert found["text.transformer.resblocks.0.ln_1.weight"] == 0.5
    assert found["text.cells_projection.weight"] == found["text.token_embedding.weight"] == 0.5**2
