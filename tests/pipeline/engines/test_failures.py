"""A worker's UserError is told as one, without a traceback, from this process and from worker processes."""

from pathlib import Path

import apache_beam as beam
import pytest

from pipeline.engines.engine import Engine
from pipeline.keeping.folder import RunFolder
from webimagetext.errors import UserError


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


def test_a_defect_keeps_its_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError):
        Engine(RunFolder(str(tmp_path))).run("fail", lambda root: root | beam.Create([1]) | beam.Map(fail))
    assert "Traceback" in caplog.text
