"""The order in which pairs are read: a pure function of the seed, so that any step can be found again without reading.

In: the sizes of the shards of each source, the seed, the batch size. Out: for a step, which samples of which shards
form its batch. Nothing depends on how many threads or processes read, so a run may be resumed in the middle of an epoch
with other numbers of both and see the same batches.

An epoch of a source visits its shards in a random order, ``shuffle_shards`` at a time, with the pairs of those mixed.
With one source the rest of an epoch that doesn't fill a batch is left out, so no batch holds a pair twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from webimagetext.hashing import mix

__all__ = ["Picks", "Plan", "SourceOrder", "uniform"]

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


def salted(values: Ints, *salt: int | Ints) -> Words:
    """64 random bits for each value, given the salt: numbers, or arrays with one for each value."""
    words = values.astype(np.uint64)
    for number in salt:
        words = mix(words ^ mix(np.atleast_1d(np.asarray(number)).astype(np.uint64)))
    return words


def uniform(values: Ints, *salt: int | Ints) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each value, given the salt."""
    return (salted(values, *salt) >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class Picks:
    """The samples of one batch, as parallel arrays: source, shard of it, sample of that, and the source's epoch."""

    source: Ints
    shard: Ints
    sample: Ints
    epoch: Ints

    def __len__(self) -> int:
        return len(self.source)

    def part(self, chosen: slice | Ints) -> "Picks":
        """Some of the samples."""
        return Picks(self.source[chosen], self.shard[chosen], self.sample[chosen], self.epoch[chosen])


class SourceOrder:
    """The endless stream of one source's samples, epoch after epoch.

    ``probabilities`` (one array a shard) thins each epoch: a sample is taken where its draw for the epoch is below its
    probability. ``multiple`` cuts each epoch to a multiple of itself.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        seed: int,
        shuffle_shards: int,
        multiple: int = 1,
        probabilities: Sequence[npt.NDArray[np.float32]] | None = None,
    ) -> None:
        self.sizes = np.asarray(sizes, dtype=np.int64)
        self.seed, self.shuffle_shards, self.multiple = seed, max(1, shuffle_shards), multiple
        self.probabilities = probabilities
        self._first = np.concatenate(
            [[0], np.cumsum(self.sizes)]
        )  # the source-wide number of each shard's first sample
        self._starts = [0]  # stream positions at which the epochs begin
        self._windows: dict[tuple[int, int], tuple[Ints, Ints]] = {}
        self._plans: dict[int, tuple[list[Ints], Ints]] = {}

    def _kept(self, shard: int, epoch: int) -> Ints:
        """The samples of a shard that the epoch takes."""
        numbers = np.arange(self.sizes[shard], dtype=np.int64)
        if self.probabilities is None:
            return numbers
        draws = uniform(numbers + self._first[shard], self.seed, 3, epoch)
        return numbers[draws < self.probabilities[shard]]

    def _plan(self, epoch: int) -> tuple[list[Ints], Ints]:
        """The epoch's windows, as the shards of each, and the position at which each window begins (and the last
        ends)."""
        if epoch not in self._plans:
            order = np.argsort(salted(np.arange(len(self.sizes)), self.seed, 1, epoch), kind="stable")
            windows = [order[i : i + self.shuffle_shards] for i in range(0, len(order), self.shuffle_shards)]
            if self.probabilities is None:
                lengths = [int(self.sizes[window].sum()) for window in windows]
            else:
                lengths = [sum(len(self._kept(int(shard), epoch)) for shard in window) for window in windows]
            if len(self._plans) > 2:
                self._plans.pop(min(self._plans))
            self._plans[epoch] = (windows, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
        return self._plans[epoch]

    def _window(self, epoch: int, index: int) -> tuple[Ints, Ints]:
        """The window's samples in order: their shards and their numbers there."""
        if (epoch, index) not in self._windows:
            shards = self._plan(epoch)[0][index]
            kept = [self._kept(int(shard), epoch) for shard in shards]
            shard = np.repeat(shards, [len(part) for part in kept]).astype(np.int64)
            sample = np.concatenate(kept)
            order = np.argsort(salted(self._first[shard] + sample, self.seed, 2, epoch), kind="stable")
            if len(self._windows) > 2:
                self._windows.pop(min(self._windows))
            self._windows[epoch, index] = (shard[order], sample[order])
        return self._windows[epoch, index]

    def epoch_length(self, epoch: int) -> int:
        """Samples that the stream takes from an epoch."""
        whole = int(self._plan(epoch)[1][-1])
        return whole - whole % self.multiple

    def take(self, start: int, count: int) -> tuple[Ints, Ints, Ints]:
        """``count`` samples of the stream from position ``start``: arrays of shard, sample and epoch."""
        parts: list[tuple[Ints, Ints, Ints]] = []
        while count > 0:
            while self._starts[-1] <= start:
                length = self.epoch_length(len(self._starts) - 1)
                if length == 0:
                    raise ValueError("an epoch of this source is empty")
                self._starts.append(self._starts[-1] + length)
            epoch = int(np.searchsorted(self._starts, start, side="right")) - 1
            within = start - self._starts[epoch]
            bounds = self._plan(epoch)[1]
            window = int(np.searchsorted(bounds, within, side="right")) - 1
            stop = min(within + count, int(bounds[window + 1]), self._starts[epoch + 1] - self._starts[epoch])
            shard, sample = self._window(epoch, window)
            chosen = slice(within - int(bounds[window]), stop - int(bounds[window]))
            parts.append((shard[chosen], sample[chosen], np.full(stop - within, epoch, dtype=np.int64)))
            count -= stop - within
            start += stop - within
        shards, samples, epochs = zip(*parts, strict=True)
        return np.concatenate(shards), np.concatenate(samples), np.concatenate(epochs)


class Plan:
    """The batches of a run over one or several weighted sources."""

    def __init__(self, orders: Sequence[SourceOrder], weights: Sequence[float], batch_size: int) -> None:
        total = sum(weights)
        self.orders, self.batch_size = orders, batch_size
        self.weights = [weight / total for weight in weights]
        self._step = 0
        self._taken = np.zeros(len(orders), dtype=np.int64)  # of each source before step ``_step``

    def _shares(self, taken: Ints) -> Ints:
        """How many each source gives to the next batch: what its weight owes it by then, the largest debts rounded
        up."""
        owed = np.asarray(self.weights) * (taken.sum() + self.batch_size) - taken
        shares: Ints = np.maximum(0, np.floor(owed)).astype(np.int64)
        while shares.sum() < self.batch_size:
            shares[np.argmax(owed - shares)] += 1
        while shares.sum() > self.batch_size:
            shares[np.argmax(shares - owed)] -= 1
        return shares

    def batch(self, step: int) -> Picks:
        """The samples of the batch of ``step`` (from 0)."""
        if len(self.orders) == 1:
            shard, sample, epoch = self.orders[0].take(step * self.batch_size, self.batch_size)
            return Picks(np.zeros(len(shard), dtype=np.int64), shard, sample, epoch)
        if step < self._step:
            self._step, self._taken = 0, np.zeros_like(self._taken)
        while self._step < step:
            self._taken = self._taken + self._shares(self._taken)
            self._step += 1
        parts = []
        for index, count in enumerate(self._shares(self._taken)):
            if count:
                shard, sample, epoch = self.orders[index].take(int(self._taken[index]), int(count))
                parts.append(Picks(np.full(len(shard), index, dtype=np.int64), shard, sample, epoch))
        whole = Picks(*(np.concatenate([getattr(p, name) for p in parts]) for name in Picks.__dataclass_fields__))
        # Spread the sources evenly, so that every process's share of the batch holds its part of each.
        return whole.part(np.argsort(salted(np.arange(len(whole)), step), kind="stable"))
