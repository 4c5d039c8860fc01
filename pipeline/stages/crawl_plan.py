"""Which links of a crawl's round are asked for in the next one: what no round has asked for yet, within the budgets.

In: the links (FRONTIER) of one bucket of hosts, and the frontiers of the rounds so far. Out: its next frontier.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.config import RunConfig
from pipeline.hashing import hash_strings
from pipeline.hosts import host_of
from pipeline.keeping.folder import part_name
from pipeline.keeping.manifest import iter_batches
from pipeline.read.crawls import round_folder
from pipeline.read.frontier import admit
from webimagetext import files

__all__ = ["Known", "Plan", "buckets_of"]

LEAST_BUCKETS, MOST_BUCKETS = 64, 10_000
PAGES_A_BUCKET = 5_000


def buckets_of(config: RunConfig) -> int:
    """The buckets of a crawl's hosts: as many as its pages ask for."""
    return min(max(LEAST_BUCKETS, -(-config.extract.max_pages // PAGES_A_BUCKET)), MOST_BUCKETS)


@dataclass
class Known:
    """What a crawl has asked for of a bucket: hashes of the addresses, and how many of each host, in ``rounds``."""

    rounds: int = 0
    urls: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    hosts: Counter[str] = field(default_factory=Counter)

    def read(self, folder: str, name: str, rounds: int) -> None:
        """Adds the frontiers, which are files of that name, up to that many rounds."""
        for number in range(self.rounds, rounds):
            frontier = round_folder(folder, number, "frontier")
            if files.exists(files.join(frontier, name)):
                for batch in iter_batches(frontier, ["url"], [name]):
                    self.urls = np.union1d(self.urls, hash_strings(batch.column("url")))
                    self.hosts.update(map(host_of, batch.column("url").to_pylist()))
        self.rounds = rounds


class Plan:
    """Admits the links of a round that no earlier round has asked for. ``known``: what is known already of some
    buckets, kept from round to round in one process."""

    def __init__(self, folder: str, config: RunConfig, number: int, asked: int, known: dict[int, Known]) -> None:
        self.folder, self.config, self.number, self.asked = folder, config, number, asked
        self.buckets = buckets_of(config)
        self._known = known

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_known": {}}  # other processes read it for themselves

    def admitted(self, group: tuple[int, pa.Table]) -> Iterator[tuple[int, pa.Table]]:
        """A bucket's links (FRONTIER) -> those to ask for next, if any."""
        part, links = group
        known = self._known.setdefault(part, Known())
        known.read(self.folder, part_name(part), self.number + 1)
        new = links.filter(pa.array(~np.isin(hash_strings(links.column("url")), known.urls)))
        admitted = admit(new, (), self.config.extract, asked=self.asked, asked_by_host=dict(known.hosts))
        if admitted.num_rows:
            yield part, admitted
