"""A list that the driver made as a collection in Beam, small in the graph.

An engine takes graphs up to a size (Dataflow's job may have 10 MB), and what names 100,000 files takes 15 MB as Beam's
own ``Create`` writes it down, one by one. Together and compressed it takes a tenth of that.
"""

import pickle
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam

__all__ = ["Listed"]


def _unpack(packed: bytes) -> Iterator[Any]:
    yield from pickle.loads(zlib.decompress(packed))


class Listed(beam.PTransform):
    """The elements of a sequence, which one worker unpacks."""

    def __init__(self, elements: Iterable[Any]) -> None:
        super().__init__()
        self.elements: Sequence[Any] = list(elements)
        self.parts = len(self.elements)

    def expand(self, root: beam.Pipeline) -> beam.PCollection:
        packed = zlib.compress(pickle.dumps(self.elements))
        return root | "Packed" >> beam.Create([packed], reshuffle=False) | "Unpack" >> beam.FlatMap(_unpack)
