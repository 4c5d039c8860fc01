"""Damaged files of every kind: named in one line with the remedy, or healed; never a traceback, never in silence."""

import gzip
import hashlib
import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.keeping.manifest import entry_of, write_manifest
from tests.faults.outcomes import DAMAGES, Read, outcomes_of, rows_of
from tests.trainer.conftest import pairs
from tests.trainer.test_train import flags, losses, weights
from trainer import checkpoint
from trainer.config import DataConfig
from trainer.data.images import BadImageError, square
from trainer.data.known import known
from trainer.data.loader import Dataset
from trainer.data.tar import TarReader
from trainer.evaluate.__main__ import main as evaluate
from trainer.export import main as export
from trainer.rerank import main as rerank
from trainer.run import main
from trainer.tokenizer import Tokenizer
from trainer.weights import read_weights
from webimagetext.command import run_command
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
    with pytest.raises(UserError, match=f"{path}: (no such file|cannot be read as a checkpoint)"):
        read_weights(str(path))


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
            read_weights(str(path))


@pytest.fixture
def vouched(shards: Path) -> Path:
    """Shards with a manifest, as a run writes it."""
    names = sorted(path.name for path in shards.iterdir())
    write_manifest(str(shards), [entry_of(str(shards), name, 60) for name in names])
    return shards


def whole_epoch(path: Path, **options: Any) -> Read:
    """All samples of the shards that a pattern names, and how many were not as they should be."""
    dataset = Dataset(DataConfig(train_data=(str(path),), batch_size=2, **options), lambda found: known(found, []))
    found = []
    for shard in dataset.sources[0]:
        try:
            with dataset.library.lent(shard) as reader:
                for number in range(len(reader)):
                    try:
                        sample = reader.read(number, True)
                        square(sample[0], 32)
                        found.append(repr(sample))
                    except (BadImageError, ValueError, OSError) as error:
                        dataset.fault("unreadable sample", str(error))
        finally:
            dataset.library.close()
    return Read(found, dataset.faults.total())


def few_changed(before: Any, after: Any) -> bool:
    """Whether at most one sample is another one, and none is lost."""
    return len(after) == len(before) and sum(row not in before for row in after) <= 1


def none_lost(before: Any, after: Any) -> bool:
    """Of packed columns a bit may be a part of many rows."""
    return len(after) == len(before)


def pictures(checked: bool) -> bytes:
    rows = [{"image": data, "caption": caption} for _, data, caption, _ in pairs(40)]
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream, write_page_checksum=checked, row_group_size=5)
    return stream.getvalue()


def read_checkpoint(path: Path) -> Read:
    found = checkpoint.read(str(path))
    digests = {name: hashlib.sha256(value.numpy().tobytes()).hexdigest() for name, value in found.model.items()}
    return Read((found.step, found.tokenizer, digests))


def weights_read(path: Path) -> Read:
    states = read_weights(str(path)).states
    return Read({name: value.numpy().tobytes() for name, value in states.items()})


def merges_of(model: Path) -> bytes:
    words = Tokenizer.load(str(model / "tokenizer.json"))
    return "\n".join(["#version: 0.2", *(f"{a} {b}" for a, b in words.merges), ""]).encode()


def read_words(path: Path) -> Read:
    return Read(Tokenizer.load(str(path)).merges)


TABLE = rows_of("What a training reads and keeps")
Slight = Callable[[Any, Any], bool]
Case = tuple[Callable[[Path, Path, Path], Path], Callable[[Path], Read], Slight]


def beside(name: str) -> Callable[[Path, Path, Path], Path]:
    """A file beside shards that have a manifest."""
    return lambda shards, model, place: shards / name


def written(name: str, content: Callable[[Path], bytes]) -> Callable[[Path, Path, Path], Path]:
    def write(shards: Path, model: Path, place: Path) -> Path:
        (place / name).write_bytes(content(model))
        return place / name

    return write


def exported(form: str, name: str) -> Callable[[Path, Path, Path], Path]:
    def write(shards: Path, model: Path, place: Path) -> Path:
        assert export(["--checkpoint", str(model), "--format", form, "--output", str(place / name)]) == 0
        return place / name

    return write


def alone(shards: Path, model: Path, place: Path) -> Path:
    """A shard of another program, with a list of sizes and without a manifest."""
    (shards / "_MANIFEST").unlink()
    return shards / "00001.tar"


def anything(before: Any, after: Any) -> bool:
    return True


# For each row of the table: the file, how it is read, and what may be changed in it without a word.
CASES: dict[str, Case] = {
    "shard of a run": (beside("00001.tar"), lambda path: whole_epoch(path.parent / "*.tar"), few_changed),
    "its `sizes.json`": (beside("sizes.json"), lambda path: whole_epoch(path.parent / "*.tar"), few_changed),
    "its `_MANIFEST`": (beside("_MANIFEST"), lambda path: whole_epoch(path.parent / "*.tar"), few_changed),
    "shard of another program": (alone, lambda path: whole_epoch(path.parent / "*.tar"), few_changed),
    "pictures in Parquet with checksums": (
        written("p.parquet", lambda _: pictures(True)),
        lambda path: whole_epoch(path),
        few_changed,
    ),
    "pictures in Parquet without": (written("p.parquet", lambda _: pictures(False)), whole_epoch, none_lost),
    "checkpoint": (lambda shards, model, place: Path(checkpoint.newest(str(model)) or ""), read_checkpoint, anything),
    "exported weights": (exported("safetensors", "a.safetensors"), weights_read, anything),
    "exported weights for open_clip": (exported("open_clip", "a.pt"), weights_read, anything),
    "`tokenizer.json`": (lambda shards, model, place: model / "tokenizer.json", read_words, anything),
    "merges, `.gz`": (written("m.gz", lambda model: gzip.compress(merges_of(model))), read_words, anything),
    "merges, plain": (written("m.txt", merges_of), read_words, anything),
}


def test_every_row_has_a_test() -> None:
    assert {*CASES, "notes beside the checkpoints"} == set(TABLE)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", CASES)
def test_what_a_training_reads(kind: str, damage: str, vouched: Path, model: Path, tmp_path: Path) -> None:
    make, read, slight = CASES[kind]
    path = make(vouched, model, tmp_path)
    found = outcomes_of(path, damage, lambda: read(path), slight)
    assert (found or {"no matter"}) == TABLE[kind][damage]


def test_the_notes_do_not_matter() -> None:
    """As test_what_a_run_left_beside_its_checkpoints shows."""
    assert all(words == {"no matter"} for words in TABLE["notes beside the checkpoints"].values())


def test_a_damaged_shard_ends_the_commands_in_a_line(
    vouched: Path, model: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flipped(vouched / "00002.tar", random.Random(5).randrange(vouched.joinpath("00002.tar").stat().st_size))
    train = flags(vouched.parent, tiny_model, tmp_path / "new", "--steps", "3")
    for command in (
        lambda: main(train),
        lambda: evaluate(["retrieval", "--checkpoint", str(model), "--data", str(vouched / "*.tar")]),
        lambda: rerank(["--checkpoint", str(model), "--prompt", "a ring", "--images", str(vouched / "*.tar")]),
    ):
        assert run_command(command) == 2
        error = capsys.readouterr().err
        assert f"error: {vouched}/00002.tar: is damaged: its content is not what was written\n" in error
        assert f"`pipeline check {vouched}`" in error and "Traceback" not in error
    assert not (tmp_path / "new/checkpoints").exists()


def test_shards_that_are_missing_are_told(vouched: Path, tiny_model: Path, tmp_path: Path) -> None:
    (vouched / "00001.tar").unlink()
    (vouched / "00003.tar").unlink()
    assert main(flags(vouched.parent, tiny_model, tmp_path / "m", "--steps", "3")) == 0
    end = json.loads((tmp_path / "m/log.jsonl").read_text().splitlines()[-1])
    assert (end["faults"], end["examples"]) == (1, [f"shards that are missing: {vouched}/00001.tar, 2 of 4"])


def test_damage_while_a_training_is_under_way_is_counted(vouched: Path) -> None:
    dataset = opened(vouched)
    flipped(vouched / "00001.tar", 70_000)
    dataset.library.close()
    shard = [shard.url for shard in dataset.sources[0]].index(f"{vouched}/00001.tar")
    assert dataset.sample(0, shard, 7, [0.5] * 4, 32)[0].shape == (32, 32, 3)
    assert "00001.tar: is damaged: its content is not what was written" in dataset.fault_names[0]
