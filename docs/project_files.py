"""Whether the files around the code are in step with it: the changelog, the citation, the forms, the hooks, the
workflow.

In: the folder of the project. Out: what is wrong, a line each:

- the version of pyproject.toml has a heading in CHANGELOG.md, and CITATION.cff and the container images state it;
- CITATION.cff has what its format asks for;
- a form for issues names every field once, with the parts that its kind needs;
- a hook calls a program of .venv that the pinned requirements bring;
- a workflow's `make` calls targets that exist, and installs the packages that CONTRIBUTING.md lists.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

__all__ = ["problems"]

HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)
ACTION = re.compile(r"^[\w.-]+/[\w./-]+@v\d+$")
NEEDED = {  # what each kind of a form's fields has beside its kind
    "markdown": {"value"},
    "textarea": {"label"},
    "input": {"label"},
    "dropdown": {"label", "options"},
    "checkboxes": {"label", "options"},
}


def problems(root: Path, targets: set[str]) -> Iterator[str]:
    """Everything that is out of step; ``targets`` are those of the Makefile."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for path in [*root.glob("*.y*ml"), *root.glob(".*.yaml"), *root.glob(".github/**/*.yml"), root / "CITATION.cff"]:
        name = path.relative_to(root).as_posix()
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            yield f"{name}: {' '.join(str(error).split())}"
            continue
        found: Iterator[str] = iter(())
        if name == "CITATION.cff":
            found = _citation(content, project)
        elif name == ".pre-commit-config.yaml":
            found = _hooks(content, (root / "requirements-dev.txt").read_text(encoding="utf-8"))
        elif name.startswith(".github/workflows/"):
            found = _workflow(content, targets, (root / "CONTRIBUTING.md").read_text(encoding="utf-8"))
        elif name.startswith(".github/ISSUE_TEMPLATE/") and path.name != "config.yml":
            found = _form(content)
        yield from (f"{name}: {problem}" for problem in found)
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    yield from (f"CHANGELOG.md: {problem}" for problem in _changelog(changelog, project["version"]))
    if f"ARG VERSION={project['version']}\n" not in (root / "docker" / "Dockerfile").read_text(encoding="utf-8"):
        yield "docker/Dockerfile: ARG VERSION is not the version of pyproject.toml"


def _changelog(text: str, version: str) -> Iterator[str]:
    headings = HEADING.findall(text)
    names = [name for name, _ in headings]
    if names[:1] != ["Unreleased"]:
        yield "the first heading is not [Unreleased]"
    if version not in names:
        yield f"there is no heading for version {version}"
    dates = [date for name, date in headings if name != "Unreleased"]
    if not all(dates) or dates != sorted(dates, reverse=True):
        yield "the versions are not dated, the newest first"
    for name in names:
        if not re.search(rf"^\[{re.escape(name)}\]: \S", text, re.MULTILINE):
            yield f"the heading [{name}] has no link at the end"


def _citation(content: Any, project: dict[str, Any]) -> Iterator[str]:
    for field in ("cff-version", "message", "title", "authors"):
        if not content.get(field):
            yield f"{field} is missing"
    expected = {
        "version": project["version"],
        "license": project["license"],
        "authors": project["authors"],
        "repository-code": project["urls"]["Homepage"],
    }
    for field, value in expected.items():
        if content.get(field) != value:
            yield f"{field} is not that of pyproject.toml"


def _form(content: Any) -> Iterator[str]:
    for field in ("name", "description", "body"):
        if not content.get(field):
            yield f"{field} is missing"
    names = [part["id"] for part in content["body"] if "id" in part]
    if len(set(names)) < len(names):
        yield "two fields have one id"
    for part in content["body"]:
        lacking = NEEDED.get(part["type"], {"a known type"}) - set(part["attributes"])
        if lacking:
            yield f"a field of type {part['type']} lacks {', '.join(sorted(lacking))}"


def _hooks(content: Any, pinned: str) -> Iterator[str]:
    for repo in content["repos"]:
        if repo["repo"] != "local":
            yield f"{repo['repo']} is not of this project"
        for hook in repo["hooks"]:
            program = hook["entry"].split()[0]
            if not program.startswith(".venv/bin/") or f"\n{program.removeprefix('.venv/bin/')}==" not in pinned:
                yield f"the hook {hook['id']} calls {program}, which requirements-dev.txt does not bring"


def _workflow(content: Any, targets: set[str], contributing: str) -> Iterator[str]:
    for job in content["jobs"].values():
        for step in job["steps"]:
            if not ACTION.match(step.get("uses", "a/b@v1")):
                yield f"{step['uses']} is not pinned by a major version"
            run = step.get("run", "")
            for target in re.findall(r"\bmake ((?:[a-z][a-z-]* ?)+)", run if "apt-get" not in run else ""):
                yield from (f"there is no target: make {word}" for word in target.split() if word not in targets)
            for words in re.findall(r"apt-get install((?: --?\S+| [\w.+-]+)+)", run):
                for package in (word for word in words.split() if not word.startswith("-")):
                    if not re.search(rf"(?<![\w-]){re.escape(package)}(?![\w-])", contributing):
                        yield f"CONTRIBUTING.md does not list the package {package}"
