"""Damaged files of every kind: named in one line with the remedy, or healed; never a traceback, never in silence."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.trainer.test_train import flags, losses, weights
from trainer import checkpoint
from trainer.config import DataConfig
from trainer.data.loader import Dataset
from trainer.data.tar import TarReader
from trainer.evaluate.__main__ import main as evaluate
from trainer.export import main as export
from trainer.run import main
from trainer.tokenizer import Tokenizer
from trainer.weights import load_states
from webimagetext.errors import UserError


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")


Trained = tuple[list[str], Path]


def flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "flipped": lambda path: flipped(path, path.stat().st_size // 2),
    "flipped at the start": lambda path: flipped(path, 3),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3]),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: path.unlink(),
}
damaged = pytest.mark.parametrize("how", DAMAGE)


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """A finished run of 120 steps."""
    shutil.copytree(trained[1], tmp_path / "model")
    return tmp_path / "model"


@damaged
def test_a_checkpoint_that_is_named(model: Path, shapes: Path, how: str) -> None:
    path = Path(checkpoint.newest(str(model)) or "")
    DAMAGE[how](path)
    with pytest.raises(UserError, match=f"{path}: (no such file|cannot be read as a checkpoint)") as told:
        evaluate(["retrieval", "--checkpoint", str(path), "--data", str(shapes / "holdout/*.tar")])
    assert len(told.value.problem.splitlines()) == 1
    with pytest.raises(UserError, match=f"{path}: (no such file|cannot be read as weights)"):
        load_states(str(path))


def test_no_flipped_bit_of_a_checkpoint_goes_unnoticed(model: Path) -> None:
    path = Path(checkpoint.newest(str(model)) or "")
    whole, length = checkpoint.read(str(path)), path.stat().st_size
    noticed = 0
    for place in [*range(0, length, length // 60), *range(length - 60, length, 7)]:
        flipped(path, place)
        try:
            found = checkpoint.read(str(path))
        except UserError:
            noticed += 1
        else:  # between two parts, where nothing is stored
            assert found.step == whole.step and found.tokenizer == whole.tokenizer
            assert all(torch.equal(found.model[name], value) for name, value in whole.model.items())
        flipped(path, place)
    assert noticed > 50


@pytest.mark.parametrize("how", [name for name in DAMAGE if name != "missing"])
def test_the_checkpoint_before_a_damaged_one_is_taken(
    shapes: Path, tiny_model: Path, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = flags(shapes, tiny_model, tmp_path, "--steps", "12", "--checkpoint-steps", "4", "--keep", "2")
    assert main(arguments) == 0
    expected, states = losses(tmp_path), weights(tmp_path)
    newest = Path(checkpoint.newest(str(tmp_path)) or "")
    DAMAGE[how](newest)
    capsys.readouterr()
    holdout = ["--data", str(shapes / "holdout/*.tar"), "--output", str(tmp_path / "r.json")]
    assert evaluate(["retrieval", "--checkpoint", str(tmp_path), *holdout]) == 0
    line = f"{newest}: cannot be read as a checkpoint: "
    assert [text.startswith(line) for text in capsys.readouterr().err.splitlines()] == [True]
    assert json.loads((tmp_path / "r.json").read_text())["step"] == 8
    assert main(arguments) == 0
    told = capsys.readouterr().err
    assert line in told and "the one before is looked for" in told and "from step 8" in told
    assert losses(tmp_path) == expected
    found = weights(tmp_path)
    assert all(torch.equal(found[name], value) for name, value in states.items())


def test_where_every_checkpoint_is_damaged_nothing_is_begun(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    arguments = flags(shapes, tiny_model, tmp_path, "--steps", "4", "--checkpoint-steps", "2")
    assert main(arguments) == 0
    for path in (tmp_path / "checkpoints").iterdir():
        DAMAGE["cut"](path)
    for command in (
        lambda: main(arguments),
        lambda: export(["--checkpoint", str(tmp_path), "--output", str(tmp_path / "a.safetensors")]),
    ):
        with pytest.raises(UserError, match=r"step-00000004\.pt: cannot be read .+ no older one can be used") as told:
            command()
        assert f"delete {tmp_path}/checkpoints to begin anew" in told.value.remedy
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


@damaged
def test_a_tokenizer(model: Path, tmp_path: Path, how: str) -> None:
    words = Tokenizer.load(str(model / "tokenizer.json"))
    merges = "\n".join(["#version: 0.2", *(f"{a} {b}" for a, b in words.merges), ""]).encode()
    for name, content in (("tokenizer.json", (model / "tokenizer.json").read_bytes()), ("m.gz", gzip.compress(merges))):
        path = tmp_path / name
        path.write_bytes(content)
        DAMAGE[how](path)
        with pytest.raises(UserError, match=str(path)) as told:
            Tokenizer.load(str(path))
        assert len(told.value.problem.splitlines()) == 1
        assert told.value.remedy or how == "missing"


def test_no_flipped_bit_of_a_tokenizer_goes_unnoticed(model: Path) -> None:
    path = model / "tokenizer.json"
    whole = Tokenizer.load(str(path))
    for place in range(0, path.stat().st_size, 41):
        flipped(path, place)
        with pytest.raises(UserError, match=r"tokenizer\.json"):
            Tokenizer.load(str(path))
        flipped(path, place)
    assert Tokenizer.load(str(path)).merges == whole.merges
    # A file of before, without a checksum, is still read.
    path.write_text(json.dumps({"merges": [f"{a} {b}" for a, b in whole.merges], "context_length": 77}))
    assert Tokenizer.load(str(path)).merges == whole.merges


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", "7", '{"merges": 5}', '{"merges": ["a q z"]}', '{"merges": [3]}', '{"merges": ["zz yy"]}', "#v"],
)
def test_what_is_no_tokenizer(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(UserError, match=str(path)):
        Tokenizer.load(str(path))


@pytest.fixture
def shards(shapes: Path, tmp_path: Path) -> Path:
    shutil.copytree(shapes / "shards", tmp_path / "data/shards")
    return tmp_path / "data/shards"


def opened(shards: Path) -> Dataset:
    return Dataset(DataConfig(train_data=(str(shards / "*.tar"),), batch_size=24))


@damaged
def test_a_list_of_sizes(shards: Path, how: str) -> None:
    path = shards / "sizes.json"
    DAMAGE[how](path)
    if how in ("missing", "flipped at the start"):  # of a shard that is not listed the samples are counted
        assert opened(shards).size == 240
        return
    with pytest.raises(UserError, match=f"{path}: not a list of shard sizes") as told:
        opened(shards)
    assert told.value.remedy == "delete it: the shards are then counted"
    path.unlink()
    assert opened(shards).size == 240


@pytest.mark.parametrize("wrong", [-60, 10**12, 61_000])
def test_a_size_that_cannot_be_is_counted_anew(shards: Path, wrong: int) -> None:
    sizes = json.loads((shards / "sizes.json").read_text())
    (shards / "sizes.json").write_text(json.dumps(sizes | {"00002.tar": wrong}))
    dataset = opened(shards)
    assert [shard.size for shard in dataset.sources[0]] == [60] * 4
    assert "00002.tar" in dataset.fault_names[0] and "counted anew" in dataset.fault_names[0]


@pytest.mark.parametrize("wrong", [6, 90])
def test_a_size_that_could_be_is_named(shards: Path, wrong: int) -> None:
    sizes = json.loads((shards / "sizes.json").read_text())
    (shards / "sizes.json").write_text(json.dumps(sizes | {"00002.tar": wrong}))
    dataset = opened(shards)
    for shard in dataset.sources[0]:
        dataset.sample(0, dataset.sources[0].index(shard), 3, [0.5] * 4, 32)
    assert dataset.fault_names == [
        f"shard with another number of samples than listed: {shards}/00002.tar: 60, not {wrong}",
    ]


@damaged
@pytest.mark.parametrize("listed", [True, False])
def test_a_shard(shards: Path, tiny_model: Path, tmp_path: Path, how: str, listed: bool) -> None:
    DAMAGE[how](shards / "00001.tar")
    if not listed:
        (shards / "sizes.json").unlink()
    assert main(flags(shards.parent, tiny_model, tmp_path / "m", "--steps", "20")) == 0
    lines = [json.loads(line) for line in (tmp_path / "m/log.jsonl").read_text().splitlines()]
    if how != "missing":
        assert lines[-1]["faults"] > 0 and "00001.tar" in lines[-1]["examples"][0]


def test_behind_a_broken_header_the_index_goes_on(shards: Path) -> None:
    path = shards / "00000.tar"
    whole = TarReader(str(path))
    place = int(whole.index.places[10, 0]) - 512  # the header of a picture
    flipped(path, place + 5)
    reader = TarReader(str(path))
    assert len(reader) == 59 and reader.index.incomplete == 1 and not reader.index.cut
    assert reader.index.keys == [key for key in whole.index.keys if key != whole.index.keys[10]]
    assert reader.read(30, True) == whole.read(31, True)


@pytest.mark.parametrize("how", ["flipped at the start", "cut", "empty", "missing"])
def test_what_a_run_left_beside_its_checkpoints(shapes: Path, tiny_model: Path, tmp_path: Path, how: str) -> None:
    arguments = flags(shapes, tiny_model, tmp_path, "--steps", "3")
    assert main(arguments) == 0
    for name in ("summary.json", "log.jsonl", "config.toml", "tokenizer.json"):
        DAMAGE[how](tmp_path / name)
    assert main(arguments) == 0
    assert main(flags(shapes, tiny_model, tmp_path, "--steps", "5")) == 0
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["reason"] == "finished"
    starts = [line for line in lines if line.startswith('{"event": "start"')]  # each call's on a line of its own
    assert len(starts) == (3 if how == "cut" else 2)
    assert json.loads((tmp_path / "summary.json").read_text())["steps"] == 5
    assert Tokenizer.load(str(tmp_path / "tokenizer.json")).merges


@pytest.mark.parametrize("how", ["flipped at the start", "cut", "empty", "missing"])
def test_weights_of_another_layout(model: Path, tmp_path: Path, how: str) -> None:
    for form, name in (("safetensors", "a.safetensors"), ("open_clip", "a.pt")):
        path = tmp_path / name
        assert export(["--checkpoint", str(model), "--format", form, "--output", str(path)]) == 0
        DAMAGE[how](path)
        with pytest.raises(UserError, match=f"{path}: (cannot be read as weights|no such file)"):
            load_states(str(path))
