"""The configuration of requests: what is refused, and the name a request carries."""

from pathlib import Path

import pytest

from pipeline.config import RunConfig
from pipeline.net.config import HostConfig, HttpConfig
from webimagetext.errors import UserError
from webimagetext.settings import from_toml, to_toml


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


HOSTS = """
[[http.hosts]]
host = "images.example.org"
delay = 0.05
concurrency = 8

[[http.hosts]]
host = "*.example.org"
delay = 4
"""


def test_hosts_may_have_a_pace_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(HOSTS)
    config = from_toml(RunConfig, tmp_path / "run.toml")
    paces = {
        host: (config.http.of_host(host).delay, config.http.of_host(host).concurrency_per_host)
        for host in ("images.example.org", "www.example.org", "a.b.example.org", "example.org", "badexample.org")
    }
    assert paces == {
        "images.example.org": (0.05, 8),
        "www.example.org": (4.0, 2),
        "a.b.example.org": (4.0, 2),
        "example.org": (1.0, 2),
        "badexample.org": (1.0, 2),
    }
    (tmp_path / "again.toml").write_text(to_toml(config))
    assert from_toml(RunConfig, tmp_path / "again.toml") == config
    assert config.http.of_host("images.example.org") is config.http.of_host("images.example.org")


@pytest.mark.parametrize("host", ["", "*.", "Example.org", "https://a.example", "a*.example.org", "a b", "ö.example"])
def test_a_host_is_a_name(host: str) -> None:
    with pytest.raises(UserError, match=r"http\.hosts"):
        HostConfig(host=host)


@pytest.mark.parametrize("values", [{"delay": -0.1}, {"concurrency": 0}])
def test_a_hosts_pace_has_its_range(values: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(values))):
        HostConfig(host="a.example", **values)  # type: ignore[arg-type]
