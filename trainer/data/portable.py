"""The portable data path: the ``webdataset`` library streams the tars, for layouts and stores that only it can read.

In: a :class:`DataConfig` whose patterns are tars. Out: the same :class:`Batch` objects as the fast path. The order
depends on the seed alone, since one thread reads one stream; it is resumed by skipping what was seen, which costs a
pass over those samples' bytes. Broken samples are counted and left out.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipeline.keeping.folder import CAPTION_SUFFIX, IMAGE_SUFFIXES, METADATA_SUFFIX
from trainer.config import DataConfig
from trainer.data.captions import choose
from trainer.data.images import BadImageError, square
from trainer.data.loader import ASK_SECONDS, Batch
from trainer.data.order import uniform
from trainer.data.tar import fields_in
from trainer.tokenizer import Tokenizer
from webimagetext.endings import out_of_files
from webimagetext.errors import UserError, is_out_of_files
from webimagetext.files import open_input

__all__ = ["PortableLoader"]

SHUFFLE_SAMPLES = 2000
BROKEN_IN_A_ROW = 2000  # after which there is little hope
Square = tuple[npt.NDArray[np.uint8], str]
Stored = dict[str, Any]


@dataclass
class _Pending:
    """A sample that is being decoded for pictures of ``side`` pixels."""

    sample: Stored
    place: int
    side: int
    made: Future[Square | None]


class PortableLoader:
    """Iterates over batches from ``start`` up to ``stop``; ``rank`` of ``world`` processes keeps its share of each
    batch. The batches end early when it is ``over``, which is asked while samples are waited for."""

    def __init__(
        self,
        config: DataConfig,
        urls: list[str],
        faults: Callable[[str, str], None],
        tokenizer: Tokenizer,
        side: Callable[[int], int],
        *,
        start: int,
        stop: int,
        rank: int = 0,
        world: int = 1,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        self.config, self.urls, self.fault, self.tokenizer, self.side = config, urls, faults, tokenizer, side
        self.start, self.stop, self.rank, self.world = start, stop, rank, world
        self.reading, self._over = "", over
        self._pool = ThreadPoolExecutor(config.workers or None, thread_name_prefix="reader")
        self._closed = threading.Event()
        self._epoch = 0  # samples of one, once it is known
        self._read: queue.Queue[Stored | BaseException] = queue.Queue(64)

    def _stream(self) -> Iterator[Stored]:
        """Samples without end, shuffled anew each epoch. Raises UserError when an epoch holds none."""
        import webdataset as wds
        from webdataset.gopen import gopen_schemes

        # That library would start other programs for these, with credentials of their own.
        gopen_schemes.update(dict.fromkeys(("s3", "gs"), lambda url, mode="rb", bufsize=8192: open_input(url)))

        def skip(error: Exception) -> bool:
            if is_out_of_files(error):
                return False
            self.fault("unreadable shard", str(error)[:200])
            return True

        epoch, found = 0, 0
        while True:
            before = found
            order = np.argsort(uniform(np.arange(len(self.urls)), self.config.seed, 21, epoch))
            for sample in wds.WebDataset(
                [self.urls[index] for index in order], shardshuffle=False, handler=skip, empty_check=False
            ).shuffle(SHUFFLE_SAMPLES, seed=self.config.seed * 1009 + epoch):
                found += 1
                yield sample
            if found == before:
                raise UserError(f"{self.urls[0]}: no sample could be read from the shards", "check them")
            epoch += 1
            self._epoch = found // epoch

    def _produce(self) -> None:
        """Reads in a thread of its own: a store that does not answer must not keep the loop from ending."""
        try:
            for sample in self._stream():
                if not self._put(sample):
                    return
        except BaseException as error:
            self._put(error)

    def _put(self, item: Stored | BaseException) -> bool:
        """Whether the item was taken; not when the loader is closed meanwhile."""
        while not self._closed.is_set():
            try:
                self._read.put(item, timeout=ASK_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def _samples(self) -> Iterator[Stored]:
        """The stream's samples as they come, until it is over."""
        threading.Thread(target=self._produce, name="stream", daemon=True).start()
        while not self._over():
            try:
                item = self._read.get(timeout=ASK_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, BaseException):
                raise out_of_files() if is_out_of_files(item) else item
            yield item

    def _square(self, sample: dict[str, Any], side: int, place: int) -> Square | None:
        """The pixels and the caption of a sample, or None."""
        config = self.config
        self.reading = str(sample.get("__url__", ""))
        across, down, draw = (float(uniform(np.array([place]), config.seed, 22 + k)[0]) for k in range(3))
        if config.crop != "random":
            across = down = 0.5
        try:
            data = next((sample[s[1:]] for s in IMAGE_SUFFIXES if s[1:] in sample), None)
            metadata = fields_in(sample.get(METADATA_SUFFIX[1:], b"{}"))
            text = sample.get(CAPTION_SUFFIX[1:], b"").decode("utf-8")
            caption = choose(config.captions, config.caption_fields, text, metadata, draw)
            if data is None or not caption.strip():
                raise BadImageError("no picture or no caption")
            return square(data, side, across, down, "squash" if config.crop == "squash" else "crop"), caption
        except (BadImageError, ValueError) as error:
            self.fault("unreadable sample", f"{sample.get('__url__')} {sample.get('__key__')}: {error}")
            return None

    def __iter__(self) -> Iterator[Batch]:
        size = self.config.batch_size
        pending: deque[_Pending] = deque()
        step, broken = 0, 0
        images: list[npt.NDArray[np.uint8]] = []
        captions: list[str] = []
        try:
            for place, sample in enumerate(self._samples()):
                side = self.side(step)
                pending.append(_Pending(sample, place, side, self._pool.submit(self._square, sample, side, place)))
                if len(pending) < 2 * size:
                    continue
                found = self._made(pending.popleft(), self.side(step))
                if found is None:
                    broken += 1
                    self._refuse_all_broken(broken)
                    continue
                broken = 0
                images.append(found[0])
                captions.append(found[1])
                if len(images) == size:
                    if step >= self.start:
                        yield self._batch(step, images, captions)
                    step, images, captions = step + 1, [], []
                    if step >= self.stop:
                        return
        finally:
            self.close()

    def _made(self, item: _Pending, side: int) -> Square | None:
        """The pixels and the caption of a sample; decoded again where the pictures have changed their size since."""
        found = item.made.result()
        return found if found is None or item.side == side else self._square(item.sample, side, item.place)

    def _refuse_all_broken(self, count: int) -> None:
        """Raises UserError when ``count`` broken samples in a row are all there are, or too many."""
        # A good one may be the first of an epoch and the last of the next.
        if count >= min(BROKEN_IN_A_ROW, 2 * self._epoch or BROKEN_IN_A_ROW):
            raise UserError(f"{self.reading}: {count:,} samples in a row could not be read", "check the shards")

    def close(self) -> None:
        """Stops the threads."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _batch(self, step: int, images: list[npt.NDArray[np.uint8]], captions: list[str]) -> Batch:
        own = slice(self.rank, None, self.world)
        ids = self.tokenizer.encode(captions[own])
        return Batch(step, torch.from_numpy(np.stack(images[own])), torch.from_numpy(ids), captions[own])
