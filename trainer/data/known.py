"""The shards of a run, known by what they hold: read once, recorded in each checkpoint, and found again wherever they
lie then.

In: the shards that the patterns name now, and those of a record. Out: the recorded ones at their present addresses, in
the order of the record, so that a resumed run takes the samples that it would have taken. A local shard is known by its
digest, one on an object store by the store's mark of its content (webimagetext/contents.py).
"""

import dataclasses
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from trainer.data.sources import Shard
from trainer.data.vouched import OTHER, Manifests, damaged
from webimagetext.contents import identity
from webimagetext.files import is_url
from webimagetext.progress import Progress

__all__ = ["Sources", "found_again", "from_record", "known", "to_record"]

Sources = list[list[Shard]]  # the shards of each source
THREADS = 16


def known(sources: Sources, before: Sources) -> Sources:
    """The shards with the words for their contents. Raises UserError for a missing one, and for one that is not what
    its manifest says.

    A local file that has the address, the bytes and the time of one in ``before`` is not read again.
    """
    past = {(shard.url, shard.seen): shard.identity for shards in before for shard in shards if shard.seen}
    shards = [shard for group in sources for shard in group]
    seen = [_seen(shard.url) for shard in shards]
    words = {
        shard.url: past[shard.url, mark] for shard, mark in zip(shards, seen, strict=True) if (shard.url, mark) in past
    }
    unread = list(dict.fromkeys(shard.url for shard in shards if shard.url not in words))
    if unread:
        with ThreadPoolExecutor(THREADS) as pool, Progress("contents", "shards", len(unread)) as bar:
            for url, word in zip(unread, pool.map(identity, unread), strict=True):
                words[url] = word
                bar.advance()
    manifests = Manifests()
    for url, word in words.items():
        about = None if is_url(url) else manifests.about(url)
        if about is not None and word != about.sha256:
            raise damaged(url, OTHER)
    marks = dict(zip([shard.url for shard in shards], seen, strict=True))
    return [
        [dataclasses.replace(shard, identity=words[shard.url], seen=marks[shard.url]) for shard in group]
        for group in sources
    ]


def _seen(url: str) -> str:
    """The bytes and the time of a local file; empty for a remote one, whose mark is asked for each time."""
    if is_url(url):
        return ""
    about = os.stat(url)
    return f"{about.st_size} {about.st_mtime_ns}"


def found_again(now: Sources, before: Sources) -> tuple[Sources, list[Shard], int]:
    """The shards of ``before`` at the addresses of equal ones in ``now``; those that are not there; and how many others
    are.

    Both have the same number of sources. The number of samples is that of ``before``, since it decides the order.
    """
    again: Sources = []
    lost: list[Shard] = []
    for here, there in zip(now, before, strict=True):
        places: dict[str, list[str]] = defaultdict(list)
        for shard in here:
            places[shard.identity].append(shard.url)
        again.append([])
        for shard in there:
            if places[shard.identity]:
                again[-1].append(dataclasses.replace(shard, url=places[shard.identity].pop(0)))
            else:
                lost.append(shard)
    return again, lost, sum(map(len, now)) - sum(map(len, again))


def to_record(sources: Sources) -> list[list[dict[str, Any]]]:
    """Plain values for a checkpoint."""
    return [[dataclasses.asdict(shard) for shard in group] for group in sources]


def from_record(values: Sequence[Sequence[dict[str, Any]]]) -> Sources:
    """What :func:`to_record` made plain."""
    return [[Shard(**shard) for shard in group] for group in values]
