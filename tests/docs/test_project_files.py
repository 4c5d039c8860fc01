"""The check of the files around the code: it passes them as they are, and names what is out of step."""

import shutil
from pathlib import Path

import pytest

from docs.cli_reference import ROOT
from docs.project_files import problems

TARGETS = {"check"}
FILES = (
    "pyproject.toml",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "requirements-dev.txt",
    ".pre-commit-config.yaml",
)
BUG, WORKFLOW = ".github/ISSUE_TEMPLATE/bug.yml", ".github/workflows/check.yml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the files that are looked at."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    (tmp_path / "docker").mkdir()
    shutil.copy(ROOT / "docker" / "Dockerfile", tmp_path / "docker")
    return tmp_path


def test_the_files_are_in_step(project: Path) -> None:
    assert list(problems(project, TARGETS)) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("CHANGELOG.md", "## [Unreleased]", "## Unreleased", "the first heading is not [Unreleased]"),
        ("CHANGELOG.md", "## [0.1.0] - 2026-11-21", "## [0.1.0]", "the versions are not dated, the newest first"),
        ("CHANGELOG.md", "\n[0.1.0]: ", "\n[0.2.0]: ", "the heading [0.1.0] has no link at the end"),
        ("CHANGELOG.md", "[0.1.0]", "[0.0.9]", "there is no heading for version 0.1.0"),
        ("CITATION.cff", "0.1.0", "0.1.1", "version is not that of pyproject.toml"),
        ("CITATION.cff", "message:", "massage:", "message is missing"),
        ("docker/Dockerfile", "ARG VERSION=", "ARG VERSION=1", "ARG VERSION is not the version of pyproject.toml"),
        (BUG, "id: version", "id: machine", "two fields have one id"),
        (BUG, "type: input", "type: entry", "a field of type entry lacks a known type"),
        (BUG, "      label: Where\n", "", "a field of type input lacks label"),
        (BUG, "body:", "body: [", "expected"),
        (WORKFLOW, "make check\n", "make chek\n", "there is no target: make chek"),
        (WORKFLOW, "checkout@v4", "checkout@main", "actions/checkout@main is not pinned by a major version"),
        (WORKFLOW, " maven", " gradle", "CONTRIBUTING.md does not list the package gradle"),
        (".pre-commit-config.yaml", "repo: local", "repo: other", "other is not of this project"),
        (".pre-commit-config.yaml", ".venv/bin/ruff check", "black", "calls black, which requirements-dev.txt"),
    ],
)  # fmt: skip
def test_what_is_out_of_step_is_named(project: Path, file: str, old: str, new: str, said: str) -> None:
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))
    told = list(problems(project, TARGETS))
    assert any(line.startswith(f"{file}: ") and said in line for line in told), told
