import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from numba.core import caching

from webimagetext.compiled import compiled


def add(first: int, second: int) -> int:
    return first + second


def test_without_a_place_for_the_cache_functions_are_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(cache=True)(add)
    assert compiled(add)(2, 3) == 5


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("STEP = 2", "STEP = 3", "13"),
        ("TABLE = np.array([0, 0])", "TABLE = np.array([7, 0])", "19"),
        ("x + 0", "x + 5", "17"),
    ],
)
def test_a_cache_is_renewed_when_what_is_built_in_changes(
    tmp_path: Path, before: str, after: str, expected: str
) -> None:
    """A function of one file calls one of another, and holds a number and a table of it."""
    inner = "import numpy as np\nfrom webimagetext.compiled import compiled\nSTEP = 2\nTABLE = np.array([0, 0])\n"
    inner += "@compiled\ndef more(x):\n    return x + 0\n"
    outer = "from inner import STEP, TABLE, more\nfrom webimagetext.compiled import compiled\n"
    outer += "@compiled\ndef total(x):\n    return more(x) + STEP + TABLE[0] + TABLE[1]\n"
    (tmp_path / "inner.py").write_text(inner)
    (tmp_path / "outer.py").write_text(outer)

    def found() -> list[str]:
        program = "import outer; print(outer.total(10), sum(outer.total.stats.cache_hits.values()))"
        environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"}
        environment |= {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert [found(), found()] == [["12", "0"], ["12", "1"]]
    (tmp_path / "inner.py").write_text(inner.replace(before, after))
    assert found() == [expected, "0"]
