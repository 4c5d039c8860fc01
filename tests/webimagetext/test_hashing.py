"""The mixing against published numbers."""

import numpy as np

from webimagetext.hashing import mix


def test_the_numbers_are_those_of_splitmix64() -> None:
    # What the generator of Vigna's reference code (splitmix64.c) gives first from these states.
    states = np.array([0, 0x9E3779B97F4A7C15, 0x3C6EF372FE94F82A], np.uint64)
    assert [hex(word) for word in mix(states).tolist()] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


def test_different_words_stay_different_up_to_the_top_bit() -> None:
    words = np.concatenate([np.arange(1000, dtype=np.uint64), np.uint64(1) << np.arange(10, 64, dtype=np.uint64)])
    mixed = mix(words)
    assert len(np.unique(mixed)) == len(words)
    bits = np.unpackbits(mixed.view(np.uint8).reshape(-1, 8), axis=1).mean(0)
    assert abs(bits - 0.5).max() < 0.08
