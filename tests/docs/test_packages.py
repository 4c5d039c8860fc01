"""The check of the packages: it passes them as they are, and names what is not as it should be."""

import importlib.metadata
from email.message import Message

import pytest

from docs import packages
from docs.packages import Pin, disagreeing, licence_of, not_installed, pins, problems, unknown_licences, unpinned

HASH = "    --hash=sha256:" + "0a" * 32


def test_the_packages_are_as_they_should_be() -> None:
    assert list(problems()) == []


def test_a_requirements_file_is_read_whole() -> None:
    for path in packages._files():
        begun = [line for line in path.read_text().splitlines() if line[:1].isalnum()]
        assert len(pins(path.read_text())) == len(begun) > 0, path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"a==1 \\\n{HASH} \\\n{HASH}\n    # via b\n", []),
        (f"a==1 ; sys_platform == 'win32' \\\n{HASH}\n", []),
        ("a==1\n", ["a==1 has no hash"]),
        (f"a==1\nb==2 \\\n{HASH}\n", ["a==1 has no hash"]),
        (f"b==2 \\\n{HASH}\na==1", ["a==1 has no hash"]),
        (f"a>=1 \\\n{HASH}\n", ["'a>=1 \\\\' pins nothing"]),
        ("a\n", ["'a' pins nothing"]),
        ("--index-url somewhere\n", ["'--index-url somewhere' pins nothing"]),
        (f"a @ file:///a \\\n{HASH}\n", ["'a @ file:///a \\\\' pins nothing"]),
        (f"a==1 \\\n{HASH[:-1]}\n", [f"'{HASH[4:-1]}' pins nothing", "a==1 has no hash"]),
    ],
)
def test_what_is_not_pinned_is_named(text: str, said: list[str]) -> None:
    assert list(unpinned(text)) == said


def test_files_that_disagree() -> None:
    first = [
        Pin("a", "1"),
        Pin("b", "2", "python_full_version < '3.12'"),
        Pin("b", "3", "python_full_version >= '3.12'"),
    ]
    assert list(disagreeing([first, [Pin("c", "1"), Pin("a", "1")]])) == []
    assert list(disagreeing([first, [Pin("a", "2")]])) == ["a is pinned to 1 and to 2"]


def test_what_is_installed_is_what_is_pinned() -> None:
    wanted = [Pin("a", "1.0"), Pin("torch", "2.9"), Pin("w", "1", "sys_platform == 'win32'")]
    assert list(not_installed(wanted, {"a": "1.0", "torch": "2.9+cpu", "pip": "1", "webimagetext": "0"})) == []
    found = list(not_installed(wanted, {"a": "1.1", "b": "3"}))
    assert [line.partition(":")[0] for line in found] == [
        "a is installed as 1.1 and pinned as 1.0",
        "torch is pinned and not installed",
        "b is installed and not pinned",
    ]


def about(*fields: tuple[str, str]) -> importlib.metadata.PackageMetadata:
    message = Message()
    for name, value in fields:
        message[name] = value
    return message  # type: ignore[return-value]


def test_licences() -> None:
    stated = {
        "a": licence_of(about(("License-Expression", "MIT OR Apache-2.0"))),
        "b": licence_of(about(("Classifier", "Topic :: Internet"), ("Classifier", "License :: OSI Approved :: ISC"))),
        "c": licence_of(about(("License", "BSD\n\nand a long text"))),
        "d": licence_of(about(("License", "Proprietary"))),
        "e": licence_of(about()),
    }
    assert (stated["a"], stated["b"], stated["c"]) == ("MIT OR Apache-2.0", "ISC", "BSD")
    assert [line.partition(":")[0] for line in unknown_licences(stated)] == ["d", "e"]
    assert list(unknown_licences({"cuda-toolkit": "", "nvidia-nccl": "Proprietary"})) == []


def test_without_an_index_nothing_is_asked_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    found = list(packages.asked_of_others())
    assert len(found) == 1 and found[0].startswith("could not be asked: the index: ")
    monkeypatch.setattr(packages, "problems", lambda: iter(()))
    assert packages.main() == 0
    assert "note: could not be asked: the index" in capsys.readouterr().out
