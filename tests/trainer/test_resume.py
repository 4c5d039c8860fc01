"""Going on with a run: its shards are known by what they hold, and what decided the run must be the same."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import fsspec
import pytest
import torch

from tests.trainer.conftest import pairs, write_shards
from tests.trainer.test_train import flags, losses, weights
from trainer import checkpoint
from trainer.config import RunConfig
from trainer.data.known import found_again, from_record, known, to_record
from trainer.data.sources import Library, Shard
from trainer.run import main
from webimagetext import contents
from webimagetext.deciding import AHEAD, FREE, INPUT, marks_of
from webimagetext.errors import UserError


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")


Train = Callable[..., Path]


@pytest.fixture
def data(tmp_path: Path, shapes: Path) -> Path:
    """A copy of the shards that a test may change."""
    shutil.copytree(shapes / "shards", tmp_path / "data/shards")
    return tmp_path / "data"


@pytest.fixture
def train(data: Path, tiny_model: Path, tmp_path: Path) -> Train:
    """Trains up to a step, in a folder, and returns the folder."""

    def run(steps: int, *more: str, data: Path = data, name: str = "model") -> Path:
        assert main(flags(data, tiny_model, tmp_path / name, "--steps", str(steps), *more)) == 0
        return tmp_path / name

    return run


@pytest.fixture(scope="module")
def begun(shapes: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, float]]:
    """A run that was ended after 7 of 14 steps, with its shards' sizes counted and not stated; and the losses of one
    that went on from there with nothing changed."""
    root = tmp_path_factory.mktemp("begun")
    shutil.copytree(shapes / "shards", root / "shards", ignore=shutil.ignore_patterns("sizes.json"))
    assert main(flags(root, tiny_model, root / "model", "--steps", "7")) == 0
    shutil.copytree(root / "model", root / "whole")
    assert main(flags(root, tiny_model, root / "whole", "--steps", "14")) == 0
    return root / "model", losses(root / "whole")


@pytest.fixture
def half_way(begun: tuple[Path, dict[int, float]], data: Path, tmp_path: Path) -> Path:
    """A copy of the run that was begun, to go on with."""
    (data / "shards/sizes.json").unlink()
    shutil.copytree(begun[0], tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def whole(begun: tuple[Path, dict[int, float]]) -> dict[int, float]:
    """The losses of the run of 14 steps."""
    return begun[1]


def other_shards(folder: Path, count: int = 240) -> Path:
    """Shards under the names of the first ones, with other pairs."""
    shutil.rmtree(folder / "shards", ignore_errors=True)
    write_shards(folder / "shards", pairs(count, seed=3), 60)
    return folder


def test_other_shards_under_the_same_names_are_refused(train: Train, half_way: Path, data: Path) -> None:
    shard = data / "shards/00002.tar"
    content = bytearray(shard.read_bytes())
    content[content.index(b"light ground") + 3] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match="of the 4 shards it was trained on, 1 are not in --train-data") as told:
        train(14)
    assert "/shards/00002.tar" in told.value.problem
    assert "--new-data" in told.value.remedy and "another --output" in told.value.remedy
    with pytest.raises(UserError, match="of the 4 shards it was trained on, 4 are"):
        train(14, data=other_shards(data))
    assert max(losses(half_way)) == 7


def test_shards_that_moved_are_the_same(
    train: Train, half_way: Path, whole: dict[int, float], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = data.with_name("moved")
    (moved / "shards").mkdir(parents=True)
    for number in range(4):  # under names that stand in another order
        os.rename(data / f"shards/0000{number}.tar", moved / f"shards/part-{9 - number}.tar")
    # What a list of sizes says now does not move the order.
    (moved / "shards/sizes.json").write_text(json.dumps({f"part-{number}.tar": number for number in range(6, 10)}))
    capsys.readouterr()
    assert losses(train(14, data=moved)) == whole
    assert "--new-data" not in capsys.readouterr().err


def test_more_shards_are_counted_and_left_out(
    train: Train, half_way: Path, whole: dict[int, float], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(data / "more", pairs(120, seed=3), 60, sizes=False)
    for path in (data / "more").iterdir():
        path.rename(data / "shards" / f"0-{path.name}")  # before the others by name
    capsys.readouterr()
    assert losses(train(14)) == whole
    assert "--train-data: 2 more than the 4 shards of the start; left out, unless --new-data is given" in told(capsys)
    # Finished: said again, and nothing is done.
    assert losses(train(14)) == whole
    said = told(capsys)
    assert "2 more than the 4 shards" in said and "finished already, after 14 steps" in said


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


def test_new_data_is_taken_when_it_is_asked_for(
    train: Train, half_way: Path, whole: dict[int, float], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(data / "more", pairs(60, seed=3), 60, sizes=False)
    (data / "more/00000.tar").rename(data / "shards/00009.tar")
    capsys.readouterr()
    found = losses(train(14, "--new-data", "--keep", "9"))
    assert "--new-data: gone 0 of 4 shards, new 1;" in told(capsys)
    assert [found[step] for step in range(1, 8)] == [whole[step] for step in range(1, 8)]
    assert all(found[step] != whole[step] for step in range(8, 15))
    # From here on these are the shards of the run, without the option.
    train(16)
    said = told(capsys)
    assert "--new-data" not in said and "300 pairs" in said
    (data / "shards/00001.tar").unlink()
    with pytest.raises(UserError, match="of the 5 shards it was trained on, 1 are"):
        train(18)
    train(18, "--new-data")
    said = told(capsys)
    assert "gone 1 of 5 shards, new 0;" in said and "240 pairs" in said


def test_a_finished_run_looks_at_its_data(train: Train, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = train(3)
    capsys.readouterr()
    # What decides no bytes may differ.
    train(3, "--log-steps", "5", "--workers", "1", "--keep", "2", "--stall-seconds", "9", "--no-new-data")
    assert "finished already, after 3 steps; nothing to do" in told(capsys)
    with pytest.raises(UserError, match="of the 4 shards it was trained on, 4 are"):
        train(3, data=other_shards(data))
    train(3, "--new-data", "--accumulate", "2")  # no step is left to take
    said = told(capsys)
    assert "--new-data: gone 4 of 4 shards, new 4" in said and "finished already" in said
    assert json.loads((folder / "summary.json").read_text())["loss"] > 0
    (folder / "summary.json").unlink()
    train(3, "--new-data")
    assert "trained for 3 steps" in told(capsys)


def test_a_run_that_its_time_ended_goes_on_when_something_differs(
    train: Train, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(90, "--max-seconds", "0.001")
    assert max(losses(folder)) == 1
    capsys.readouterr()
    train(90, "--max-seconds", "0.001")
    assert "finished already, after 1 steps" in told(capsys)
    train(90, "--max-seconds", "0.002")
    assert max(losses(folder)) == 2
    train(90, "--max-seconds", "0.002", "--new-data", data=other_shards(data))
    assert max(losses(folder)) == 3


def test_a_run_that_was_made_longer_and_broken_off_is_not_finished(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(3)
    shorter = (folder / "summary.json").read_bytes()
    train(6, "--checkpoint-steps", "1", "--keep", "9")
    (folder / "summary.json").write_bytes(shorter)
    (folder / "checkpoints/step-00000006.pt").unlink()
    capsys.readouterr()
    train(6)
    assert "from step 5" in told(capsys)
    assert json.loads((folder / "summary.json").read_text())["steps"] == 6


def test_another_loader_is_refused(train: Train, half_way: Path) -> None:
    with pytest.raises(UserError, match="was made with --loader indexed, not webdataset") as error:
        train(14, "--loader", "webdataset")
    assert "another --output" in error.value.remedy


def test_another_tokenizer_is_refused_and_its_own_is_not(
    train: Train, half_way: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(half_way / "tokenizer.json", tmp_path / "elsewhere.json")
    document = json.loads((tmp_path / "elsewhere.json").read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"merges": document["merges"][:-1]}))
    with pytest.raises(UserError, match=f"another tokenizer than --tokenizer {other}") as error:
        train(14, "--tokenizer", str(other))
    assert "leave out --tokenizer" in error.value.remedy
    # The same merges, in the file format of published vocabularies.
    merges = tmp_path / "merges.txt"
    merges.write_text("\n".join(["#version: 0.2", *document["merges"], ""]))
    train(8, "--tokenizer", str(merges), "--vocab-size", "600")
    train(9, "--tokenizer", str(tmp_path / "elsewhere.json"))
    with pytest.raises(UserError, match="--vocab-size 700, not 600"):
        train(14, "--vocab-size", "600")


def test_other_first_weights_are_refused(
    train: Train, half_way: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    shutil.copy(checkpoint.newest(str(half_way)) or "", first)
    shutil.copy(checkpoint.newest(str(train(1, name="b"))) or "", second)
    with pytest.raises(UserError, match=f"not begun with --start-from {first}"):
        train(14, "--start-from", str(first))
    begun = {"name": "c"}
    train(2, "--start-from", str(first), **begun)
    with pytest.raises(UserError, match=f"other weights than --start-from {second}"):
        train(3, "--start-from", str(second), **begun)
    train(3, "--start-from", str(shutil.copy(first, tmp_path / "copy.pt")), **begun)
    first.unlink()
    capsys.readouterr()
    train(4, "--start-from", str(first), **begun)
    assert f"--start-from {first} is not there any more" in told(capsys)
    train(5, **begun)
    with pytest.raises(UserError, match="other weights"):
        train(6, "--start-from", str(second), **begun)


def test_what_may_change_is_said_and_takes_effect(
    train: Train, half_way: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(half_way, tmp_path / "same")
    capsys.readouterr()
    train(8, name="same")
    assert "goes on with --steps 8 instead of 7\n" in told(capsys)
    folder = train(8, "--weight-decay", "0.05", "--learning-rate", "0.004", "--beta2", "0.9", "--epsilon", "0.001")
    said = next(line for line in told(capsys).splitlines() if line.startswith("goes on with"))
    for words in (
        "--learning-rate 0.004 instead of 0.002",
        "--beta2 0.9 instead of 0.98",
        "--weight-decay 0.05 instead",
    ):
        assert words in said
    groups = dict(checkpoint.read(checkpoint.newest(str(folder)) or "").optimizer)["param_groups"]
    assert {group["weight_decay"] for group in groups} == {0.05, 0.0}
    assert {(tuple(group["betas"]), group["eps"]) for group in groups} == {((0.9, 0.9), 0.001)}
    same, other = weights(tmp_path / "same"), weights(folder)
    assert any(not torch.equal(same[name], other[name]) for name in same)
    # The published rate of another model file counts as well.
    faster = tmp_path / "faster.toml"
    faster.write_text(tiny_model.read_text().replace("2e-3", "3e-3"))
    train(9, "--model", str(faster), name="same")
    assert "--learning-rate 0.003 instead of 0.002" in told(capsys)


def test_each_setting_without_a_mark_is_refused_when_it_differs(train: Train, half_way: Path) -> None:
    marks = marks_of(RunConfig)
    assert {name for name, found in marks.items() if not found} == {
        *("source_weights", "batch_size", "loader", "shuffle_shards", "seed", "crop", "captions", "caption_fields"),
        *(
            "sample_by",
            "image_column",
            "caption_column",
            "vocab_size",
            "lock_image",
            "lock_text",
            "objective",
            "ngrams",
            "activation",
        ),
    }
    assert {name for name, found in marks.items() if INPUT in found} == {
        *("train_data", "model", "start_from", "tokenizer"),
    }
    others = {
        "source-weights": "1", "batch-size": "12", "loader": "webdataset", "shuffle-shards": "2", "seed": "5",
        "crop": "squash", "captions": "join", "sample-by": "probability", "image-column": "a", "caption-column": "b",
        "vocab-size": "650", "objective": "sigmoid",
    }  # fmt: skip
    for name, value in others.items():
        with pytest.raises(UserError, match=rf"was made with --{name} \S+, not {value}"):
            train(14, f"--{name}", value)
    with pytest.raises(UserError, match="--lock-image False, not True"):
        train(14, "--lock-image")
    with pytest.raises(UserError, match="--seed 0, not 5 and --crop random, not center"):
        train(14, "--seed", "5", "--crop", "center")
    with pytest.raises(UserError, match="--captions text, not join and --caption-fields txt texts, not txt"):
        train(14, "--captions", "join", "--caption-fields", "txt")
    train(8, "--caption-fields", "txt")  # decides nothing while the stored caption is taken


def test_no_setting_is_free_that_moves_a_sample_or_a_weight() -> None:
    marks = marks_of(RunConfig)
    assert {name for name, found in marks.items() if FREE in found} == {
        *(
            "new_data",
            "workers",
            "prefetch",
            "cache",
            "stall_seconds",
            "rank_seconds",
            "gradient_checkpointing",
            "compile",
            "loss_tile",
        ),
        *("output", "resume", "checkpoint_steps", "checkpoint_minutes", "keep", "log_steps", "tensorboard", "wandb"),
        *("preset", "config", "parallel", "device"),
        *("evaluate_every", "evaluate_retrieval", "evaluate_zeroshot", "evaluate_classes", "evaluate_limit"),
    }
    ahead = {name for name, found in marks.items() if AHEAD in found}
    assert {"accumulate", "learning_rate", "steps", "epochs", "max_seconds", "precision", "patch_dropout"} <= ahead
    assert len(marks) == len(fields(RunConfig))


def test_a_checkpoint_that_names_no_shards_is_taken_up_with_a_word(
    train: Train, half_way: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = checkpoint.newest(str(half_way)) or ""
    content = replace(checkpoint.read(url), inputs={})
    checkpoint.write(str(half_way), content, 1)
    capsys.readouterr()
    train(8)
    assert f"{url}: does not say what its shards held" in told(capsys)
    train(9)
    assert "does not say" not in told(capsys)


def test_sources_keep_their_shards_apart(train: Train, data: Path) -> None:
    patterns = [str(data / "shards/0000[01].tar"), str(data / "shards/0000[23].tar")]
    train(3, "--source-weights", "3", "1", "--train-data", *patterns)
    with pytest.raises(UserError, match="of the 4 shards it was trained on, 4 are"):
        train(4, "--source-weights", "3", "1", "--train-data", *reversed(patterns))
    train(4, "--source-weights", "3", "1", "--train-data", *patterns)


def test_known_reads_a_shard_once_and_finds_it_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr("trainer.data.known.identity", lambda url: read.append(url) or contents.identity(url))
    found = [Library().find((str(data / "shards/*.tar"),))]
    first = known(found, [])
    assert len(read) == 4 and len({shard.identity for shard in first[0]}) == 4
    assert known(found, from_record(to_record(first))) == first
    assert len(read) == 4
    # Another time, or other bytes: it is read, and known by its content all the same.
    os.utime(data / "shards/00001.tar", ns=(1, 1))
    again = known(found, first)
    assert read[4:] == [str(data / "shards/00001.tar")]
    assert [shard.identity for shard in again[0]] == [shard.identity for shard in first[0]]
    shard = data / "shards/00002.tar"
    about = shard.stat()
    shard.write_bytes(shard.read_bytes() + b"\0")
    os.utime(shard, ns=(about.st_mtime_ns, about.st_mtime_ns))
    assert known(found, first)[0][2].identity != first[0][2].identity


def test_the_mark_of_a_remote_shard_is_asked_for_each_time(data: Path) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/known/00000.tar", (data / "shards/00000.tar").read_bytes())
    found = [Library().find(("memory://known/00000.tar",))]
    first = known(found, [])
    assert known(found, first) == first
    store.pipe("/known/00000.tar", (data / "shards/00001.tar").read_bytes())
    assert known(found, first)[0][0].identity != first[0][0].identity


def test_found_again_counts_equal_shards_once_each() -> None:
    before = [[Shard("a", 5, "x"), Shard("b", 6, "y"), Shard("c", 7, "x")], [Shard("d", 8, "z")]]
    now = [[Shard("1", 0, "y"), Shard("2", 0, "x"), Shard("3", 0, "w")], [Shard("4", 0, "z"), Shard("5", 0, "z")]]
    again, lost, more = found_again(now, before)
    assert again == [[Shard("2", 5, "x"), Shard("1", 6, "y")], [Shard("4", 8, "z")]]
    assert lost == [Shard("c", 7, "x")]
    assert more == 2
