"""Weights of other libraries mean here what they mean there: activation, norms, preparation of pictures, words."""

import gzip
import io
import json
import os
import pickle
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.trainer.test_export import PEERS, saved
from trainer.convert.archive import read_archive
from trainer.convert.described import describe
from trainer.convert.layouts import to_open_clip
from trainer.evaluate.features import encode_pictures, encode_texts
from trainer.export import main as export
from trainer.models.clip import Clip, build
from trainer.models.spec import ModelSpec
from trainer.tokenizer import Tokenizer, train_tokenizer
from trainer.weights import Trained, load_trained, put_states, read_weights, refuse_another_meaning
from webimagetext.errors import UserError

GELU = ModelSpec(
    32,
    32,
    2,
    64,
    2,
    8,
    text_width=64,
    text_heads=2,
    text_layers=2,
    vocab_size=600,
    activation="gelu",
    norm_epsilon=1e-3,
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.3, 0.4),
)
# OpenAI's heads are 64 channels wide, and its files say nothing else of them.
OPENAI_VIT = ModelSpec(32, 32, 2, 128, 2, 8, text_width=64, text_heads=1, text_layers=3, vocab_size=600)
OPENAI_RESNET = ModelSpec(32, 64, (1, 2, 1, 1), 16, 8, 0, text_width=128, text_heads=2, text_layers=2, vocab_size=600)
TEXTS = ["a red circle", "picture of one green ring", "blue!"]
RING = Image.radial_gradient("L").resize((70, 48)).convert("RGB")


@pytest.fixture(scope="module")
def words() -> Tokenizer:
    return train_tokenizer([*TEXTS, "a photo of a red ring", "one blue circle"] * 4, 600)


def vectors(trained: Trained, picture: Image.Image = RING) -> tuple[np.ndarray, np.ndarray]:
    """Of a picture and of texts, from pixels and characters on."""
    device = torch.device("cpu")
    _, seen = encode_pictures(trained, [png(picture)], lambda data: data, device=device)
    return seen.numpy(), encode_texts(trained, TEXTS, device=device).numpy()


def png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, words: Tokenizer) -> Path:
    """A GELU model in every layout that states what it is, and its checkpoint in ``run``."""
    folder = tmp_path_factory.mktemp("exported")
    saved(folder / "run", GELU, words)
    for kind, output in (("safetensors", "a/m.safetensors"), ("open_clip", "b/m.pt"), ("huggingface", "c")):
        assert export(["--checkpoint", str(folder / "run"), "--format", kind, "--output", str(folder / output)]) == 0
    return folder


@pytest.mark.parametrize(("where", "whole"), [("run", True), ("a/m.safetensors", True), ("b/m.pt", False), ("c", True)])
def test_a_model_comes_back_from_what_it_was_written_as(exported: Path, where: str, whole: bool) -> None:
    trained = load_trained(str(exported / where))
    # open_clip's sizes have no place for what pictures are normalised with.
    spec = GELU if whole else ModelSpec(**{**vars(GELU), "mean": ModelSpec.mean, "std": ModelSpec.std})
    assert replace(trained.model.spec, learning_rate=GELU.learning_rate) == spec
    if whole:
        for ours, theirs in zip(vectors(trained), vectors(load_trained(str(exported / "run"))), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_activation_norm_and_pictures_each_change_the_vectors(exported: Path) -> None:
    trained = load_trained(str(exported / "run"))
    before = vectors(trained)
    for changed in ({"activation": "quick_gelu"}, {"norm_epsilon": 0.3}, {"mean": (0, 0, 0)}, {"std": (1, 1, 1)}):
        other = Clip(replace(GELU, **changed)).eval()
        put_states(other, dict(trained.model.state_dict()), "other")
        after = vectors(replace(trained, model=other))
        assert not np.allclose(before[0], after[0], atol=1e-4)
        assert np.allclose(before[1], after[1], atol=1e-4) == ("mean" in changed or "std" in changed)


def test_what_is_missing_unknown_or_of_another_shape_is_named(exported: Path) -> None:
    states = read_weights(str(exported / "run")).states
    del states["text.ln_final.bias"]
    states |= {"visual.extra.weight": torch.zeros(1), "visual.proj": torch.zeros(3, 3)}
    with pytest.raises(UserError) as error:
        put_states(Clip(GELU), states, "x.pt")
    assert "1 of another shape: visual.proj is (3, 3), wanted (64, 32)" in error.value.problem
    assert "1 absent: text.ln_final.bias; 1 unknown: visual.extra.weight" in error.value.problem


def test_weights_that_say_nothing_need_the_model_and_the_activation(exported: Path, tmp_path: Path) -> None:
    bare = tmp_path / "weights.pt"
    torch.save(to_open_clip(read_weights(str(exported / "run")).states), bare)
    with pytest.raises(UserError, match="nothing beside these weights says of which model"):
        load_trained(str(bare))
    with pytest.raises(UserError, match="nothing says which activation"):
        load_trained(str(bare), model="ViT-B/32")
    with pytest.raises(UserError, match="does not fit the model"):
        load_trained(str(bare), model="ViT-B/32", activation="gelu", tokenizer=str(exported / "b/tokenizer.json"))
    sizes = {name: value for name, value in vars(GELU).items() if name != "activation"}
    toml = tmp_path / "model.toml"
    toml.write_text("".join(f"{name} = {list(v) if isinstance(v, tuple) else v}\n" for name, v in sizes.items()))
    with pytest.raises(UserError, match="no tokenizer lies beside"):
        load_trained(str(bare), model=str(toml), activation="gelu")
    words = str(exported / "b/m-merges.txt.gz")
    trained = load_trained(str(bare), model=str(toml), activation="gelu", tokenizer=words)
    for ours, theirs in zip(vectors(trained), vectors(load_trained(str(exported / "run"))), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_of_another_meaning_are_refused_as_a_start(exported: Path) -> None:
    found = read_weights(str(exported / "c"))
    assert found.spec is not None
    refuse_another_meaning(found.spec, "same", found, stated=False)
    for field, other in (("activation", "quick_gelu"), ("vision_heads", 1), ("text_heads", 1), ("std", (1, 1, 1))):
        with pytest.raises(UserError, match=field):
            refuse_another_meaning(replace(found.spec, **{field: other}), "other", found, stated=True)
    with pytest.raises(UserError, match=r"--activation|leave out"):
        load_trained(str(exported / "c"), activation="quick_gelu")


OPEN_CLIP = {"embed_dim": 32, "vision_cfg": {}, "text_cfg": {}}
HUGGING_FACE = {"model_type": "clip", "projection_dim": 512}


def folder_of(place: Path, files: dict[str, Any]) -> str:
    place.mkdir(exist_ok=True)
    for name, values in files.items():
        (place / name).write_text(json.dumps(values))
    (place / "model.safetensors").touch()
    return str(place / "model.safetensors")


def test_what_open_clip_leaves_out_is_its_own_default(tmp_path: Path) -> None:
    found = describe(folder_of(tmp_path, {"open_clip_config.json": {"model_cfg": OPEN_CLIP}}))
    assert found.spec == ModelSpec(32, 224, 12, 768, 12, 16, activation="gelu") and found.crop == "center"
    more = {"quick_gelu": True, "vision_cfg": {"head_width": 96, "norm_kwargs": {"eps": 1e-6}, "image_size": [64, 64]}}
    more["text_cfg"] = {"norm_kwargs": {"eps": 1e-6}, "pool_type": "argmax", "no_causal_mask": False}
    stated = {"mean": [0.5] * 3, "std": [0.25] * 3, "resize_mode": "squash", "interpolation": "bicubic"}
    values = {"model_cfg": OPEN_CLIP | more, "preprocess_cfg": stated}
    found = describe(folder_of(tmp_path, {"open_clip_config.json": values}))
    assert found.crop == "squash"
    assert found.spec == ModelSpec(32, 64, 12, 768, 8, 16, norm_epsilon=1e-6, mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        ("vision_cfg", {"timm_model_name": "resnet50"}, "timm_model_name = resnet50"),
        ("vision_cfg", {"pool_type": "avg"}, "pool_type = avg"),
        ("vision_cfg", {"act_kwargs": {"approximate": "tanh"}}, "act_kwargs"),
        ("vision_cfg", {"norm_kwargs": {"eps": 1e-6}}, "two epsilons"),
        ("vision_cfg", {"image_size": [224, 336]}, "224 x 336"),
        ("vision_cfg", {"width": "wide"}, "states no model"),
        ("text_cfg", {"no_causal_mask": True}, "no_causal_mask = True"),
        ("text_cfg", {"mlp_ratio": 2}, "mlp_ratio = 2"),
        ("multimodal_cfg", {"width": 3}, "multimodal_cfg"),
        ("vision_cfg", 7, "states no vision_cfg"),
    ],
)
def test_models_of_open_clip_that_are_none_of_ours_are_refused(
    tmp_path: Path, part: str, value: Any, told: str
) -> None:
    weights = folder_of(tmp_path, {"open_clip_config.json": {"model_cfg": OPEN_CLIP | {part: value}}})
    with pytest.raises(UserError, match=told):
        describe(weights)


def test_what_hugging_face_leaves_out_is_its_own_default(tmp_path: Path) -> None:
    found = describe(folder_of(tmp_path, {"config.json": HUGGING_FACE}))
    assert found.spec == ModelSpec(512, 224, 12, 768, 12, 32)
    towers = {"text_config": {"hidden_act": "gelu"}, "vision_config_dict": {"hidden_act": "gelu", "image_size": 64}}
    prepared = {"size": {"height": 64, "width": 64}, "do_center_crop": False, "image_mean": [0, 0.25, 1]}
    files = {"config.json": HUGGING_FACE | towers, "preprocessor_config.json": prepared}
    found = describe(folder_of(tmp_path, files))
    assert found.crop == "squash"
    assert found.spec == ModelSpec(512, 64, 12, 768, 12, 32, activation="gelu", mean=(0, 0.25, 1))


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("config.json", {"model_type": "siglip"}, "type siglip"),
        ("config.json", {"text_config": {"hidden_act": "gelu"}}, "hidden_act = quick_gelu for pictures and gelu"),
        ("config.json", {"text_config": {"intermediate_size": 2000}}, "intermediate_size = 2000 for 512"),
        ("config.json", {"vision_config": {"layer_norm_eps": 1e-6}}, "layer_norm_eps = 1e-06 for pictures"),
        ("config.json", {"vision_config": [1]}, "states no model"),
        ("preprocessor_config.json", {"resample": 2}, "resample = 2"),
        ("preprocessor_config.json", {"do_normalize": False}, "do_normalize = False"),
        ("preprocessor_config.json", {"rescale_factor": 0.5}, "rescale_factor = 0.5"),
        ("preprocessor_config.json", {"size": {"shortest_edge": 256}}, "shortest_edge': 256"),
        ("preprocessor_config.json", {"crop_size": 200}, "crop_size = 200"),
    ],
)
def test_models_of_hugging_face_that_are_none_of_ours_are_refused(
    tmp_path: Path, name: str, values: Any, told: str
) -> None:
    files = {"config.json": HUGGING_FACE, "preprocessor_config.json": {}}
    files[name] = files[name] | values
    with pytest.raises(UserError, match=told):
        describe(folder_of(tmp_path, files))


def test_a_folder_that_holds_no_single_file_of_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(UserError, match="parted over several files"):
        load_trained(str(tmp_path))


class Tree(nn.Module):
    """Tensors under the modules that their names tell, as in a scripted model."""

    def __init__(self, states: dict[str, torch.Tensor]) -> None:
        super().__init__()
        inner: dict[str, dict[str, torch.Tensor]] = {}
        for name, value in states.items():
            head, _, rest = name.partition(".")
            if rest:
                inner.setdefault(head, {})[rest] = value
            elif value.is_floating_point():
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)
        for name, part in inner.items():
            self.add_module(name, Tree(part))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Is there to be scripted, and never run."""
        return x


def openai_archive(spec: ModelSpec, path: Path) -> Clip:
    """Writes a model as OpenAI distributed its own: a TorchScript archive in half precision."""
    model = build(spec, seed=3)
    states = {name: value.half().float() for name, value in model.state_dict().items() if value.is_floating_point()}
    model.load_state_dict(states, strict=False)
    numbers = {
        "input_resolution": spec.image_size,
        "context_length": spec.context_length,
        "vocab_size": spec.vocab_size,
    }
    tensors = {name: value.half() for name, value in to_open_clip(states).items()}
    tensors |= {name: torch.tensor(value) for name, value in numbers.items()}
    torch.jit.script(Tree(tensors)).save(str(path))
    return model


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("spec", [OPENAI_VIT, OPENAI_RESNET], ids=["vit", "resnet"])
def test_openai_archives_are_read_without_their_code(tmp_path: Path, spec: ModelSpec, words: Tokenizer) -> None:
    model = openai_archive(spec, tmp_path / "clip.pt")
    (tmp_path / "bpe.txt").write_text(words.to_merges())
    trained = load_trained(str(tmp_path / "clip.pt"), tokenizer=str(tmp_path / "bpe.txt"))
    assert trained.model.spec == spec
    for name, value in model.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(trained.model.state_dict()[name], value), name
    with pytest.raises(UserError, match="no tokenizer"):
        load_trained(str(tmp_path / "clip.pt"))


class Hostile:
    """Runs a program where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


class Endless:
    """A tensor of a size that no file holds."""

    def __reduce__(self) -> tuple[Any, ...]:
        return torch._utils._rebuild_tensor_v2, (torch.zeros(1), 0, (1 << 40,), (0,), False, {})


@pytest.mark.parametrize("content", [Hostile(), {"a": Hostile()}, torch.nn.Linear], ids=["runs", "inside", "class"])
def test_what_an_archive_may_name_is_tensors_alone(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "clip.pt"
    with zipfile.ZipFile(path, "w") as parts:
        for name in ("constants.pkl", "code/model.py"):
            parts.writestr(f"clip/{name}", b"")
        parts.writestr("clip/data.pkl", pickle.dumps(content, protocol=2))
    with pytest.raises(UserError, match="neither a tensor nor a module"):
        load_trained(str(path))
    assert not Path("ran").exists()


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_archive_may_not_ask_for_more_numbers_than_it_holds(tmp_path: Path) -> None:
    torch.jit.script(Tree({"a": torch.arange(4.0)})).save(str(tmp_path / "small.pt"))
    with open(tmp_path / "small.pt", "rb") as stream:
        assert torch.equal(read_archive(stream)["a"], torch.arange(4.0))
    with zipfile.ZipFile(tmp_path / "small.pt") as before, zipfile.ZipFile(tmp_path / "large.pt", "w") as after:
        for name in before.namelist():
            data = before.read(name)
            after.writestr(name, data.replace(b"K\x04", b"K\xff") if name.endswith("data.pkl") else data)
    with open(tmp_path / "large.pt", "rb") as stream, pytest.raises(pickle.UnpicklingError, match="holds 4 numbers"):
        read_archive(stream)


PEER_PROGRAM = """
import json, sys
import numpy as np, torch
from PIL import Image
folder = sys.argv[1]
picture, texts = Image.open(f"{folder}/picture.jpg"), json.load(open(f"{folder}/texts.json"))
out = {}
import open_clip
from open_clip.tokenizer import SimpleTokenizer
words = SimpleTokenizer(f"{folder}/words.gz")
out["ids"] = words(texts).numpy()
for quick in (False, True):
    name = f"open_clip-{quick}"
    torch.manual_seed(1)
    model, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}/{name}", load_weights=False)
    model.eval()
    torch.save(model.state_dict(), f"{folder}/{name}/open_clip_pytorch_model.bin")
    with torch.no_grad():
        out[f"{name}-image"] = model.encode_image(prepare(picture)[None], normalize=True).numpy()
        out[f"{name}-text"] = model.encode_text(words(texts), normalize=True).numpy()
from transformers import CLIPConfig, CLIPImageProcessorPil as Processor, CLIPModel
for act in ("gelu", "quick_gelu"):
    sizes = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
    tower = {**sizes, "hidden_act": act, "layer_norm_eps": 1e-4}
    text = {**tower, "vocab_size": words.vocab_size, "eos_token_id": words.eot_token_id}
    vision = {**tower, "image_size": 64, "patch_size": 16}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=48)
    model = CLIPModel(config).eval()
    model.save_pretrained(f"{folder}/hf-{act}")
    prepare = Processor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}, image_std=[.2, .3, .4])
    prepare.save_pretrained(f"{folder}/hf-{act}")
    with torch.no_grad():
        both = model(input_ids=words(texts), pixel_values=prepare(picture, return_tensors="pt")["pixel_values"])
    out[f"hf-{act}-image"], out[f"hf-{act}-text"] = both.image_embeds.numpy(), both.text_embeds.numpy()
np.savez(f"{folder}/outputs.npz", **out)
"""
PIECES = (
    *("&amp;", "&#8217;", "&EACUTE;", "&eacute;", "&amp;amp;lt;b&gt;", "&nbsp;", "&#x27;", "&", ";", "&lt;", "&notit;"),
    *("dog", "Dog's", "CAT", "12", "3rd", "!", "…", "é", "Ã©", "ﬁ", "“x”", "—", "漢字", "🙂", "_x", "a<b"),
    *(" ", "  ", "\t", "\u200b", "\x1b[0m"),
)


@pytest.mark.slow
@pytest.mark.peers
def test_models_of_the_peers_give_their_vectors_here(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    needed = [PEERS, "-c", "import open_clip, transformers"]
    if not PEERS.exists() or subprocess.run(needed, env=environment).returncode:
        pytest.skip("the peers' environment is not built (make peers)")
    rng = np.random.default_rng(4)
    texts = ["".join(rng.choice(PIECES, rng.integers(1, 9))) for _ in range(2000)]
    words = train_tokenizer(texts, 600)
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    (tmp_path / "words.gz").write_bytes(gzip.compress(words.to_merges().encode()))
    noise = Image.fromarray(rng.integers(0, 256, (30, 45, 3), dtype=np.uint8))
    noise.resize((450, 300), Image.Resampling.BICUBIC).save(tmp_path / "picture.jpg")
    for quick in (False, True):
        text = {"vocab_size": len(words), "width": 64, "heads": 2, "layers": 2}
        vision = {"image_size": 64, "layers": 2, "width": 64, "head_width": 16, "patch_size": 16}
        values = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text} | ({"quick_gelu": True} if quick else {})
        prepared = {"mean": [0.5, 0.4, 0.3], "resize_mode": "squash" if quick else "shortest"}
        (tmp_path / f"open_clip-{quick}").mkdir()
        config = json.dumps({"model_cfg": values, "preprocess_cfg": prepared})
        (tmp_path / f"open_clip-{quick}/open_clip_config.json").write_text(config)
    done = subprocess.run([PEERS, "-c", PEER_PROGRAM, tmp_path], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    found = np.load(tmp_path / "outputs.npz")
    ids = words.encode(texts)
    assert (found["ids"][:, : ids.shape[1]] == ids).all() and not found["ids"][:, ids.shape[1] :].any()
    picture = (tmp_path / "picture.jpg").read_bytes()
    device = torch.device("cpu")
    for name in ("open_clip-False", "open_clip-True", "hf-gelu", "hf-quick_gelu"):
        trained = load_trained(str(tmp_path / name), tokenizer=str(tmp_path / "words.gz"))
        _, seen = encode_pictures(trained, [picture], lambda data: data, device=device)
        np.testing.assert_allclose(seen.numpy(), found[f"{name}-image"], atol=1e-5, err_msg=name)
        told = encode_texts(trained, texts, device=device).numpy()
        np.testing.assert_allclose(told, found[f"{name}-text"], atol=1e-5, err_msg=name)
