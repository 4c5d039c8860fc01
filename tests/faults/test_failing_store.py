"""An object store that fails now and then, often, or stalls: the same bytes as ever, or after bounded tries one line;
and nothing half done is left there."""

import asyncio
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.__main__ import main
from pipeline.keeping.folder import RunFolder
from tests.pipeline.small_job import Job, digests
from tests.stores.conftest import QUIET, new_bucket
from tests.stores.servers import Store
from webimagetext import files, lock, stores
from webimagetext.errors import UserError

pytestmark = QUIET

LARGE = bytes(range(251)) * (40 << 12)  # 40 MiB: several parts
TOLD = re.compile(
    r"^error: \w+://\S+: the store failed: .+\n  run the same command again: finished work is kept$", re.M
)
ANSWERS = (500, 503, 502, 429)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between attempts, ours and the libraries', a fraction as long."""
    sleep = asyncio.sleep

    async def hurry(seconds: float, *more: Any) -> Any:
        return await sleep(seconds * 0.002, *more)

    monkeypatch.setattr(asyncio, "sleep", hurry)
    monkeypatch.setattr(stores, "_PAUSES", (0.001, 0.002, 0.004))
    monkeypatch.setattr(lock, "SETTLED_SECONDS", 0.01)


class Trouble:
    """Makes a share of the requests fail, the same ones in each run as far as their order is; counts them."""

    def __init__(self, share: float, seed: int, spared: tuple[str, ...] = ()) -> None:
        self.share, self.spared, self.failed, self.asked = share, spared, 0, 0
        self._draw, self._lock = random.Random(seed), threading.Lock()

    def __call__(self, verb: str, name: str) -> int | None:
        with self._lock:
            self.asked += 1
            if verb in self.spared or self._draw.random() >= self.share:
                return None
            self.failed += 1
            return self._draw.choice(ANSWERS)


@pytest.fixture
def troubled(store: Store) -> Iterator[Callable[..., None]]:
    """Gives the store its trouble, until the test is over."""

    def set_up(before: Callable[[str, str], int | None], after: Callable[[str, str], int | None] | None = None) -> None:
        store.before, store.after = before, after or (lambda verb, name: None)

    yield set_up
    store.before = store.after = lambda verb, name: None


def uploads(store: Store, bucket: str) -> list[object]:
    """The uploads that were begun in a bucket and neither ended nor taken back."""
    if store.scheme != "s3":
        return []
    import s3fs

    return list(s3fs.S3FileSystem().list_multipart_uploads(bucket.partition("://")[2]))


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.05, 0.4])
def test_a_run_on_a_store_that_fails(
    store: Store,
    job: Job,
    first: RunFolder,
    hurried: None,
    troubled: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    share: float,
) -> None:
    bucket = new_bucket(store)
    run = RunFolder(f"{bucket}/run")
    trouble = Trouble(share, 7)
    troubled(trouble, Trouble(share / 2, 8) if store.scheme == "s3" else None)
    for left in reversed(range(12)):
        status = main(["run", str(job.config), "--output", run.root, "--workers", "1"])
        said = "".join(capsys.readouterr())
        if status == 0:
            break
        assert left, said
        assert status == 2 and TOLD.search(said) and "Traceback" not in said, said
    assert trouble.failed > share / 2 * trouble.asked > 5
    troubled(lambda verb, name: None)
    assert digests(run) == digests(first)
    assert not files.exists(f"{run.root}/{lock.NAME}") or share > 0.1
    assert uploads(store, bucket) == []


@pytest.mark.parametrize("share", [0.05, pytest.param(0.4, marks=pytest.mark.slow)])
def test_a_large_file_is_whole_or_not_there(
    store: Store, bucket: str, hurried: None, troubled: Callable[..., None], share: float
) -> None:
    """What was begun is taken back. An upload whose beginning the store did and did not say is beyond anybody's
    knowledge, so that is spared here."""
    url, done = f"{bucket}/large", 0
    for turn in range(4):
        troubled(Trouble(share, turn), Trouble(share / 4, 100 + turn, ("begin upload",)))
        try:
            with files.write_atomic(url) as stream:
                for start in range(0, len(LARGE), 1 << 20):
                    stream.write(LARGE[start : start + (1 << 20)])
            done += 1
        except UserError as error:
            assert error.problem.startswith(f"{url}: the store failed")
        troubled(lambda verb, name: None)
        content = files.read(url)
        assert content == LARGE if done else content in (None, LARGE)
        assert uploads(store, bucket) == []
    assert done or share > 0.1


def test_a_store_that_always_fails_is_told_in_one_line(
    store: Store, job: Job, hurried: None, troubled: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = new_bucket(store)
    asked: list[str] = []
    troubled(lambda verb, name: asked.append(verb) or 503)
    for output in (f"{bucket}/run", f"{bucket}/other"):
        assert main(["run", str(job.config), "--output", output, "--workers", "1"]) == 2
        said = "".join(capsys.readouterr())
        assert TOLD.search(said) and said.count("error:") == 1 and "Traceback" not in said
    assert len(asked) < 200


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """File systems that wait a second for an answer."""
    short: dict[str, dict[str, Any]] = {
        "s3": {"use_listings_cache": False, "config_kwargs": {"read_timeout": 0.3, "connect_timeout": 1}},
        "gs": {"use_listings_cache": False, "requests_timeout": 1},
    }
    for scheme, options in short.items():
        monkeypatch.setitem(stores._OPTIONS, scheme, options)
    monkeypatch.setattr(stores, "_ENOUGH_SECONDS", 3.0)


def test_a_store_that_stalls_is_asked_again(
    store: Store, bucket: str, hurried: None, impatient: None, troubled: Callable[..., None]
) -> None:
    stalled: list[str] = []

    def stall(verb: str, name: str) -> int | None:
        if name.endswith("stalls") and stalled.count(verb) < 1:
            stalled.append(verb)
            time.sleep(2.5)
            return 503
        return None

    troubled(stall)
    url = f"{bucket}/stalls"
    with files.write_atomic(url) as stream:
        stream.write(b"content")
    assert files.read(url) == b"content" and files.size(url) == 7
    files.remove_file(url)
    assert files.read(url) is None
    assert len(stalled) >= 3


@pytest.mark.slow
def test_a_store_that_stalls_for_ever_is_told_in_one_line(
    store: Store, bucket: str, hurried: None, impatient: None, troubled: Callable[..., None]
) -> None:
    over = threading.Event()

    def stall(verb: str, name: str) -> int:
        over.wait(30)
        return 503

    troubled(stall)
    try:
        with pytest.raises(UserError, match="the store failed") as told:
            files.read(f"{bucket}/silent")
    finally:
        over.set()
    assert told.value.problem.startswith(f"{bucket}/silent: ") and "run the same command again" in told.value.remedy


def test_requests_have_an_end_by_themselves() -> None:
    """gcsfs itself would wait for ever."""
    for scheme in ("gs", "gcs"):
        assert 0 < stores._OPTIONS[scheme]["requests_timeout"] <= 600
