"""The cores that a process has to itself are those its environment names, else all."""

import os

import pytest

from webimagetext.cores import own_cores


@pytest.mark.parametrize(("stated", "cores"), [("3", 3), ("1", 1), ("0", 5), ("", 5), ("4,2", 5), (None, 5)])
def test_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch, stated: str | None, cores: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if stated is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", stated)
    assert own_cores() == cores
