"""What the image store knows already, so that it is not asked for again."""

import pyarrow as pa
import pytest

from pipeline.transforms.images import known_rows

ANSWERED = ["success", "http_404", "refused_by_robots_txt", "not_an_image", "forbidden_scheme", "too_large"]
MAY_PASS = ["http_503", "connect_timeout", "host_given_up"]
UNASKED = ["not_reached", "forbidden_address", "forbidden_port"]


@pytest.mark.parametrize(("again", "known"), [(False, ANSWERED + MAY_PASS), (True, ANSWERED)])
def test_only_where_somebody_was_asked_is_an_answer_known(again: bool, known: list[str]) -> None:
    statuses = UNASKED[:1] + ANSWERED + UNASKED[1:] + MAY_PASS
    batch = pa.RecordBatch.from_pydict({"url": [f"http://h/{status}" for status in statuses], "status": statuses})
    rows = known_rows(batch, again)
    assert rows.column(0).to_pylist() == [f"http://h/{status}" for status in known]
    assert rows.column(1).to_pylist() == [True] * len(known)
