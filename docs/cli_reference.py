"""The reference of every command, docs/cli.md, generated from what ``--help`` prints.

    python docs/cli_reference.py           writes docs/cli.md
    python docs/check.py                   fails when it is not in step with the code

A command is any module of the packages that runs as a program; one that lists verbs has a section for each.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["REFERENCE", "ROOT", "commands", "help_text", "reference"]

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "cli.md"
PACKAGES = ("query_builder", "pipeline", "trainer", "webimagetext")
INTERNAL = {"pipeline.engines.nursery", "pipeline.engines.worker"}  # started by the runner, never typed
BENCHMARKS = "benchmarks"  # takes a name and no options: its list says it all
OPTIONS = "\noptions:"
VERB_LINE = re.compile(r"^  (\S+)  +\S", re.MULTILINE)


def programs() -> list[str]:
    """Modules that run with ``python -m``, in the order of the packages."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
            if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8") and module not in INTERNAL:
                found.append(module)
    return [*found, BENCHMARKS]


def help_text(command: str) -> str:
    """What ``python -m COMMAND --help`` prints. Raises RuntimeError when it fails."""
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", *command.split(), "--help"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=120)
    if done.returncode:
        raise RuntimeError(f"python -m {command} --help ended with {done.returncode}:\n{done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def commands(ask: Callable[[str], str] = help_text) -> dict[str, str]:
    """Every command and verb, with its help as ``ask`` gets it."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def asked(names: list[str]) -> dict[str, str]:
            found = {}
            for name, text in zip(names, pool.map(ask, names), strict=True):
                found[name] = text
                if " COMMAND …" in text.splitlines()[0] and name != BENCHMARKS:
                    found |= asked([f"{name} {verb}" for verb in VERB_LINE.findall(text.split("commands:", 1)[1])])
            return found

        return asked(programs())


def reference(found: dict[str, str]) -> str:
    """docs/cli.md for these commands."""
    parts = [
        "# Commands\n"
        "\n"
        "Generated from `--help` by `python docs/cli_reference.py`; `make check` fails when it is out of step.\n"
    ]
    shown: dict[str, str] = {}  # a list of options: the first command that has it
    for command, text in found.items():
        about, mark, options = text.partition(OPTIONS)
        if mark:
            tables = (mark.lstrip("\n") + options).split("\n\n")
            firsts = [shown.setdefault(table, command) for table in tables]
            if command not in firsts and len(set(firsts)) == 1:
                tables = [f"options: those of python -m {firsts[0]}"]
            else:
                tables = [
                    table if first == command else f"{table.split(':')[0]}: see python -m {first}"
                    for table, first in zip(tables, firsts, strict=True)
                ]
            text = about + "\n" + "\n\n".join(tables)
        parts.append(f"## `python -m {command}`\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    REFERENCE.write_text(reference(commands()), encoding="utf-8")
