"""The simulated fetch: the real buckets, visits and pace over a transport without a network, by a clock of its own."""

import itertools

import pytest

from benchmarks.simulated_worker import Job, Share, work
from pipeline.net.config import HttpConfig


@pytest.fixture(scope="module")
def shares() -> list[Share]:
    return [work(Job(urls=1500, giant=150, dead=0.2, workers=2, worker=worker)) for worker in range(2)]


def test_every_address_is_asked_once_and_none_too_early(shares: list[Share]) -> None:
    """Over rounds and buckets, and for the host whose addresses come in slices."""
    assert [(share.early, share.twice, share.lost) for share in shares] == [(0, 0, 0)] * 2
    assert min(share.asked for share in shares) > 300
    for share in shares:
        assert share.asked == share.statuses["not_an_image"] == share.urls - share.statuses["connect_timeout"]


def test_it_takes_little_longer_than_it_must(shares: list[Share]) -> None:
    """Of so few addresses, a round's begin and the last slow answer are a good part."""
    rounds = list(itertools.zip_longest(*(share.rounds for share in shares), fillvalue=0.0))
    least = max(max(share.chain, share.answers / HttpConfig().concurrency) for share in shares)
    assert least >= 150
    assert least <= sum(map(max, rounds)) < least + 13 * len(rounds) + 20
    assert len(rounds) < 12
