"""A worker's UserError is told as one, without a traceback, from this process and from worker processes."""

import errno
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import apache_beam as beam
import pytest

from pipeline.engines.engine import Engine
from pipeline.keeping.folder import RunFolder
from webimagetext.endings import Terminated, heard
from webimagetext.errors import UserError
from webimagetext.stores import StoreFailedError


def refuse(number: int) -> int:
    raise UserError(f"s3://bucket/{number // 9}: access is denied", "use other credentials")


def fail(number: int) -> int:
    raise ZeroDivisionError("a defect of ours")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_mistake_that_a_worker_notices(
    workers: int, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(RunFolder(str(tmp_path)), workers=workers)
    with pytest.raises(UserError) as caught:
        engine.run("refuse", lambda root: root | beam.Create([1, 2]) | "Refuse" >> beam.Map(refuse))
    assert (caught.value.problem, caught.value.remedy) == ("s3://bucket/0: access is denied", "use other credentials")
    assert "Traceback" not in caplog.text + capfd.readouterr().err


def lose(number: int) -> int:
    raise StoreFailedError("s3://bucket/0: the store failed: 503", "run the same command again")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_store_that_fails_is_told_in_a_line(workers: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(RunFolder(str(tmp_path)), workers=workers)
    with pytest.raises(UserError) as caught:
        engine.run("lose", lambda root: root | beam.Create([1, 2]) | "Lose" >> beam.Map(lose))
    told = (caught.value.problem, caught.value.remedy)
    assert told == ("s3://bucket/0: the store failed: 503", "run the same command again")
    assert "Traceback" not in caplog.text


def fill(number: int) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/run/part.parquet")


def exhaust(number: int) -> int:
    raise MemoryError


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("work", "said"),
    [(fill, "no space left while writing /data/run/part.parquet"), (exhaust, "out of memory on this machine")],
)
def test_what_the_machine_lacks_is_told_in_a_line(
    workers: int,
    work: Callable[[int], int],
    said: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    engine = Engine(RunFolder(str(tmp_path)), workers=workers)
    with pytest.raises(UserError) as caught:
        engine.run("lack", lambda root: root | beam.Create([1, 2]) | "Lack" >> beam.Map(work))
    assert caught.value.problem == said and caught.value.remedy
    assert "Traceback" not in caplog.text + capfd.readouterr().err


@pytest.mark.parametrize("workers", [1, 2])
def test_a_defect_keeps_its_traceback_and_names_its_step(
    workers: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(RunFolder(str(tmp_path)), workers=workers)
    with pytest.raises((ZeroDivisionError, RuntimeError)) as caught:
        engine.run("fail", lambda root: root | beam.Create([1]) | "Fail" >> beam.Map(fail) | beam.Map(str))
    told = caplog.text + "".join(traceback.format_exception(caught.value))
    assert "in fail\n" in told and "Fail" in told and "in the step Map(str)" not in told


def interrupt(number: int) -> int:
    signal.raise_signal(signal.SIGTERM if number else signal.SIGINT)
    return number


@pytest.fixture
def attended() -> Iterator[None]:
    """Ctrl-C as at a terminal: in the background, where a shell begins tests, Python leaves it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "kind"), [(0, KeyboardInterrupt), (1, Terminated)])
def test_an_interrupt_within_our_functions_stays_one(
    number: int, kind: type[BaseException], tmp_path: Path, caplog: pytest.LogCaptureFixture, attended: None
) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, heard():
        Engine(RunFolder(str(tmp_path))).run("wait", lambda root: root | beam.Create([number]) | beam.Map(interrupt))
    assert type(caught.value) is kind and "Traceback" not in caplog.text
