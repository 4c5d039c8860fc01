"""Open files: as many as the process may have, those of shards that are put aside closed, and a limit that is reached
never taken for a broken sample."""

import errno
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.trainer.conftest import pairs, write_shards
from tests.trainer.test_train import flags
from trainer.config import DataConfig
from trainer.data import sources
from trainer.data.images import square
from trainer.data.loader import Dataset
from trainer.data.sources import Library, Shard
from webimagetext import handles
from webimagetext.errors import UserError, is_out_of_files

LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from webimagetext.command import leave, run_command
from trainer.run import main
leave(run_command(lambda: main(sys.argv[1:])))
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 shards of two pairs, without a list of their sizes."""
    root = tmp_path_factory.mktemp("many")
    write_shards(root / "shards", pairs(300), 2, sizes=False)
    return root


@pytest.mark.parametrize("loader", ["indexed", pytest.param("webdataset", marks=pytest.mark.slow)])
def test_more_shards_than_the_process_may_open(many: Path, tiny_model: Path, tmp_path: Path, loader: str) -> None:
    arguments = flags(many, tiny_model, tmp_path / "model", "--steps", "25", "--loader", loader, "--workers", "4")
    done = subprocess.run([sys.executable, "-c", LIMITED, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "model/summary.json").read_text())["steps"] == 25
    lines = [json.loads(line) for line in (tmp_path / "model/log.jsonl").read_text().splitlines()]
    assert lines[-1]["faults"] == 0, lines[-1]


def open_now(folder: Path, ending: str) -> int:
    """Files and maps in a folder that this process holds open, whose names end so."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    maps = Path("/proc/self/maps").read_text().splitlines()
    return sum(str(folder) in name and name.removesuffix(" (deleted)").endswith(ending) for name in [*links, *maps])


def few(library: Library, most: int) -> Library:
    library._most = most
    return library


def read_all(library: Library, shards: list[Shard]) -> list[bytes]:
    found = []
    for shard in shards:
        with library.lent(shard) as reader:
            found.append(reader.read(0, True)[0])
    return found


def test_what_is_put_aside_is_closed(many: Path) -> None:
    library = few(Library(), 5)
    shards = library.find((str(many / "shards/000*.tar"),))
    assert len(shards) == 100 and {shard.size for shard in shards} == {2}
    assert open_now(many, ".tar") == 5
    first = read_all(library, shards)
    assert open_now(many, ".tar") == 5
    assert read_all(library, shards) == first and len(set(first)) == 100
    library.close()
    assert open_now(many, ".tar") == 0


def test_parquet_files_and_their_maps_are_closed(tmp_path: Path) -> None:
    for index, (_, data, caption, _) in enumerate(pairs(12)):
        pq.write_table(pa.table({"image": [data], "caption": [caption]}), tmp_path / f"{index:02}.parquet")
    library = few(Library(), 3)
    shards = library.find((str(tmp_path / "*.parquet"),))
    read_all(library, shards)
    held = open_now(tmp_path, ".parquet")
    assert 3 <= held <= 6  # a file and a map each
    library.close()
    assert open_now(tmp_path, ".parquet") == 0


def test_copies_of_remote_shards_leave_the_disk(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = fsspec.filesystem("memory")
    for path in sorted((many / "shards").glob("0000*.tar")):
        store.pipe(f"/many/{path.name}", path.read_bytes())
    library = few(Library(), 2)
    shards = library.find(("memory://many/*.tar",))
    assert len(read_all(library, shards)) == 10
    assert open_now(tmp_path, ".tar") == 2
    library.close()
    assert open_now(tmp_path, ".tar") == 0


def test_a_shard_is_not_closed_under_its_reader(many: Path) -> None:
    library = few(Library(), 1)
    shards = library.find((str(many / "shards/0000*.tar"),))
    with library.lent(shards[0]) as reader:
        before = reader.read(0, True)
        read_all(library, shards[1:])
        with library.lent(shards[0]) as same:
            assert same is reader
        library.close()
        assert reader.read(0, True) == before
        assert open_now(many, ".tar") == 1
    assert open_now(many, ".tar") == 0


def test_many_threads_share_few_files(many: Path) -> None:
    library = few(Library(threads=8), 2)
    shards = library.find((str(many / "shards/0000*.tar"),))
    expected = read_all(library, shards)
    wrong: list[object] = []

    def work(start: int) -> None:
        for turn in range(40):
            index = (start * 7 + turn * 3) % len(shards)
            with library.lent(shards[index]) as reader:
                if reader.read(0, True)[0] != expected[index]:
                    wrong.append(index)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert open_now(many, ".tar") <= 2
    library.close()


def test_the_bound_follows_the_limit_and_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, threads, used, most in (
        (1024, 8, 20, 256),
        (256, 8, 20, 256 - 20 - 24 - 24),
        (256, 2, 20, 256 - 20 - 24 - 6),
        (64, 2, 10, 24),
        (16, 64, 10, 1),
    ):
        monkeypatch.setattr(handles.resource, "getrlimit", lambda kind, limit=limit: (limit, limit))
        monkeypatch.setattr(handles.os, "listdir", lambda path, used=used: [""] * used)
        assert sources._readers_at_most(threads) == most


@pytest.fixture
def no_more_files(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Opening a tar fails the next times."""

    def set_up(times: int) -> None:
        left = [times]
        real = os.open

        def fail(path: str, *more: int) -> int:
            if str(path).endswith(".tar") and left[0] > 0:
                left[0] -= 1
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
            return real(path, *more)

        monkeypatch.setattr("trainer.data.tar.os.open", fail)

    return set_up


def test_a_limit_that_is_reached_is_no_broken_sample(many: Path, no_more_files: Callable[[int], None]) -> None:
    dataset = Dataset(DataConfig(train_data=(str(many / "shards/0000*.tar"),), batch_size=4))
    dataset.library._close_idle(0)
    no_more_files(1)  # what is idle is closed, and then there is room
    assert dataset.sample(0, 3, 0, [0.5] * 4, 32)[0].shape == (32, 32, 3)
    dataset.library._close_idle(0)
    no_more_files(99)
    with pytest.raises(UserError, match="too many open files: this process may have") as told:
        dataset.sample(0, 3, 0, [0.5] * 4, 32)
    assert "ulimit -n" in told.value.remedy
    assert not dataset.faults
    dataset.library.close()


def test_a_decoder_that_can_open_nothing_finds_no_broken_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("trainer.data.images.Image.open", fail)
    with pytest.raises(OSError, match="Too many"):
        square(b"GIF89a", 32)
    monkeypatch.setattr("trainer.data.images.Image.open", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        square(b"GIF89a", 32)


def test_out_of_files_is_told_by_number_cause_and_words() -> None:
    inner = OSError(errno.ENFILE, "file table overflow")
    outer = RuntimeError("cannot connect")
    outer.__cause__ = inner
    for error, expected in (
        (OSError(errno.EMFILE, "x"), True),
        (outer, True),
        (ValueError("[Errno 24] Too many open files: 'a'"), True),
        (OSError(errno.ENOENT, "x"), False),
        (ValueError("24"), False),
        (None, False),
    ):
        assert is_out_of_files(error) is expected


def test_all_shards_that_are_mixed_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "left", lambda: 4096)
    assert [sources._readers_at_most(1, mixed) for mixed in (0, 64, 500)] == [256, 256, 1000]
    monkeypatch.setattr(sources, "left", lambda: 600)  # no more than may be open
    assert sources._readers_at_most(1, 500) == 600 - sources.FILES_ASIDE - sources.FILES_EACH
