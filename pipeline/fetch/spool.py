"""A journal of results as they arrive, so that a killed worker loses only what was under way.

In: a row of facts and a picture's bytes, once a URL, in any order. Out: the same again by URL, in this process or in a
later one. A record is a checksum, two lengths, the facts as JSON and the bytes, written by one call to the system; a
record that a kill cut short is dropped when the file is next opened. Results lie here rather than in memory until a
part's tar is written in order.
"""

import contextlib
import json
import os
import struct
import sys
import uuid
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from webimagetext.errors import full_disk_names
from webimagetext.foreign import shown, valid_values
from webimagetext.lock import take

__all__ = ["Facts", "Spool"]

Facts = dict[str, Any]
_HEAD = struct.Struct("<IIQ")  # CRC-32 of what follows it, bytes of the facts, bytes of the picture


class Spool:
    """The journal at ``path`` (a local file); a context manager.

    Records made under another ``fingerprint`` (of the settings) are dropped. Where another process has the file open,
    this one waits up to ``patience`` seconds for its end, and then takes a file of its own, so that two can never write
    into one.
    """

    def __init__(self, path: str, fingerprint: str, patience: float = 0.0) -> None:
        self._path = path
        self._places: dict[str, tuple[Facts, int, int]] = {}
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        handle = take(path, patience)
        if handle is None:
            self._path = f"{path}.{uuid.uuid4().hex[:12]}"
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        self._handle = handle
        try:
            self._begin(fingerprint)
        except BaseException:
            os.close(handle)  # or the next try in this process would wait for it
            raise

    def _begin(self, fingerprint: str) -> None:
        """Takes over what is there, and makes ready for more behind it."""
        self._end = self._recover(fingerprint)
        os.ftruncate(self._handle, self._end)
        os.lseek(self._handle, self._end, os.SEEK_SET)
        if self._end == 0:
            self._write({"fingerprint": fingerprint}, b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file, which stays."""
        os.close(self._handle)

    def __contains__(self, url: str) -> bool:
        return url in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def add(self, facts: Facts, data: bytes) -> None:
        """Stores the facts of ``facts["url"]``, all text in them made valid, and its picture (empty where there is
        none)."""
        facts = valid_values(facts)
        start = self._write(facts, data)
        self._places[facts["url"]] = (facts, start, len(data))

    def facts(self, url: str) -> Facts:
        """The facts of a URL that is in the journal."""
        return self._places[url][0]

    def get(self, url: str) -> tuple[Facts, bytes]:
        """The facts and the picture of a URL that is in the journal."""
        facts, start, length = self._places[url]
        return facts, os.pread(self._handle, length, start)

    def drop(self, url: str) -> None:
        """Leaves out a record that cannot be used, as if it had not been written; says so."""
        del self._places[url]
        print(shown(f"{self._path}: an unusable record of {url} is left out"), file=sys.stderr)

    def delete(self) -> None:
        """Removes the file: what it held is safe elsewhere."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def _write(self, facts: Facts, data: bytes) -> int:
        text = json.dumps(facts, separators=(",", ":")).encode()
        head = _HEAD.pack(zlib.crc32(data, zlib.crc32(text)), len(text), len(data))
        record = b"".join((head, text, data))
        view = memoryview(record)
        try:
            with full_disk_names(self._path):
                while view:
                    view = view[os.write(self._handle, view) :]
        except OSError:
            # What was written of it goes, so that the next record begins where this one should have.
            os.ftruncate(self._handle, self._end)
            os.lseek(self._handle, self._end, os.SEEK_SET)
            raise
        start = self._end + len(head) + len(text)
        self._end += len(record)
        return start

    def _recover(self, fingerprint: str) -> int:
        """Reads what an earlier process wrote; returns the end of the last whole record, 0 to start anew."""
        end, first = 0, True
        for facts, start, length in self._records():
            if first and facts != {"fingerprint": fingerprint}:
                return 0
            if not first:
                self._take(facts, start, length)
            end, first = start + length, False
        return end

    def _take(self, facts: Any, start: int, length: int) -> None:
        """A record as an earlier process wrote it, perhaps of a version that kept text as it came."""
        facts = valid_values(facts)
        if isinstance(facts, dict) and isinstance(facts.get("url"), str):
            self._places[facts["url"]] = (facts, start, length)
        else:
            print(f"{self._path}: the record before byte {start} is none and is left out", file=sys.stderr)

    def _records(self) -> Iterator[tuple[Any, int, int]]:
        place = 0
        while len(head := os.pread(self._handle, _HEAD.size, place)) == _HEAD.size:
            checksum, text_length, length = _HEAD.unpack(head)
            body = os.pread(self._handle, text_length + length, place + _HEAD.size)
            if len(body) < text_length + length or zlib.crc32(body) != checksum:
                return
            start = place + _HEAD.size + text_length
            try:
                facts = json.loads(body[:text_length])
            except ValueError:
                facts = None
            yield facts, start, length
            place = start + length
