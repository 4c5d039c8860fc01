"""Which shards a pattern names, how many samples each holds, and opening them wherever they lie.

In: patterns such as ``run/shards/*.tar``, ``s3://bucket/{00000..00127}.tar`` or ``data/*.parquet``. Out: :class:`Shard`
objects; a remote one is copied to this machine when it is first read: into the cache folder under a name that tells its
content, or, without one, into a temporary file that takes up the disk as long as it is open and not longer, however the
process ends.
"""

import contextlib
import fnmatch
import glob
import hashlib
import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pipeline.keeping.folder import SIZES_FILE
from trainer.data.parquet import ParquetReader, rows_of
from trainer.data.tar import BLOCK, TarReader
from trainer.data.vouched import Manifests, prove
from webimagetext.endings import out_of_files
from webimagetext.errors import UserError, is_out_of_files
from webimagetext.files import digest_of, exists, is_folder, is_url, listing, read, version
from webimagetext.files import size as size_of
from webimagetext.handles import left
from webimagetext.local import copy, fetched

__all__ = ["Library", "Shard", "expand"]

SUFFIXES = (".tar", ".parquet", ".pq")
READERS_OPEN = 256
FILES_ASIDE = 24  # for the log, checkpoints, modules and connections
FILES_EACH = 3  # that a thread has open while it opens a shard
_BRACES = re.compile(r"\{([^{}]*)\}")


class Reader(Protocol):
    """Random access to the samples of one shard."""

    def __len__(self) -> int: ...

    def read(self, number: int, with_metadata: bool) -> tuple[bytes, str, dict[str, Any]]: ...

    def numbers(self, field: str) -> npt.NDArray[np.float32]: ...

    def close(self) -> None: ...


def expand(pattern: str) -> Iterator[str]:
    """Writes out braces: ``{00..03}`` counts, keeping the width, and ``{a,b}`` lists."""
    found = _BRACES.search(pattern)
    if not found:
        yield pattern
        return
    first, dots, last = found[1].partition("..")
    if dots and first.isdigit() and last.isdigit():
        choices = [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    else:
        choices = found[1].split(",")
    for choice in choices:
        yield from expand(pattern[: found.start()] + choice + pattern[found.end() :])


@dataclass(frozen=True)
class Shard:
    """One file of samples: its address, the samples it is said to hold, and the word for its content
    (trainer/data/known.py)."""

    url: str
    size: int
    identity: str = ""
    seen: str = ""  # bytes and time of a local file when the word was found

    @property
    def is_parquet(self) -> bool:
        """Whether it is a Parquet file (else a tar)."""
        return self.url.endswith((".parquet", ".pq"))


@dataclass
class _Held:
    """An open shard, and how many read from it now."""

    reader: Reader
    users: int = 1


def _readers_at_most(threads: int, mixed: int = 0) -> int:
    """Shards to keep open: twice as many as are ``mixed`` at a time, since the next ones begin while the last samples
    of those before are read, or what the limit of this process on open files leaves."""
    return max(1, min(max(READERS_OPEN, 2 * mixed), left() - FILES_ASIDE - FILES_EACH * threads))


class Library:
    """Finds, opens and keeps open the shards of a run; safe for ``threads`` threads. ``fault`` is told what is wrong in
    a shard, once.

    The shards that were read last stay open: all of those whose samples are ``mixed`` with each other, as far as the
    process's limit on open files allows; the others are closed, and with that the copy of a remote one leaves the disk.
    """

    def __init__(
        self,
        cache: str = "",
        image_column: str = "image",
        caption_column: str = "caption",
        fault: Callable[[str, str], None] = lambda kind, where: None,
        threads: int = 1,
        mixed: int = 0,
    ) -> None:
        self._columns = (image_column, caption_column)
        self._fault = fault
        if is_url(cache):
            raise UserError(f"--cache {cache}: copies are for this machine", "give a local folder")
        self._cache = cache
        self._most = _readers_at_most(threads, mixed)
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._manifests = Manifests()
        self._sizes: dict[str, dict[str, int]] = {}  # of the samples in shards, by folder and name
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}

    def find(self, patterns: tuple[str, ...]) -> list[Shard]:
        """The shards that the patterns name, by name. Raises UserError for a pattern that names none."""
        urls: list[str] = []
        for pattern in patterns:
            for one in expand(pattern):
                if any(mark in one.rpartition("/")[2] for mark in "*?["):
                    found = [url for url in listing(one) if url.endswith(SUFFIXES)]
                    if not found:
                        raise UserError(
                            f"{one}: no shard matches", "give the pattern in quotes, e.g. 'run/shards/*.tar'"
                        )
                    urls.extend(found)
                    self._miss(one, found)
                elif not exists(one):
                    raise UserError(f"{one}: no such shard", "correct --train-data, or get it again")
                elif is_folder(one):
                    raise UserError(f"{one}: is a folder", f"name the shards in it: '{one.rstrip('/')}/*.tar'")
                else:
                    urls.append(one)
        if not urls:
            raise UserError("there are no shards to read", "say which, e.g. --train-data 'run/shards/*.tar'")
        return [self._with_size(Shard(url, 0)) for url in dict.fromkeys(urls)]

    def _miss(self, pattern: str, found: list[str]) -> None:
        """Tells, once for a pattern, of shards that the small files beside the others name and that are not there."""
        folder, _, wanted = pattern.rpartition("/")
        here = {url.rpartition("/")[2] for url in found}
        if any(mark in folder for mark in "*?["):
            return
        named = {*self._manifests.of(folder), *self._sizes_in(folder)}
        lost = sorted(name for name in named - here if fnmatch.fnmatchcase(name, wanted) and name.endswith(SUFFIXES))
        if lost:
            self._fault("shards that are missing", f"{folder}/{lost[0]}, {len(lost):,} of {len(lost) + len(here):,}")

    def _sizes_in(self, folder: str) -> dict[str, int]:
        """The samples of each shard by its file name, as the folder's list says; empty where it has none."""
        if folder not in self._sizes:
            url = f"{folder}/{SIZES_FILE}" if folder else SIZES_FILE
            content, about = read(url), self._manifests.about(url)
            try:
                if content is not None and about is not None and (len(content), digest_of(content)) != about:
                    raise ValueError
                listed = {} if content is None else json.loads(content)
                self._sizes[folder] = {str(name): int(count) for name, count in listed.items()}
            except (ValueError, AttributeError, TypeError):
                raise UserError(f"{url}: not a list of shard sizes", "delete it: the shards are then counted") from None
        return self._sizes[folder]

    def _with_size(self, shard: Shard) -> Shard:
        folder, _, name = shard.url.rpartition("/")
        size = None
        if not shard.is_parquet:
            size = self._sizes_in(folder).get(name)
            if size is not None and not 0 <= size <= _most_samples(shard.url):
                self._fault("shard whose listed size cannot be, counted anew", f"{shard.url}: {size:,}")
                size = None
        elif is_url(shard.url):
            size = rows_of(shard.url)  # the file's end alone, not a copy of all
        if size is not None:
            return replace(shard, size=size)
        with self.lent(shard) as reader:
            return replace(shard, size=len(reader))

    @contextlib.contextmanager
    def lent(self, shard: Shard) -> Iterator[Reader]:
        """The shard's reader, open while the block runs. Raises UserError when the shard cannot be read, or
        nothing more can be opened."""
        held = self._take(shard)
        try:
            yield held.reader
        finally:
            with self._lock:
                held.users -= 1
                self._close_idle(self._most)

    def _take(self, shard: Shard) -> _Held:
        with self._lock:
            gate = self._opening.setdefault(shard.url, threading.Lock())
        with gate:  # one thread opens a shard, the others that want it wait for that
            with self._lock:
                if shard.url in self._held:
                    self._held.move_to_end(shard.url)
                    self._held[shard.url].users += 1
                    return self._held[shard.url]
                self._close_idle(self._most - 1)
            held = _Held(self._opened(shard))
            with self._lock:
                self._held[shard.url] = held
            return held

    def _close_idle(self, most: int) -> None:
        """Closes shards that nobody reads from until no more than ``most`` are open, the longest unused first."""
        idle = [url for url, held in self._held.items() if not held.users] if len(self._held) > most else []
        for url in idle[: max(0, len(self._held) - most)]:
            self._held.pop(url).reader.close()

    def _opened(self, shard: Shard) -> Reader:
        for last in (False, True):
            try:
                with self._local(shard.url) as path:
                    if (about := self._manifests.about(shard.url)) is not None:
                        prove(path, shard.url, about)
                    return ParquetReader(path, *self._columns) if shard.is_parquet else self._open_tar(path, shard)
            except (UserError, OSError) as error:
                if not is_out_of_files(error):
                    raise
                if last:
                    raise out_of_files() from None
                with self._lock:  # others in this process have opened many: those of ours that are idle go
                    self._most = max(1, len(self._held) // 2)
                    self._close_idle(0)
        raise AssertionError

    def _open_tar(self, path: str, shard: Shard) -> TarReader:
        try:
            reader = TarReader(path)
        except OSError as error:
            if is_out_of_files(error):
                raise
            raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
        if shard.url not in self._told:
            self._told.add(shard.url)
            if reader.index.cut:
                self._fault("shard that ends early", f"{shard.url}, after {len(reader)} samples")
            if reader.index.incomplete:
                self._fault("samples without picture or text", f"{shard.url}: {reader.index.incomplete}")
            if shard.size not in (0, len(reader)):
                self._fault(
                    "shard with another number of samples than listed", f"{shard.url}: {len(reader)}, not {shard.size}"
                )
        return reader

    def close(self) -> None:
        """Closes every file; one that is read from, when that is done."""
        with self._lock:
            self._most = 0
            self._close_idle(0)

    @contextlib.contextmanager
    def _local(self, url: str) -> Iterator[str]:
        """A path to the shard on this machine, to be opened in the block: a temporary copy has lost its name
        afterwards."""
        if not self._cache or not is_url(url):
            with fetched(url) as path:
                yield path
            return
        folder, name = url.rpartition("/")[::2]
        head = f"{hashlib.sha256(folder.encode()).hexdigest()[:16]}-"
        path = os.path.join(self._cache, f"{head}{version(url)}-{name}")
        if not os.path.exists(path):
            for stale in glob.glob(os.path.join(glob.escape(self._cache), f"{head}*-{glob.escape(name)}")):
                os.unlink(stale)  # what lay under this address before
            copy(url, path)
        yield path


def _most_samples(url: str) -> int:
    """How many samples a tar can hold at most, by its bytes: each has two headers. A store is not asked for them."""
    return 1 << 40 if is_url(url) else size_of(url) // (2 * BLOCK)
