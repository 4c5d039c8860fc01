"""The README's table of speeds, made from what the benchmarks printed: ``python -m benchmarks table``.

In: benchmarks/results/NAME.json, which ``python -m benchmarks NAME`` leaves with the day and the machine. Out: the
lines between two marks of README.md. The sentences of a line belong to its benchmark, whose ``rows`` makes them from
its result.
"""

import datetime
import importlib
import json
import math
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from webimagetext.errors import UserError
from webimagetext.files import write_atomic

__all__ = ["README", "RESULTS", "Row", "figure", "module_of", "rendered", "store", "stored", "times", "with_table"]

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
RESULTS = Path(__file__).with_name("results")
BEGIN = "<!-- made by `make table` from benchmarks/results -->"
END = "<!-- the end of what is made -->"
BETWEEN = re.compile(f"(?<={re.escape(BEGIN)}\n).*(?={re.escape(END)})", re.DOTALL)
HEAD = "| `NAME` | this project | the other | ratio |\n|---|---|---|---|\n"


class Row(NamedTuple):
    """One line of the table: what ours does, what the other does, and how they compare."""

    ours: str
    other: str
    ratio: str


def figure(value: float, digits: int = 3) -> str:
    """A measured value as people say it: so many digits that count, thousands apart. ``2239871`` -> ``2,240,000``."""
    places = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
    return f"{round(value, places):,.{max(places, 0)}f}"


def times(ratio: float) -> str:
    """How many times as good: two digits that count, and more near 1, where they decide who is ahead."""
    return f"{ratio:.2f}" if ratio < 2 else figure(ratio, 2)


def module_of(name: str) -> Any:
    """The module of a benchmark."""
    return importlib.import_module(f"benchmarks.{name.replace('-', '_')}")


def machine() -> str:
    """This machine in words: its cores and their kind."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    kind = found[1].strip() if found else platform.machine()
    return f"{os.cpu_count()} cores of {kind}, Python {platform.python_version()}"


def store(result: dict[str, Any], load: float, folder: Path) -> None:
    """Writes a benchmark's result with the day, the machine, and ``load``: the processes that wanted a core when it
    began."""
    folder.mkdir(exist_ok=True)
    about = {"date": datetime.date.today().isoformat(), "machine": machine(), "load_before": round(load, 1)}
    with write_atomic(str(folder / f"{result['name']}.json"), "w") as stream:
        json.dump({**about, **result}, stream, indent=1)
        stream.write("\n")


def stored(names: Iterable[str], folder: Path) -> list[dict[str, Any]]:
    """The results that there are, in the order of ``names``."""
    paths = [folder / f"{name}.json" for name in names]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def rendered(results: list[dict[str, Any]]) -> str:
    """The sentence on days and machines, and the table. Raises UserError without a result."""
    if not results:
        raise UserError("there are no results of benchmarks", "take them with: make bench-all")
    days = sorted({result["date"] for result in results})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    machines = "; ".join(sorted({result["machine"] for result in results}))
    lines = [
        f"| `{result['name']}` | {row.ours} | {row.other} | {row.ratio} |\n"
        for result in results
        for row in module_of(result["name"]).rows(result)
    ]
    return f"\nTaken on {machines}; {span}.\n\n{HEAD}{''.join(lines)}\n"


def with_table(text: str, table: str) -> str:
    """``text`` with ``table`` between the marks. Raises UserError where they are missing."""
    if not BETWEEN.search(text):
        raise UserError("README.md: the marks of the table are missing", f"put them back: {BEGIN} and {END}")
    return BETWEEN.sub(lambda _: table, text)
