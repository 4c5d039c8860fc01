"""Which settings decide a step, and which of them what one unit of its work makes."""

from dataclasses import dataclass, field
from typing import Annotated

from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from pipeline.read.config import ExtractConfig
from pipeline.read.crawls import crawl_folder
from webimagetext.deciding import FREE, LATE, deciding


@dataclass(frozen=True)
class Inner:
    pace: Annotated[int, FREE] = 1
    late: Annotated[int, LATE] = 2
    plain: int = 3


@dataclass(frozen=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    late: Annotated[int, LATE] = 4


def test_what_decides_late_decides_no_unit() -> None:
    assert deciding([Outer()]) == [{"inner": {"late": 2, "plain": 3}, "late": 4}]
    assert deciding({"a": (Outer(),)}, of_a_unit=True) == {"a": [{"inner": {"plain": 3}}]}


def test_another_limit_of_texts_needs_no_other_crawl() -> None:
    run = RunFolder("run")
    folders = [
        crawl_folder(run, RunConfig(extract=ExtractConfig(seeds=("example.org",), **changed)))  # type: ignore[arg-type]
        for changed in ({}, {"max_texts": 9, "max_image_pages": 3}, {"depth": 1})
    ]
    assert folders[0] == folders[1] != folders[2]
    assert deciding(ExtractConfig()) != deciding(ExtractConfig(max_texts=9))
