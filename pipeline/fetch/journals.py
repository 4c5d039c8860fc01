"""Where the journals of unfinished work lie: beside what it becomes, or among this machine's temporary files where that
is on an object store.

In: the folder of the work, and a name for it. Out: the journal, opened; and the names of those that a killed run left.
"""

import os

from pipeline.fetch.spool import Spool
from webimagetext import files, local
from webimagetext.settings import fingerprint

__all__ = ["journal_path", "left_journals", "open_journal"]

JOURNAL = ".spool"


def open_journal(folder: str, name: str, made_with: str, patience: float = 0.0) -> Spool:
    """The journal of a part of ``folder``; records that were ``made_with`` something else are dropped.

    ``patience``: seconds to wait for another process that has it open.
    """
    if files.is_url(folder):
        local.sweep(local.folder())  # of journals, among others, whose run was given up
    return Spool(journal_path(folder, name), made_with, patience)


def journal_path(folder: str, name: str) -> str:
    """The file of a part's journal."""
    if files.is_url(folder):
        return os.path.join(local.folder(), f"{_begin(folder)}{name}{JOURNAL}")
    return files.join(folder, f"{name}{JOURNAL}")


def _begin(folder: str) -> str:
    """How the names of the journals of a remote folder begin."""
    return f"{fingerprint(folder)[:16]}-"


def left_journals(folder: str) -> list[str]:
    """The parts whose journals a killed run left on this machine."""
    place, head = (local.folder(), _begin(folder)) if files.is_url(folder) else (folder, "")
    names = os.listdir(place) if os.path.isdir(place) else []
    found = [name.removeprefix(head) for name in names if name.startswith(head) and name.endswith(JOURNAL)]
    return sorted(name.removesuffix(JOURNAL) for name in found)
