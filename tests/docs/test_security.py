"""The page on security: each line names a test that is there, and the other documents lead to the page."""

import ast
import re

import pytest

from docs.cli_reference import ROOT

PAGE = ROOT / "docs/security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def lines() -> list[str]:
    """The rows of the page's tables, without their heads."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [row for row in rows if not row.startswith("| could try")]


def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def test_every_line_names_a_test() -> None:
    assert len(lines()) > 25
    assert not [line for line in lines() if not NAMED.search(line)]


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(PAGE.read_text()))))
def test_each_named_test_exists(path: str, name: str) -> None:
    assert (ROOT / path).is_file() and name in names_in(path) and name.startswith("test_")


@pytest.mark.parametrize("document", ["README.md", "SECURITY.md"])
def test_the_page_is_found(document: str) -> None:
    assert "docs/security.md" in (ROOT / document).read_text()
