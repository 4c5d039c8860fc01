"""Who may import what, and that no module needs itself: read from the sources alone."""

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from docs.cli_reference import ROOT

PROGRAMS = ("pipeline", "query_builder", "trainer")
PACKAGES = (*PROGRAMS, "webimagetext")
FOLDERS = (
    "read",
    "net",
    "text",
    "match",
    "balance",
    "fetch",
    "image",
    "dedup",
    "write",
    "audit",
    "planning",
    "explaining",
    "sharing",
)
PURE = tuple(f"pipeline.{name}" for name in FOLDERS)

# What the modules of a folder never import, not even within a function.
NEVER: dict[str, frozenset[str]] = {
    **dict.fromkeys(PURE, frozenset({"apache_beam"})),
    "query_builder": frozenset({"apache_beam", "torch", "pipeline", "trainer"}),
    "trainer": frozenset({"apache_beam", "query_builder"}),
    "webimagetext": frozenset({"apache_beam", "torch", "query_builder", "trainer"}),
}
# These read what a Beam step wrote, from the module of that step.
BESIDE_BEAM = {"pipeline.audit.outcome"}
# The other way round: the only places of a package that import the module at all, and whether they do so at once.
ONLY: dict[tuple[str, str], dict[str, bool]] = {
    ("pipeline", "apache_beam"): {"pipeline.stages": True, "pipeline.tables": True, "pipeline.engines": True},
    ("pipeline", "torch"): {"pipeline.image.clip_score": False},
    ("pipeline", "trainer"): {"pipeline.image.clip_score": False},
}
# The modules that import another by a name they are told, which no other test here sees.
BY_NAME = {"pipeline.own", "pipeline.text.detectors", "trainer.evaluate.__main__", "webimagetext.__main__"}
# What all programs share knows of the pipeline in one place, where a run is begun from Python, and only once that is
# asked for.
RUN_FROM_PYTHON = "webimagetext"
# All that the trainer knows of the pipeline: how shards lie in their folder.
SHARD_LAYOUT = "pipeline.keeping.folder"
# But for one evaluation, which asks what packaging asks: is this picture in that set?
OVERLAP = {("trainer.evaluate.overlap", name) for name in ("pipeline.dedup.evaluation", "pipeline.hashing")}


@dataclass(frozen=True)
class Import:
    """A module imported: by which, on which line, and whether when that one is imported itself."""

    by: str
    line: int
    name: str
    at_once: bool

    def __str__(self) -> str:
        return f"{self.by}, line {self.line}: {self.name}"


@functools.cache
def modules() -> dict[str, ast.Module]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements(node: ast.AST, at_once: bool = True) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The import statements below a node that run at all, and whether they run at once."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, at_once
        elif not for_types(child):
            within = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from statements(child, at_once and not within)


@functools.cache
def imports() -> tuple[Import, ...]:
    """Every import; ``from a import b`` is one of ``a.b`` where that is a module, else of ``a``."""
    found = []
    for by, tree in modules().items():
        for node, at_once in statements(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                assert not node.level, f"{by}, line {node.lineno}: a relative import"
                whole = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [name if name in modules() else node.module or "" for name in whole]
            found += [Import(by, node.lineno, name, at_once) for name in dict.fromkeys(names)]
    return tuple(found)


def below(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}.")


@pytest.mark.parametrize("folder", NEVER)
def test_what_is_never_imported(folder: str) -> None:
    assert any(below(name, folder) for name in modules()), f"there is no {folder}"
    wrong = [each for each in imports() if below(each.by, folder) and each.name.partition(".")[0] in NEVER[folder]]
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("folder", NEVER)
def test_what_never_comes_along(folder: str) -> None:
    """Nor does it come with the modules that those of the folder import, and so on."""
    begun = {name for name in modules() if below(name, folder)} - BESIDE_BEAM
    reached = {each.name for each in imports() if each.by in begun and each.at_once}
    while more := {each.name for each in imports() if each.by in reached and each.at_once} - reached:
        reached |= more
    assert not {name.partition(".")[0] for name in reached} & (NEVER[folder] - {folder.partition(".")[0]})


@pytest.mark.parametrize(("package", "module"), ONLY)
def test_what_only_a_few_import(package: str, module: str) -> None:
    used = [each for each in imports() if below(each.by, package) and below(each.name, module)]
    for place, at_once in ONLY[package, module].items():
        here = [each for each in used if below(each.by, place)]
        assert here, f"{place} doesn't import {module}"
        assert any(each.at_once for each in here) == at_once, "\n".join(map(str, here))
        used = [each for each in used if each not in here]
    assert not used, "\n".join(map(str, used))


def test_who_imports_by_name() -> None:
    calls = {name for name, tree in modules().items() if "import_module" in ast.dump(tree)}
    assert calls == BY_NAME


def test_what_all_share_knows_the_pipeline_late_and_in_one_place() -> None:
    used = [each for each in imports() if below(each.by, "webimagetext") and below(each.name, "pipeline")]
    assert {each.by for each in used} == {RUN_FROM_PYTHON}
    assert not any(each.at_once for each in used), "\n".join(map(str, used))


def test_the_trainer_knows_of_the_pipeline_only_the_layout_of_shards() -> None:
    known = {(each.by, each.name) for each in imports() if below(each.by, "trainer") and below(each.name, "pipeline")}
    assert known >= OVERLAP
    assert {name for _, name in known - OVERLAP} == {SHARD_LAYOUT}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """A path back to itself for each module that has one and was not on an earlier."""
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
        elif name not in done:
            for other in sorted(edges[name]):
                walk(other, [*path, name])
            done.add(name)

    for name in sorted(edges):
        walk(name, [])
    return found


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c", "b"]]


def test_no_module_needs_itself_even_late() -> None:
    edges: dict[str, set[str]] = {name: set() for name in modules()}
    for each in imports():
        if each.name in edges:
            edges[each.by].add(each.name)
    assert not circles(edges), "\n".join(" → ".join(circle) for circle in circles(edges))
