"""The models: published parameter counts, exact shortcuts, initial values."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch.nn import functional as F

from trainer.config import ObjectiveConfig, RunConfig
from trainer.distributed import World
from trainer.models.__main__ import main
from trainer.models.clip import Clip, build, normalise_images, parameter_count
from trainer.models.spec import PUBLISHED, ModelSpec, find_spec
from trainer.models.vit import resize_positions
from trainer.setup import check, make_model
from trainer.step import Stepper
from trainer.weights import spec_values
from webimagetext.errors import UserError

COUNTS = {
    "RN50": 102_007_137,
    "RN101": 119_688_033,
    "RN50x4": 178_300_601,
    "RN50x16": 290_979_217,
    "RN50x64": 623_258_305,
    "ViT-B/32": 151_277_313,
    "ViT-B/16": 149_620_737,
    "ViT-L/14": 427_616_513,
    "ViT-L/14@336": 427_944_193,
}
VIT = ModelSpec(32, 32, 2, 32, 2, 8, text_width=32, text_heads=2, text_layers=2, vocab_size=600)
RESNET = ModelSpec(32, 64, (1, 1, 1, 1), 8, 4, 0, text_width=32, text_heads=2, text_layers=2, vocab_size=600)


@pytest.mark.parametrize("name", COUNTS)
def test_published_parameter_counts(name: str) -> None:
    with torch.device("meta"):
        assert parameter_count(Clip(PUBLISHED[name])) == COUNTS[name]


def test_the_list_of_models_as_json(capsys) -> None:
    assert main(["--json", "--model", "RN50", "ViT-B/32"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["ViT-B/32"]["parameters"] == COUNTS["ViT-B/32"]
    assert rows["RN50"]["resolution"] == 224
    # The paper counts 8.8 and 12.2; the last block is computed for one token alone here.
    assert 8.0 < rows["ViT-B/32"]["gflops_image"] < 8.9
    assert 11.0 < rows["RN50"]["gflops_image"] < 12.4


def test_an_unknown_model_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match="ViT-B/32"):
        find_spec("ViT-B32")


def test_a_model_from_a_file_and_its_contradictions(tmp_path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(
        "embed_dim = 8\nimage_size = 33\nvision_layers = 1\nvision_width = 8\nvision_heads = 1\npatch_size = 8\n"
    )
    with pytest.raises(UserError, match="multiple of patch_size"):
        find_spec(str(path))


@pytest.mark.parametrize("spec", [VIT, RESNET], ids=["vit", "resnet"])
def test_both_towers_give_unit_vectors_and_every_parameter_a_gradient(spec: ModelSpec) -> None:
    model = build(spec)
    images = torch.randint(0, 256, (3, spec.image_size, spec.image_size, 3), dtype=torch.uint8)
    ids = torch.tensor([[598, 5, 599, 0], [598, 7, 8, 599], [598, 599, 0, 0]])
    image, text = model(normalise_images(images), ids)
    assert torch.allclose(image.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(text.norm(dim=1), torch.ones(3), atol=1e-5)
    (model.logit_scale.exp() * image @ text.T).square().sum().backward()
    silent = [name for name, value in model.named_parameters() if value.grad is None]
    assert silent == []


def test_the_last_block_for_one_token_equals_the_block_for_all() -> None:
    torch.manual_seed(0)
    model = build(VIT).double()
    blocks = model.text.transformer
    x = torch.randn(4, 9, 32, dtype=torch.float64)
    position = torch.tensor([8, 0, 3, 5])
    for causal in (True, False):
        everything = blocks(x, None, causal)
        assert torch.allclose(blocks(x, position, causal), everything[torch.arange(4), position], atol=1e-12)


def test_trimming_texts_changes_nothing() -> None:
    model = build(VIT).double()
    ids = torch.zeros(3, 77, dtype=torch.long)
    for row, length in enumerate((3, 6, 9)):
        ids[row, : length - 1] = torch.arange(1, length)
        ids[row, length - 1] = 599
    assert torch.allclose(model.encode_text(ids), model.encode_text(ids[:, :9]), atol=1e-12)


def test_quick_gelu_is_the_published_formula() -> None:
    from trainer.models.layers import quick_gelu

    x = torch.linspace(-6, 6, 101, dtype=torch.float64)
    assert torch.allclose(quick_gelu(x), x * torch.sigmoid(1.702 * x), atol=1e-14)


def test_gradient_checkpointing_gives_the_same_gradient() -> None:
    images = torch.rand(2, 3, 64, 64)
    ids = torch.tensor([[598, 5, 599], [598, 599, 0]])
    for spec, side in ((VIT, 32), (RESNET, 64)):
        gradients = []
        for saving in (False, True):
            model = build(spec)
            model.eval()
            model.set_save_memory(saving)
            image, text = model(images[..., :side, :side], ids)
            (image * text).sum().backward()
            gradients.append([p.grad for p in model.parameters() if p.grad is not None])
        assert len(gradients[0]) == len(gradients[1])
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*gradients, strict=True))


def test_initial_values_follow_the_published_scales() -> None:
    model = build(ModelSpec(64, 64, 3, 192, 3, 16, text_width=256, text_heads=4, text_layers=2, vocab_size=4000))
    block = model.visual.transformer.resblocks[0]
    assert float(block.attn.in_proj_weight.detach().std()) == pytest.approx(192**-0.5, rel=0.02)
    assert float(block.mlp["c_proj"].weight.detach().std()) == pytest.approx(192**-0.5 * 6**-0.5, rel=0.02)
    assert float(block.mlp["c_fc"].weight.detach().std()) == pytest.approx((2 * 192) ** -0.5, rel=0.02)
    assert float(model.text.token_embedding.weight.detach().std()) == pytest.approx(0.02, rel=0.02)
    assert float(model.text.positional_embedding.detach().std()) == pytest.approx(0.01, rel=0.02)
    assert float(model.logit_scale.detach().exp()) == pytest.approx(1 / 0.07)
    resnet = build(RESNET)
    assert float(resnet.visual.layer1[0].bn3.weight.detach().abs().max()) == 0


def test_the_seed_decides_the_initial_values() -> None:
    assert torch.equal(build(VIT, seed=3).visual.proj, build(VIT, seed=3).visual.proj)
    assert not torch.equal(build(VIT, seed=3).visual.proj, build(VIT, seed=4).visual.proj)


def test_positions_are_interpolated_for_another_resolution() -> None:
    table = torch.arange(5, dtype=torch.float32)[:, None].expand(5, 3)
    assert resize_positions(table, 2) is table
    larger = resize_positions(table, 4)
    assert larger.shape == (17, 3)
    assert torch.equal(larger[0], table[0])
    model = build(VIT)
    assert model.encode_image(torch.rand(2, 3, 64, 64)).shape == (2, 32)


def test_patch_dropout_acts_in_training_alone() -> None:
    model = build(VIT)
    images = torch.rand(2, 3, 32, 32)
    model.visual.patch_dropout = 0.5
    assert not torch.equal(model.encode_image(images), model.encode_image(images))
    model.eval()
    assert torch.equal(model.encode_image(images), model.encode_image(images))


def test_pixels_are_normalised_by_channel() -> None:
    pixels = torch.full((1, 2, 2, 3), 255, dtype=torch.uint8)
    out = normalise_images(pixels)
    assert out.shape == (1, 3, 2, 2)
    assert out[0, :, 0, 0].tolist() == pytest.approx([1.9303, 2.0749, 2.1459], abs=1e-3)
    assert F.avg_pool2d(out, 2).shape == (1, 3, 1, 1)


def test_padding_is_what_follows_the_end_token() -> None:
    """Id 0 is a piece as well ("!"): a column that holds nothing else is a part of its texts."""
    spec = ModelSpec(32, 32, 1, 32, 1, 16, text_width=32, text_heads=1, text_layers=2, vocab_size=100)
    model = build(spec, seed=2).eval()
    stepper = Stepper(
        model, model, ObjectiveConfig(), World("cpu"), None, torch.amp.GradScaler("cpu", enabled=False), 0
    )
    ids = torch.tensor([[98, 0, 0, 7, 99, 0, 0], [98, 0, 0, 99, 0, 0, 0]])
    images = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    with torch.no_grad():
        _, texts = stepper._features(images, ids)
        torch.testing.assert_close(texts, model.encode_text(ids))


def test_a_model_starts_from_weights_of_its_own_meaning_alone(tmp_path: Path) -> None:
    toml = tmp_path / "small.toml"
    toml.write_text(
        "embed_dim = 32\nimage_size = 32\nvision_layers = 1\nvision_width = 32\nvision_heads = 1\npatch_size = 16\n"
        "text_width = 32\ntext_heads = 1\ntext_layers = 1\nvocab_size = 100\n"
    )
    world = World("cpu")
    gelu = replace(find_spec(str(toml)), activation="gelu")
    states = build(gelu, seed=5).state_dict()
    start = tmp_path / "gelu.safetensors"
    start.write_bytes(save(states, {"spec": json.dumps(spec_values(gelu))}))
    config = RunConfig(model=str(toml), start_from=str(start), batch_size=8)
    with pytest.raises(UserError, match=r"activation = gelu, and --model .*small.toml has quick_gelu"):
        make_model(config, check(config, world), world, resumed=False)
    config = replace(config, activation="gelu")
    model = make_model(config, check(config, world), world, resumed=False)
    assert model.spec == gelu and torch.equal(model.visual.proj, states["visual.proj"])
    torch.save({name.removeprefix("text."): value for name, value in states.items()}, tmp_path / "bare.pt")
    bare = RunConfig(model="ViT-tiny", start_from=str(tmp_path / "bare.pt"), batch_size=8)
    with pytest.raises(UserError, match="nothing says which activation"):
        make_model(bare, check(bare, world), world, resumed=False)
