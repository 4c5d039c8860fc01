"""How a rule of this folder says why a caption goes: the first reason that holds for it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["captions", "verdicts"]

Mask = npt.NDArray[np.bool_]


def captions(batch: pa.RecordBatch) -> pa.Array:
    """The captions of a batch; a null counts as the empty text."""
    column = batch.column("caption")
    return column.fill_null("") if column.null_count else column


def verdicts(rows: int, reasons: Sequence[tuple[str, Mask | pa.Array]]) -> pa.Array:
    """A string array with, for each row, the first reason whose mask is true there, else null."""
    answer = np.full(rows, -1, np.int8)
    for number, (_, mask) in reversed(list(enumerate(reasons))):
        answer[np.asarray(mask)] = number
    indices = pa.array(answer, mask=answer < 0)
    names = pa.array([reason for reason, _ in reasons], pa.string())
    return names.take(indices)
