"""The configuration of requests: what is refused, and the name a request carries."""

import pytest

from pipeline.net.config import HttpConfig
from webimagetext.errors import UserError


@pytest.mark.parametrize(
    "values",
    [
        {"user_agent": "two words"},
        {"user_agent": ""},
        {"contact": "nowhere"},
        {"contact": "https://h/\r\nX-Evil: 1"},
        {"delay": -1.0},
        {"concurrency": 0},
        {"binding_signals": ("robots",)},
    ],
)
def test_mistakes_are_named(values: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(values))):
        HttpConfig(**values)  # type: ignore[arg-type]


def test_the_name_and_the_contact_are_sent() -> None:
    assert HttpConfig(contact="https://h/bot").user_agent_header == "webimagetext (+https://h/bot)"
