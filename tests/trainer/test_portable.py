"""The loader through the webdataset library: what is broken is counted, what is endless ends, and a signal is heard."""

import io
import json
import os
import signal
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.conftest import Pair, pairs, write_shards
from tests.trainer.test_train import flags
from trainer import checkpoint
from trainer.config import DataConfig
from trainer.data.loader import Batch, Dataset, Loader
from trainer.data.portable import PortableLoader
from trainer.evaluate.__main__ import main as evaluate
from trainer.evaluate.features import samples
from trainer.run import main
from trainer.tokenizer import train_tokenizer
from webimagetext.errors import UserError

# It leaves tars open when it is left.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")


def stream(folder: Path, batch_size: int, stop: int, faults: list[str], **more: Any) -> list[Batch]:
    urls = sorted(str(path) for path in folder.glob("*.tar"))
    config = DataConfig(train_data=tuple(urls), batch_size=batch_size, loader="webdataset", captions="join")
    side = more.pop("side", lambda step: 32)
    words = train_tokenizer(["a"], 514)
    more = {"start": 0, "stop": stop} | more
    return list(PortableLoader(config, urls, lambda kind, where: faults.append(where), words, side, **more))


def test_shards_without_a_good_sample_end_the_run(tmp_path: Path) -> None:
    write_shards(tmp_path / "bad", [(key, b"x", text, meta) for key, _, text, meta in pairs(11)], 8)
    faults: list[str] = []
    with pytest.raises(UserError, match="22 samples in a row could not be read"):
        stream(tmp_path / "bad", 2, 1, faults)
    assert len(faults) >= 11
    (tmp_path / "empty").mkdir()
    tarfile.open(tmp_path / "empty/0.tar", "w").close()
    with pytest.raises(UserError, match="no sample could be read"):
        stream(tmp_path / "empty", 2, 1, faults)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut/0.tar").write_bytes(b"no tar" * 999)
    with pytest.raises(UserError, match="no sample could be read"):
        stream(tmp_path / "cut", 2, 1, faults)


def test_one_good_sample_is_enough(tmp_path: Path) -> None:
    found = pairs(9)
    write_shards(
        tmp_path, [(key, b"x" if n else data, text, meta) for n, (key, data, text, meta) in enumerate(found)], 9
    )
    assert len(stream(tmp_path, 2, 3, [])) == 3


def test_pictures_change_their_size_where_the_run_does(shapes: Path) -> None:
    def side(step: int) -> int:
        return 16 if step < 3 else 32

    found = stream(shapes / "shards", 20, 6, [], side=side)
    assert [batch.images.shape[1] for batch in found] == [16, 16, 16, 32, 32, 32]
    assert [len(batch.images) for batch in found] == [20] * 6
    for start in (2, 3, 4):
        late = stream(shapes / "shards", 20, 6, [], side=side, start=start)
        assert all(a.images.equal(b.images) for a, b in zip(late, found[start:], strict=True))
        assert [batch.captions for batch in late] == [batch.captions for batch in found[start:]]


@pytest.mark.parametrize("resolution", [(), ("--low-resolution", "16", "--final-steps", "3")])
def test_a_run_changes_its_resolution(shapes: Path, tiny_model: Path, tmp_path: Path, resolution: tuple[str]) -> None:
    arguments = flags(shapes, tiny_model, tmp_path, "--steps", "6", "--loader", "webdataset", *resolution)
    assert main(arguments) == 0


BROKEN = [b"{", b'{"a": \xff}', b"[" * 100_000, b""]


def with_metadata(folder: Path, content: list[Pair], broken: list[bytes]) -> Path:
    """A shard whose first samples have other bytes as their metadata."""
    write_shards(folder, content, len(content))
    path = folder / "00000.tar"
    with tarfile.open(path) as archive:
        stored = [(member, archive.extractfile(member).read()) for member in archive]
    left = list(broken)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for member, data in stored:
            if member.name.endswith(".json") and left:
                data = left.pop(0)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return folder


def test_broken_metadata_is_counted_by_each_reader(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = with_metadata(tmp_path / "shards", pairs(24), BROKEN)
    faults: list[str] = []
    found = stream(folder, 10, 2, faults)
    assert len(found) == 2 and len(set(faults)) == len(BROKEN)
    config = DataConfig(train_data=(str(folder / "*.tar"),), batch_size=24, captions="join")
    dataset = Dataset(config)
    batch = next(iter(Loader(dataset, train_tokenizer(["a"], 514), lambda step: 32, stop=1)))
    assert len(batch.images) == 24 and sum(dataset.faults.values()) >= len(BROKEN)
    balanced = Dataset(DataConfig(train_data=config.train_data, batch_size=2, sample_by="probability"))
    assert balanced.size == 24
    capsys.readouterr()
    assert len(list(samples(config.train_data, 0))) == 24 - len(BROKEN)
    assert f"left out as unreadable: {len(BROKEN)}, e.g. {folder}/00000.tar sample 0" in capsys.readouterr().err


def test_metadata_that_is_no_record_is_none(tmp_path: Path) -> None:
    folder = with_metadata(tmp_path / "shards", pairs(24), [b"[1]", b"7", b"null"])
    faults: list[str] = []
    assert len(stream(folder, 12, 2, faults)) == 2
    assert not faults
    assert len(list(samples((str(folder / "*.tar"),), 0))) == 24


def test_both_loaders_end_while_they_wait(shapes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = threading.Event()

    def nothing(self: PortableLoader) -> Iterator[dict[str, Any]]:
        silent.wait(60)
        yield from ()

    monkeypatch.setattr(PortableLoader, "_stream", nothing)
    begun = time.monotonic()
    assert stream(shapes / "shards", 2, 1, [], over=lambda: time.monotonic() > begun + 0.5) == []
    dataset = Dataset(DataConfig(train_data=(str(shapes / "shards/*.tar"),), batch_size=4))
    dataset.sample = lambda *_: silent.wait(60)  # type: ignore[method-assign]
    words = train_tokenizer(["a"], 514)
    loader = Loader(dataset, words, lambda step: 32, stop=3, over=lambda: time.monotonic() > begun + 1)
    assert list(loader) == []
    assert time.monotonic() - begun < 20
    silent.set()


@pytest.mark.parametrize("loader", ["indexed", "webdataset"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_heard_while_data_is_waited_for(
    shapes: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    loader: str,
    number: int,
    status: int,
) -> None:
    silent = threading.Event()
    real_stream, real_sample = PortableLoader._stream, Dataset.sample
    taken = [0]

    def then_nothing() -> None:
        taken[0] += 1
        if taken[0] > 130:
            if taken[0] == 131:
                os.kill(os.getpid(), number)
            silent.wait(120)

    def stream_then_nothing(self: PortableLoader) -> Iterator[dict[str, Any]]:
        for sample in real_stream(self):
            then_nothing()
            yield sample

    def sample_then_nothing(self: Dataset, *place: Any) -> Any:
        then_nothing()
        return real_sample(self, *place)

    monkeypatch.setattr(PortableLoader, "_stream", stream_then_nothing)
    monkeypatch.setattr(Dataset, "sample", sample_then_nothing)
    begun = time.monotonic()
    arguments = flags(shapes, tiny_model, tmp_path, "--steps", "60", "--loader", loader, "--workers", "1")
    try:
        assert main(arguments) == status
    finally:
        silent.set()
    assert time.monotonic() - begun < 60
    last = [line for line in capsys.readouterr().err.splitlines() if line.startswith("stopped")]
    newest = checkpoint.newest(str(tmp_path))
    if newest:
        assert last == [f"stopped and saved at step {checkpoint.step_of(newest)}; the same command goes on from there"]
    else:
        assert last == ["stopped before the first step; the same command goes on from there"]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["reason"] == signal.Signals(number).name


def test_an_evaluation_says_what_it_leaves_out(
    trained: tuple[list[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = [(key, b"x" if n < 3 else data, text, meta) for n, (key, data, text, meta) in enumerate(pairs(20))]
    write_shards(tmp_path, stored, 20)
    capsys.readouterr()
    arguments = ["--checkpoint", str(trained[1]), "--data", str(tmp_path / "*.tar")]
    assert evaluate(["retrieval", *arguments, "--output", str(tmp_path / "r.json")]) == 0
    assert "left out as no pictures: 3, e.g. cannot identify" in capsys.readouterr().err
    assert json.loads((tmp_path / "r.json").read_text())["images"] == 17
