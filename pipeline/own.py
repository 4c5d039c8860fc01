"""What a user adds by name, ``module:name`` in a setting: rules, readers of lists, models on pictures, steps between
the stages.

In: names. Out: what they stand for, checked. The module's source decides a result like any setting
(webimagetext/deciding.py), so what was made with other code is made anew. A failure in it is told with its place, and
never taken for a failure of ours.
"""

import importlib
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from pipeline.tables.ledger import Rule
from webimagetext.errors import UserError

__all__ = ["failure", "load", "own_rules"]


def load(setting: str, name: str) -> Callable[..., Any]:
    """What ``module:name`` stands for: a function, or a class. Raises UserError, naming ``setting``, when there is
    none."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:
        remedy = "give module:function; the module must be importable where the workers run, for example on PYTHONPATH"
        raise UserError(f"{setting}: {name} cannot be loaded: {error}", remedy) from None
    if not callable(found):
        raise UserError(f"{setting}: {name} is not a function")
    result: Callable[..., Any] = found
    return result


def failure(setting: str, name: str, error: BaseException) -> UserError:
    """What a user is told when the code of ``name`` raised: the error, and its last place in that code."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{last.filename}, line {last.lineno}"
    return UserError(f"{setting}: {name} failed in {place}: {type(error).__name__}: {error}", "mend it and go on")


def own_rules(setting: str, names: Sequence[str]) -> list[Rule]:
    """The rules that the names stand for, in their order: functions of a batch, rules, or classes of rules."""
    return [_OwnRule(setting, name) for name in names]


class _OwnRule:
    """A rule of the user's own: its answers are checked, so that none of its mistakes drops or keeps a row without a
    word."""

    def __init__(self, setting: str, name: str) -> None:
        found = load(setting, name)
        self._call = found() if isinstance(found, type) else found
        self._setting, self._full_name = setting, name
        self.name = str(getattr(self._call, "name", name.partition(":")[2]))
        self.detail = str(getattr(self._call, "detail", "caption"))

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        try:
            answer = self._call(batch)
            reasons = pa.array(answer[0] if isinstance(answer, tuple) else answer, pa.string())
        except Exception as error:
            raise failure(self._setting, self._full_name, error) from error
        if len(reasons) != batch.num_rows:
            raise UserError(
                f"{self._setting}: {self._full_name} gave {len(reasons)} answers for {batch.num_rows} rows",
                "it must give a reason, or None, for each row",
            )
        return reasons, {}
