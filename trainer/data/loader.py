"""The fast data path: threads that read, decode and crop ahead of the training step.

In: a :class:`DataConfig`, a tokenizer, the step to begin at. Out: batches in the order of the plan: pictures as uint8,
texts as token ids. A sample that cannot be read is counted, named in the log, and another one of its shard is taken in
its place, the same one whoever reads, so that batches keep their size and the order stays a function of the seed.
"""

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.config import DataConfig
from trainer.data.captions import STORED, choose
from trainer.data.images import BadImageError, square
from trainer.data.order import Picks, Plan, SourceOrder, uniform
from trainer.data.sources import Library, Shard
from trainer.tokenizer import Tokenizer
from webimagetext.endings import out_of_files
from webimagetext.errors import UserError, is_out_of_files

__all__ = ["Batch", "Dataset", "Loader"]

CHUNK = 8  # samples a thread takes at a time
ATTEMPTS = 16  # samples tried in place of a broken one
ASK_SECONDS = 0.2  # between two looks at whether to end


@dataclass(frozen=True)
class Batch:
    """What one step trains on: pictures (n, side, side, 3) uint8 and token ids (n, longest text)."""

    step: int
    images: Tensor
    ids: Tensor
    captions: list[str]


class Dataset:
    """The shards of a run, the plan of their order, and what was wrong with them.

    ``settle`` makes of the shards that are found, a list for each source, those that are trained on.
    """

    def __init__(
        self, config: DataConfig, settle: Callable[[list[list[Shard]]], list[list[Shard]]] = lambda found: found
    ) -> None:
        self.config = config
        self.faults: Counter[str] = Counter()
        self.fault_names: list[str] = []
        self._lock = threading.Lock()
        self.threads = config.workers or os.cpu_count() or 1
        columns = config.image_column, config.caption_column
        mixed = config.shuffle_shards * (len(config.train_data) if config.source_weights else 1)
        self.library = Library(config.cache, *columns, self.fault, self.threads, mixed)
        groups = [(p,) for p in config.train_data] if config.source_weights else [config.train_data]
        weights = config.source_weights or (1.0,)
        if len(weights) != len(groups):
            raise UserError(
                f"--source-weights has {len(weights)} numbers for {len(groups)} patterns", "give one for each pattern"
            )
        if not sum(weights):
            raise UserError("--source-weights: not all shares may be zero")
        self.sources = settle([self.library.find(group) for group in groups])
        self.size = sum(shard.size for shards in self.sources for shard in shards)
        if config.batch_size < 1 or self.size < config.batch_size:
            raise UserError(
                f"--batch-size {config.batch_size}: the shards hold {self.size} pairs",
                "choose a batch no larger than the data",
            )
        alone = len(groups) == 1
        orders = [
            SourceOrder(
                [shard.size for shard in shards],
                config.seed + 7919 * index,
                config.shuffle_shards,
                config.batch_size if alone else 1,
                [self._probabilities(shard) for shard in shards] if config.sample_by else None,
            )
            for index, shards in enumerate(self.sources)
        ]
        for order, group in zip(orders, groups, strict=True):
            if order.epoch_length(0) == 0:
                raise UserError(f"{', '.join(group)}: an epoch holds fewer pairs than one batch of {config.batch_size}")
        self.plan = Plan(orders, weights, config.batch_size)
        self.steps_per_epoch = (
            orders[0].epoch_length(0) if alone else sum(order.epoch_length(0) for order in orders)
        ) // config.batch_size

    def _probabilities(self, shard: Shard) -> npt.NDArray[np.float32]:
        with self.library.lent(shard) as reader:
            values = reader.numbers(self.config.sample_by)
        if len(values) and np.isnan(values).all():
            raise UserError(
                f"{shard.url}: no sample states '{self.config.sample_by}'", "choose another field for --sample-by"
            )
        filled = np.ones(shard.size, dtype=np.float32)
        filled[: len(values)] = np.nan_to_num(values, nan=1.0)[: len(filled)]
        return filled

    def fault(self, kind: str, where: str) -> None:
        """Counts a sample that could not be used, and keeps the first names for the log."""
        with self._lock:
            self.faults[kind] += 1
            if len(self.fault_names) < 100:
                self.fault_names.append(f"{kind}: {where}")

    def captions(self, limit: int) -> Iterator[str]:
        """Up to ``limit`` captions, evenly from all shards, for training a tokenizer."""
        shards = [shard for source in self.sources for shard in source]
        each = -(-limit // len(shards))
        for shard in shards:
            with self.library.lent(shard) as reader:
                for number in range(0, len(reader), max(1, len(reader) // each)):
                    try:
                        _, text, metadata = reader.read(number, True)
                    except (ValueError, OSError):
                        continue
                    rule = "text" if self.config.captions in STORED else "join"
                    yield choose(rule, self.config.caption_fields, text, metadata, 0.0)

    def draws(self, picks: Picks) -> npt.NDArray[np.float64]:
        """For each pick four numbers in [0, 1), fixed by sample, epoch and seed: across, down, caption, substitute."""
        place = picks.sample + (picks.shard << 32) + (picks.source << 56)
        return np.stack([uniform(place, self.config.seed, 11 + k, picks.epoch) for k in range(4)], axis=1)

    def sample(
        self, source: int, shard: int, number: int, draws: list[float], side: int
    ) -> tuple[npt.NDArray[np.uint8], str]:
        """The square of pixels and the caption of one sample, or of a substitute. Raises UserError when there is
        none."""
        config = self.config
        shards = self.sources[source]
        across, down, draw, spread = draws
        if config.crop != "random":
            across = down = 0.5
        for attempt in range(ATTEMPTS):
            entry = shards[shard]
            try:
                with self.library.lent(entry) as reader:
                    if number >= len(reader):
                        raise BadImageError("the shard holds fewer samples than its list of sizes says")
                    data, text, metadata = reader.read(number, config.captions != "text")
                caption = choose(config.captions, config.caption_fields, text, metadata, draw)
                if not caption.strip():
                    raise BadImageError("no caption")
                return square(data, side, across, down, "squash" if config.crop == "squash" else "crop"), caption
            except (BadImageError, UserError, ValueError, OSError) as error:
                if is_out_of_files(error):
                    raise out_of_files() from None
                self.fault("unreadable sample", f"{entry.url} sample {number}: {error}")
            spread = (spread * 31 + 0.618) % 1.0
            if attempt >= ATTEMPTS // 2:  # the whole shard may be gone
                shard = (shard + 1) % len(shards)
            number = int(spread * max(1, shards[shard].size))
        raise UserError(f"{shards[shard].url}: {ATTEMPTS} samples in a row could not be read", "check the shards")


class Loader:
    """Iterates over batches from ``start`` up to ``stop``; ``rank`` of ``world`` processes reads its share of each.

    ``side`` gives the pictures' side in pixels for a step. The batches end early when it is ``over``, which is asked
    while one is waited for.
    """

    def __init__(
        self,
        dataset: Dataset,
        tokenizer: Tokenizer,
        side: Callable[[int], int],
        *,
        start: int = 0,
        stop: int,
        rank: int = 0,
        world: int = 1,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        self.dataset, self.tokenizer, self.side = dataset, tokenizer, side
        self.start, self.stop, self.rank, self.world = start, stop, rank, world
        self.reading, self._over = "", over
        self._readers = ThreadPoolExecutor(dataset.threads, thread_name_prefix="reader")
        self._assembler = ThreadPoolExecutor(1, thread_name_prefix="assembler")

    def __iter__(self) -> Iterator[Batch]:
        waiting: deque[Future[Batch]] = deque()
        ahead = max(1, self.dataset.config.prefetch)
        step = self.start
        try:
            while step < self.stop or waiting:
                while step < self.stop and len(waiting) < ahead:
                    waiting.append(self._begin(step))
                    step += 1
                while not wait([waiting[0]], ASK_SECONDS).done:
                    if self._over():
                        return
                yield waiting.popleft().result()
        finally:
            self.close()

    def close(self) -> None:
        """Stops the threads; batches in the making are dropped."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._assembler.shutdown(wait=False, cancel_futures=True)

    def _begin(self, step: int) -> Future[Batch]:
        picks = self.dataset.plan.batch(step).part(slice(self.rank, None, self.world))
        side = self.side(step)
        images = torch.empty(len(picks), side, side, 3, dtype=torch.uint8)
        parts = [
            self._readers.submit(self._fill, images.numpy(), picks, slice(first, first + CHUNK), side)
            for first in range(0, len(picks), CHUNK)
        ]
        return self._assembler.submit(self._assemble, step, images, parts)

    def _fill(self, images: npt.NDArray[np.uint8], picks: Picks, chunk: slice, side: int) -> list[str]:
        captions = []
        draws = self.dataset.draws(picks.part(chunk)).tolist()
        for row, four in zip(range(*chunk.indices(len(picks))), draws, strict=True):
            source, shard = int(picks.source[row]), int(picks.shard[row])
            self.reading = self.dataset.sources[source][shard].url
            pixels, caption = self.dataset.sample(source, shard, int(picks.sample[row]), four, side)
            images[row] = pixels
            captions.append(caption)
        return captions

    def _assemble(self, step: int, images: Tensor, parts: list[Future[list[str]]]) -> Batch:
        captions = [caption for part in parts for caption in part.result()]
        return Batch(step, images, torch.from_numpy(self.tokenizer.encode(captions)), captions)
