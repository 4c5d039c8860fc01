"""Looking many numbers up among sorted ones at once."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["places_among"]


def places_among(keys: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The first place of each wanted number among ``keys``, which ascend; -1 where it is not."""
    if not len(keys):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)
