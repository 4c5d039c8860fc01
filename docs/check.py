"""Whether the documents are in step with the code; prints every difference and exits with 1 if there is one.

- docs/cli.md is what the commands' ``--help`` prints now;
- a link from one document to a file of the project leads to a file;
- the README's table of speeds is what the stored results of the benchmarks give;
- a command line in a document names a command, a verb and options that exist, or a target of the Makefile;
- the changelog, the citation, the forms, the hooks and the workflow are in step with the code (docs/project_files.py).
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.__main__ import BENCHMARKS as MEASURED
from benchmarks.table import README, RESULTS, rendered, stored, with_table
from docs.cli_reference import BENCHMARKS, REFERENCE, ROOT, commands, reference
from docs.project_files import problems as problems_of_files

LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
# By module, or by the console script.
COMMAND_LINE = re.compile(r"(?:python -m |(?:\$ |`|/bin/)(?=webimagetext ))((?:\\\n|[^\n`])+)")
TARGET = re.compile(r"(?:`|^|\$ )make ([a-z][a-z-]*)", re.MULTILINE)
OPTION = re.compile(r"(?<!\S)--[a-z][a-z0-9.-]*")


def documents() -> list[Path]:
    """The Markdown files that people read, without the generated one."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / ".github").rglob("*.md")]
    return sorted(path for path in found if path != REFERENCE)


def broken_links(path: Path, text: str) -> Iterator[str]:
    """Links to files that are not there."""
    for target in LINK.findall(text):
        if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
            yield f"the link to {target} leads nowhere"


def unknown_commands(text: str, found: dict[str, str], targets: set[str]) -> Iterator[str]:
    """Commands, options and make targets that do not exist."""
    for line in COMMAND_LINE.findall(text):
        words = line.replace("\\\n", " ").split(" -- ")[0]  # what follows -- is another program's
        module, *rest = words.split()
        if module.startswith(("pip", "pytest", "venv", "http.")):
            continue
        if module.startswith(("benchmarks.", "tests.")) and (ROOT / f"{module.replace('.', '/')}.py").exists():
            continue  # a part of a benchmark, or a tool of the tests, which the reference does not list
        longest_first = (" ".join([module, *rest[:count]]) for count in (2, 1, 0))
        command = next((name for name in longest_first if name in found), None)
        if command is None:
            yield f"there is no command: python -m {module}"
            continue
        verb = next(iter(rest[len(command.split()) - 1 :]), "-")
        if " COMMAND …" in found[command] and command != BENCHMARKS and not verb.startswith("-"):
            yield f"there is no verb: python -m {command} {verb}"
        for option in OPTION.findall(words):
            if option != "--help" and not re.search(rf"{re.escape(option)}\b", found[command]):
                yield f"there is no option {option} of python -m {command}"
    for target in TARGET.findall(text):
        if target not in targets:
            yield f"there is no target: make {target}"


def main() -> int:
    """Prints the differences; 1 if there are any."""
    found = commands()
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    problems = []
    if not REFERENCE.exists() or REFERENCE.read_text(encoding="utf-8") != reference(found):
        problems.append("docs/cli.md is out of step: run python docs/cli_reference.py")
    readme = README.read_text(encoding="utf-8")
    if readme != with_table(readme, rendered(stored(MEASURED, RESULTS))):
        problems.append("README.md: the table of speeds is out of step with benchmarks/results: run make table")
    for path in documents():
        text = path.read_text(encoding="utf-8")
        differences = [*broken_links(path, text), *unknown_commands(text, found, targets)]
        problems += [f"{path.relative_to(ROOT)}: {difference}" for difference in differences]
    problems += problems_of_files(ROOT, targets)
    print("\n".join(problems) or f"{len(found)} commands and {len(documents())} documents are in step")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
