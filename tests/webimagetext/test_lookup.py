"""The look-up among sorted numbers against a dictionary."""

import numpy as np
import pytest

from webimagetext.lookup import places_among


@pytest.mark.parametrize("keys", [[], [5], [0, 5, 5, 9], [1, 2**63, 2**64 - 1]])
def test_each_number_is_found_at_its_first_place(keys: list[int]) -> None:
    wanted = [0, 1, 4, 5, 6, 9, 10, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]
    found = places_among(np.array(keys, np.uint64), np.array(wanted, np.uint64))
    assert found.tolist() == [keys.index(number) if number in keys else -1 for number in wanted]
    assert found.dtype == np.int64


def test_nothing_wanted_is_nothing_found() -> None:
    assert places_among(np.array([1, 2]), np.array([], np.int64)).tolist() == []
