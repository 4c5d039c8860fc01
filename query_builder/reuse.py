"""Counts that a kept work folder has of the same shards, from the builds of other lists: they are not made again.

In: the folder of a build's counts, and for each result in it what decides it (the file as a glance tells it, the range
of bytes, the rules). Out: the results that other folders of counts beside it have of equal parts, linked into this one.
So a list made again from a newer dump counts only the files that changed. Each folder notes in ``plan.json`` what its
results are made of; a result is looked at for damage when it is used (query_builder/kept.py).
"""

import json
import os
import shutil
from collections.abc import Mapping

from query_builder.kept import read_note, write_note
from webimagetext.temporary import temporary_name

__all__ = ["adopt"]

PLAN = "plan.json"


def adopt(folder: str, decided_by: Mapping[str, str]) -> int:
    """Links into ``folder`` what others beside it have, and notes its own plan; returns how many results came.

    ``decided_by`` has, for each result (the path of a file or folder within ``folder``), the fingerprint of what
    decides it.
    """
    write_note(os.path.join(folder, PLAN), json.dumps(decided_by, sort_keys=True).encode())
    parent, own = os.path.split(folder)
    known: dict[str, str] = {}
    for name in sorted(os.listdir(parent)):
        plan = read_note(os.path.join(parent, name, PLAN)) if name != own else None
        if plan is not None:
            known |= {made_of: os.path.join(parent, name, result) for result, made_of in json.loads(plan).items()}
    came = 0
    for result, made_of in decided_by.items():
        there, here = known.get(made_of, ""), os.path.join(folder, result)
        if os.path.exists(there) and not os.path.exists(here):
            _link(there, here)
            came += 1
    return came


def _link(there: str, here: str) -> None:
    """Gives a file or folder a second place, where it appears whole."""
    temporary = temporary_name(here)
    try:
        if os.path.isdir(there):
            shutil.copytree(there, temporary, copy_function=_second_name)
        else:
            _second_name(there, temporary)
        os.rename(temporary, here)
    except BaseException:
        if os.path.isdir(temporary):
            shutil.rmtree(temporary, ignore_errors=True)
        elif os.path.exists(temporary):
            os.unlink(temporary)
        raise


def _second_name(there: str, here: str) -> None:
    """Links a file, or copies it where the disk has no links."""
    try:
        os.link(there, here)
    except OSError:
        shutil.copy2(there, here)
