"""What the image store knows already, so that it is not asked for again."""

import dataclasses

import pyarrow as pa
import pytest

from pipeline.config import RunConfig
from pipeline.fetch.decided import decided_by
from pipeline.stages.fetch import known_rows

ANSWERED = [
    "success",
    "http_404",
    "refused_by_robots_txt",
    "not_an_image",
    "forbidden_scheme",
    "too_large",
    "forbidden_port",
    "no_contact",
]
MAY_PASS = ["http_503", "connect_timeout", "host_given_up"]
CONFIG = RunConfig()


def known(config: RunConfig) -> list[str]:
    """The statuses known under ``config`` of answers that were had under CONFIG."""
    statuses = ["not_reached", *ANSWERED, *MAY_PASS]
    decided = [decided_by(status, CONFIG.http, CONFIG.image) for status in statuses]
    urls = [f"http://h/{status}" for status in statuses]
    rows = known_rows(pa.RecordBatch.from_pydict({"url": urls, "status": statuses, "decided_by": decided}), config)
    assert rows.column(1).to_pylist() == [True] * rows.num_rows
    return [url.removeprefix("http://h/") for url in rows.column(0).to_pylist()]


def test_an_answer_is_known_until_it_may_pass_and_is_to_be_asked_again() -> None:
    assert known(CONFIG) == ANSWERED + MAY_PASS
    assert known(dataclasses.replace(CONFIG, fetch=dataclasses.replace(CONFIG.fetch, retry_failed=True))) == ANSWERED


@pytest.mark.parametrize(
    ("change", "opened"),
    [
        ({"max_bytes": 30_000_000}, ["too_large"]),
        ({"ports": (80,)}, ["forbidden_port"]),
        ({"allow_loopback": True}, ["forbidden_port"]),
        ({"binding_signals": ("x_robots_tag",)}, ["refused_by_robots_txt"]),
        ({"binding_directives": ("noai", "more")}, ["success", "refused_by_robots_txt"]),
        ({"user_agent": "other"}, ["refused_by_robots_txt"]),
        ({"host_failures": 9}, ["host_given_up"]),
        ({"connect_timeout": 3.0}, ["connect_timeout"]),
        ({"contact": "you@example.org"}, ["no_contact"]),
        ({"delay": 9.0, "concurrency": 1, "retries": 7}, []),
    ],
)
def test_a_changed_setting_opens_exactly_what_it_decided(change: dict[str, object], opened: list[str]) -> None:
    config = dataclasses.replace(CONFIG, http=dataclasses.replace(CONFIG.http, **change))
    assert [status for status in ANSWERED + MAY_PASS if status not in known(config)] == opened


def test_formats_open_what_was_no_picture() -> None:
    config = dataclasses.replace(CONFIG, image=dataclasses.replace(CONFIG.image, formats=("TIFF",), threads=4))
    assert [status for status in ANSWERED + MAY_PASS if status not in known(config)] == ["not_an_image"]
