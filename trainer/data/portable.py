"""The portable data path: the ``webdataset`` library streams the tars, for layouts and stores that only it can read.

In: a :class:`DataConfig` whose patterns are tars. Out: the same :class:`Batch` objects as the fast path. The order
depends on the seed alone, since one thread reads one stream; it is resumed by skipping what was seen, which costs a
pass over those samples' bytes. Broken samples are counted and left out.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipeline.keeping.folder import CAPTION_SUFFIX, IMAGE_SUFFIXES, METADATA_SUFFIX
from trainer.config import DataConfig
from trainer.data.captions import choose
from trainer.data.images import BadImageError, square
from trainer.data.loader import Batch
from trainer.data.order import uniform
from trainer.tokenizer import Tokenizer
from webimagetext.files import open_input

__all__ = ["PortableLoader"]

SHUFFLE_SAMPLES = 2000
Square = tuple[npt.NDArray[np.uint8], str]


class PortableLoader:
    """Iterates over batches from ``start`` up to ``stop``; ``rank`` of ``world`` processes keeps its share of each
    batch."""

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
    ) -> None:
        self.config, self.urls, self.fault, self.tokenizer, self.side = config, urls, faults, tokenizer, side
        self.start, self.stop, self.rank, self.world = start, stop, rank, world
        self.reading = ""
        self._pool = ThreadPoolExecutor(config.workers or None, thread_name_prefix="reader")

    def _stream(self) -> Iterator[dict[str, Any]]:
        """Samples without end, shuffled anew each epoch."""
        import webdataset as wds
        from webdataset.gopen import gopen_schemes

        # That library would start other programs for these, with credentials of their own.
        gopen_schemes.update(dict.fromkeys(("s3", "gs"), lambda url, mode="rb", bufsize=8192: open_input(url)))

        def skip(error: Exception) -> bool:
            self.fault("unreadable shard", str(error)[:200])
            return True

        epoch = 0
        while True:
            order = np.argsort(uniform(np.arange(len(self.urls)), self.config.seed, 21, epoch))
            yield from wds.WebDataset(
                [self.urls[index] for index in order], shardshuffle=False, handler=skip, empty_check=False
            ).shuffle(SHUFFLE_SAMPLES, seed=self.config.seed * 1009 + epoch)
            epoch += 1

    def _square(self, sample: dict[str, Any], side: int, place: int) -> Square | None:
        """The pixels and the caption of a sample, or None."""
        config = self.config
        self.reading = str(sample.get("__url__", ""))
        across, down, draw = (float(uniform(np.array([place]), config.seed, 22 + k)[0]) for k in range(3))
        if config.crop != "random":
            across = down = 0.5
        try:
            data = next((sample[s[1:]] for s in IMAGE_SUFFIXES if s[1:] in sample), None)
            metadata = json.loads(sample.get(METADATA_SUFFIX[1:], b"{}"))
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
        pending: deque[Future[Square | None]] = deque()
        place = 0
        step, images, captions = 0, [], []
        try:
            for sample in self._stream():
                pending.append(self._pool.submit(self._square, sample, self.side(step), place))
                place += 1
                if len(pending) < 2 * size:
                    continue
                found = pending.popleft().result()
                if found is None:
                    continue
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

    def close(self) -> None:
        """Stops the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _batch(self, step: int, images: list[npt.NDArray[np.uint8]], captions: list[str]) -> Batch:
        own = slice(self.rank, None, self.world)
        ids = self.tokenizer.encode(captions[own])
        return Batch(step, torch.from_numpy(np.stack(images[own])), torch.from_numpy(ids), captions[own])
