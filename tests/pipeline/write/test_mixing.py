"""How well shards are mixed: hosts and queries of a run that comes host by host are spread as evenly as chance
allows."""

import numpy as np
import numpy.typing as npt

from pipeline.write.placing import order, place
from webimagetext.hashing import mix

PAIRS, SHARDS = 60_000, 20


def too_uneven(labels: npt.NDArray[np.int64], shards: npt.NDArray[np.int64]) -> float:
    """Pearson's chi-square of labels against shards over its degrees of freedom: 1 for a division by chance."""
    table = np.zeros((labels.max() + 1, SHARDS))
    np.add.at(table, (labels, shards), 1)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(((table - expected) ** 2 / expected).sum() / ((table.shape[0] - 1) * (SHARDS - 1)))


def pairs_of_a_crawl() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pair ids with their hosts and queries, as a crawl finds them: one host after the other, each with queries of its
    own."""
    generator = np.random.default_rng(0)
    hosts = np.sort((generator.pareto(0.8, PAIRS) * 10).astype(np.int64) % 200)
    queries = (hosts * 3 + generator.integers(0, 5, PAIRS)) % 300
    return mix(np.arange(PAIRS, dtype=np.uint64)), hosts, queries


def test_hosts_and_queries_are_spread_over_shards_as_by_chance() -> None:
    pairs, hosts, queries = pairs_of_a_crawl()
    shards = place(pairs, 3, SHARDS)
    for labels in (hosts, queries):
        assert 0.9 < too_uneven(labels, shards) < 1.1
        in_order = np.arange(PAIRS) * SHARDS // PAIRS  # shards filled as the crawl goes along
        assert too_uneven(labels, in_order) > 50


def test_within_a_shard_neighbours_come_from_as_many_hosts_as_by_chance() -> None:
    pairs, hosts, queries = pairs_of_a_crawl()
    inside = place(pairs, 3, SHARDS) == 7
    placed = order(pairs[inside], 3)
    for labels in (hosts[inside], queries[inside]):
        shares = np.bincount(labels) / len(labels)
        by_chance = float((shares**2).sum())  # that two pairs drawn at random agree
        agree = float((labels[placed][1:] == labels[placed][:-1]).mean())
        assert abs(agree - by_chance) < 4 * (by_chance / len(labels)) ** 0.5
        assert (labels[1:] == labels[:-1]).mean() > 2 * by_chance
