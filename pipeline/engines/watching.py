"""Progress across processes: workers leave small notes in the run folder, the driver adds them up and shows one line.

Works the same in one process, in local worker processes and on a cluster with a shared file system. A run folder that
is an object store gets no notes: there the engine's own console shows the progress.
"""

import contextlib
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator

from pipeline.keeping.folder import RunFolder
from webimagetext.files import is_url
from webimagetext.progress import Progress

__all__ = ["Beacon", "watch"]

NOTE_SECONDS = 0.5


def _folder(run: RunFolder, name: str) -> str | None:
    return None if is_url(run.root) else run.path(".progress", name.replace(" ", "-"))


class Beacon:
    """What a worker reports with: ``advance(n)`` adds n units of the stage ``name``. Cheap enough to call for every
    unit."""

    def __init__(self, run: RunFolder, name: str) -> None:
        folder = _folder(run, name)
        self._path = os.path.join(folder, f"{uuid.uuid4().hex}.json") if folder and os.path.isdir(folder) else None
        self._done: float = 0
        self._note = ""
        self._last = 0.0

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Adds to what this worker has done; ``note`` is a word for the end of the line."""
        self._done += amount
        if note is not None:
            self._note = note
        if time.monotonic() - self._last >= NOTE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes the note now."""
        if self._path is None:
            return
        self._last = time.monotonic()
        temporary = f"{self._path}.tmp"
        with contextlib.suppress(OSError):  # the stage is over and its folder gone, or the disk is full
            with open(temporary, "w", encoding="utf-8") as stream:
                json.dump({"done": self._done, "note": self._note}, stream)
            os.replace(temporary, self._path)


class _Notes:
    """The notes of a folder, each parsed when it has changed alone."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._known: dict[str, tuple[int, float, str]] = {}

    def read(self) -> tuple[float, str]:
        """What all workers have done, and the last word of the last of them by name."""
        with os.scandir(self._folder) as found:
            for entry in found:
                if entry.name.endswith(".json"):
                    with contextlib.suppress(OSError, ValueError):
                        self._look_at(entry)
        words = [note for _, (_, _, note) in sorted(self._known.items()) if note]
        return sum(done for _, done, _ in self._known.values()), words[-1] if words else ""

    def _look_at(self, entry: "os.DirEntry[str]") -> None:
        written = entry.stat().st_mtime_ns
        if self._known.get(entry.name, (0,))[0] != written:
            with open(entry.path, encoding="utf-8") as stream:
                content = json.load(stream)
            self._known[entry.name] = written, content["done"], content["note"]


@contextlib.contextmanager
def watch(run: RunFolder, name: str, total: int, unit: str) -> Iterator[None]:
    """Shows the progress of stage ``name`` while the block runs."""
    folder = _folder(run, name)
    if folder is None or not total:
        yield
        return
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    over, notes = threading.Event(), _Notes(folder)

    with Progress(name, unit, total) as progress:

        def show() -> None:
            done, word = notes.read()
            # An engine may do twice what a lost worker had done, or what two steps read.
            progress.set(min(done, total), word)

        def follow() -> None:
            while not over.wait(NOTE_SECONDS):
                show()

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            show()
            shutil.rmtree(folder, ignore_errors=True)
