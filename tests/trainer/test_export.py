"""Weights in and out: names of other layouts, and the same embeddings in the libraries that own them."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from trainer import checkpoint
from trainer.convert.layouts import from_any, from_hugging_face, to_hugging_face, to_open_clip
from trainer.export import main as export
from trainer.models.clip import Clip, build, normalise_images
from trainer.models.spec import ModelSpec
from trainer.tokenizer import Tokenizer, train_tokenizer
from trainer.weights import load_trained, put_states, read_weights, spec_values
from webimagetext.errors import UserError

VIT = ModelSpec(32, 32, 2, 64, 1, 8, text_width=64, text_heads=1, text_layers=2, vocab_size=600)
RESNET = ModelSpec(32, 64, (1, 1, 1, 1), 16, 8, 0, text_width=64, text_heads=1, text_layers=2, vocab_size=600)
TEXTS = ["a red circle", "picture of one green ring", "blue"]
PEERS = Path(__file__).parents[2] / ".venv-peers/bin/python"

PEER_PROGRAM = """
import json, sys
import numpy as np, torch
folder = sys.argv[1]
data = np.load(f"{folder}/inputs.npz")
out = {}
import open_clip
from open_clip.model import CLIP
for name in ("vit", "resnet"):
    sizes = json.load(open(f"{folder}/{name}.json"))
    model = CLIP(**sizes).eval()
    model.load_state_dict(torch.load(f"{folder}/{name}.pt", weights_only=True))
    with torch.no_grad():
        out[f"{name}_image"] = model.encode_image(torch.from_numpy(data[name]), normalize=True).numpy()
        out[f"{name}_text"] = model.encode_text(torch.from_numpy(data["ids"]), normalize=True).numpy()
from transformers import CLIPModel, CLIPTokenizer
model = CLIPModel.from_pretrained(f"{folder}/hf").eval()
tokenizer = CLIPTokenizer.from_pretrained(f"{folder}/hf")
texts = json.load(open(f"{folder}/texts.json"))
found = tokenizer(texts, padding="max_length")["input_ids"]
out["hf_ids"] = np.array(found)
with torch.no_grad():
    both = model(input_ids=torch.from_numpy(data["ids"]), pixel_values=torch.from_numpy(data["vit"]))
    out["hf_image"], out["hf_text"] = both.image_embeds.numpy(), both.text_embeds.numpy()
import onnxruntime
for part, key in (("image", "vit"), ("text", "ids")):
    session = onnxruntime.InferenceSession(f"{folder}/onnx/{part}.onnx")
    out[f"onnx_{part}"] = session.run(None, {session.get_inputs()[0].name: data[key]})[0]
np.savez(f"{folder}/outputs.npz", **out)
"""


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return train_tokenizer([*TEXTS, "a photo of a red ring", "one blue circle"] * 4, 600)


def saved(folder: Path, spec: ModelSpec, words: Tokenizer) -> tuple[Clip, str]:
    """A model with random weights and lively batch norms, as a checkpoint."""
    model = build(spec)
    generator = torch.Generator().manual_seed(5)
    for name, value in model.state_dict().items():
        if value.is_floating_point() and name != "logit_scale":
            value.add_(torch.rand(value.shape, generator=generator) * 0.1)
    state = checkpoint.Checkpoint(
        7, 1.0, model.state_dict(), {}, {}, {}, spec_values(spec), words.to_json(), {"batch_size": 8}
    )
    return model.eval(), checkpoint.write(str(folder), state, 1)


def vectors(model: Clip, images: torch.Tensor, ids: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        return model.encode_image(images).numpy(), model.encode_text(ids).numpy()


@pytest.mark.parametrize("spec", [VIT, RESNET], ids=["vit", "resnet"])
def test_state_dict_layouts_come_back(spec: ModelSpec) -> None:
    states = build(spec).state_dict()
    again = from_any(to_open_clip(states), "x")
    assert again.keys() == states.keys()
    assert all(torch.equal(again[name].float(), states[name].float()) for name in states)
    assert "positional_embedding" in to_open_clip(states)


def test_hugging_face_layout_comes_back() -> None:
    states = build(VIT).state_dict()
    renamed = to_hugging_face(states)
    assert "text_model.encoder.layers.1.self_attn.q_proj.weight" in renamed
    again = from_hugging_face(renamed)
    assert again.keys() == states.keys()
    assert all(torch.equal(again[name], states[name]) for name in states)
    with pytest.raises(UserError, match="ResNet"):
        to_hugging_face(build(RESNET).state_dict())


def test_safetensors_gives_the_same_vectors(tmp_path: Path, words: Tokenizer) -> None:
    model, _ = saved(tmp_path, VIT, words)
    assert export(["--checkpoint", str(tmp_path), "--output", str(tmp_path / "m.safetensors")]) == 0
    other = Clip(VIT)
    put_states(other, read_weights(str(tmp_path / "m.safetensors")).states, "m")
    images, ids = torch.rand(2, 3, 32, 32), torch.from_numpy(words.encode(TEXTS[:2]))
    for a, b in zip(vectors(model, images, ids), vectors(other.eval(), images, ids), strict=True):
        assert np.array_equal(a, b)


def test_each_format_writes_its_files(tmp_path: Path, words: Tokenizer, capsys: pytest.CaptureFixture[str]) -> None:
    model, _ = saved(tmp_path / "run", VIT, words)
    states = {name: value.clone() for name, value in model.state_dict().items()}

    def written(kind: str, output: str) -> list[str]:
        arguments = ["--checkpoint", str(tmp_path / "run"), "--format", kind, "--output", str(tmp_path / output)]
        assert export(arguments) == 0
        said = capsys.readouterr().out
        assert said.startswith("step 7 of ")
        folder = (tmp_path / output).parent if "." in output else tmp_path / output
        listed = [name.rpartition("/")[2] for name in said.split(" written to ")[1].strip().split(", ")]
        assert sorted(listed) == sorted(path.name for path in folder.iterdir()) or kind == "huggingface"
        return sorted(path.name for path in folder.iterdir())

    assert written("safetensors", "a/m.safetensors") == ["m.safetensors", "tokenizer.json"]
    assert written("open_clip", "b/m.pt") == ["m-merges.txt.gz", "m.json", "m.pt", "tokenizer.json"]
    assert json.loads((tmp_path / "b/m.json").read_text())["vision_cfg"]["patch_size"] == 8
    assert "positional_embedding" in torch.load(tmp_path / "b/m.pt", weights_only=True)
    assert {"config.json", "merges.txt", "model.safetensors", "vocab.json"} < set(written("huggingface", "c"))
    for name in ("a/m.safetensors", "b/m.pt", "c/model.safetensors"):
        again = read_weights(str(tmp_path / name)).states
        assert again.keys() == states.keys()
        assert all(torch.equal(again[key], states[key]) for key in states)
    for folder in ("a", "b"):
        assert Tokenizer.load(str(tmp_path / folder / "tokenizer.json")).merges == words.merges


def test_weights_that_do_not_fit_are_explained(tmp_path: Path, words: Tokenizer) -> None:
    saved(tmp_path, VIT, words)
    with pytest.raises(UserError, match="does not fit"):
        put_states(Clip(RESNET), read_weights(checkpoint.newest(str(tmp_path)) or "").states, "file")
    (tmp_path / "other.pt").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="cannot be read"):
        read_weights(str(tmp_path / "other.pt"))
    torch.save({"some.weight": torch.zeros(1)}, tmp_path / "strange.pt")
    with pytest.raises(UserError, match="no layout"):
        read_weights(str(tmp_path / "strange.pt"))
    with pytest.raises(UserError, match="no checkpoint"):
        load_trained(str(tmp_path / "nothing"))


def test_weights_start_a_model_of_higher_resolution() -> None:
    small, large = build(VIT), build(ModelSpec(**{**spec_values(VIT), "image_size": 64}))
    put_states(large, dict(small.state_dict()), "small")
    assert torch.equal(large.visual.proj, small.visual.proj)
    assert large.visual.positional_embedding.shape == (65, 64)


@pytest.mark.slow
@pytest.mark.peers
def test_embeddings_are_equal_in_open_clip_transformers_and_onnx(tmp_path: Path, words: Tokenizer) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # ONNX Runtime leaves a file of its own there
    needed = [PEERS, "-c", "import open_clip, transformers, onnxruntime"]
    if not PEERS.exists() or subprocess.run(needed, env=environment).returncode:
        pytest.skip("the peers' environment is not built (make peers)")
    pytest.importorskip("onnxscript", reason="needed to write ONNX")
    rng = np.random.default_rng(0)
    ids = np.zeros((3, 77), dtype=np.int64)
    trimmed = words.encode(TEXTS)
    ids[:, : trimmed.shape[1]] = trimmed
    inputs, expected = {"ids": ids}, {}
    for name, spec in (("vit", VIT), ("resnet", RESNET)):
        model, _ = saved(tmp_path / name, spec, words)
        pixels = torch.from_numpy(rng.integers(0, 256, (3, spec.image_size, spec.image_size, 3), dtype=np.uint8))
        inputs[name] = normalise_images(pixels).contiguous().numpy()
        expected[name] = vectors(model, torch.from_numpy(inputs[name]), torch.from_numpy(ids))
        target = str(tmp_path / f"{name}.pt")
        assert export(["--checkpoint", str(tmp_path / name), "--format", "open_clip", "--output", target]) == 0
    for kind, target in (("huggingface", "hf"), ("onnx", "onnx")):
        arguments = ["--checkpoint", str(tmp_path / "vit"), "--format", kind, "--output", str(tmp_path / target)]
        assert export(arguments) == 0
    np.savez(tmp_path / "inputs.npz", **inputs)
    (tmp_path / "texts.json").write_text(json.dumps(TEXTS))
    done = subprocess.run([PEERS, "-c", PEER_PROGRAM, tmp_path], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found = np.load(tmp_path / "outputs.npz")
    for name in ("vit", "resnet"):
        np.testing.assert_allclose(found[f"{name}_image"], expected[name][0], atol=2e-6)
        np.testing.assert_allclose(found[f"{name}_text"], expected[name][1], atol=2e-6)
    for kind in ("hf", "onnx"):
        np.testing.assert_allclose(found[f"{kind}_image"], expected["vit"][0], atol=2e-6)
        np.testing.assert_allclose(found[f"{kind}_text"], expected["vit"][1], atol=2e-6)
    assert (
        found["hf_ids"][:, : trimmed.shape[1]]
        == np.where(trimmed == 0, found["hf_ids"][:, : trimmed.shape[1]], trimmed)
    ).all()
