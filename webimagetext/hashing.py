"""Scattered bits: the mixing that hashes, draws and orders of every program rest on."""

import numpy as np
import numpy.typing as npt

__all__ = ["mix"]

UInt64 = npt.NDArray[np.uint64]


def mix(values: UInt64) -> UInt64:
    """The output function of splitmix64 (Steele, Lea and Flood 2014): a bijection of 64-bit words that scatters its
    input."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
