"""After a round: which failures are worth asking again, and which row of a URL counts when there are several.

In: rows of schema IMAGES. Out: URLs for the next round; one row a URL.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.reasons import NOT_REACHED, may_pass

__all__ = ["best_rows", "retry_failed"]


def retry_failed(rows: pa.RecordBatch | pa.Table) -> list[str]:
    """The URLs, in order, of failures that may pass: trouble on the way or at the server, or a turn that did not come.

    Never a refusal, and never an answer that would be the same again.
    """
    statuses = pc.unique(rows.column("status")).to_pylist()
    passing = [status for status in statuses if may_pass(status)]
    chosen = pc.is_in(rows.column("status"), value_set=pa.array(passing, pa.string()))
    result: list[str] = rows.column("url").filter(chosen).to_pylist()
    return result


def best_rows(rows: pa.Table) -> pa.Table:
    """One row a URL out of several rounds (given in order): its first success, else its last failure, else that it
    was not asked. Sorted by URL."""
    round_, count = np.arange(rows.num_rows), rows.num_rows
    failed = pc.not_equal(rows.column("status"), "success").to_numpy(zero_copy_only=False)
    unasked = pc.equal(rows.column("status"), NOT_REACHED).to_numpy(zero_copy_only=False)
    rank = np.where(failed, 2 * count - round_, round_) + np.where(unasked, 2 * count, 0)
    ranked = rows.append_column("_rank", pa.array(rank))
    ranked = ranked.sort_by([("url", "ascending"), ("_rank", "ascending")])
    urls = ranked.column("url").to_pylist()
    first = [index == 0 or urls[index - 1] != url for index, url in enumerate(urls)]
    return ranked.drop_columns("_rank").filter(pa.array(first, pa.bool_()))
