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
