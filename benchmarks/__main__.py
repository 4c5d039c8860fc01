"""``python -m benchmarks NAME``: one measurement of this project against a peer doing the same work.

In: a name. Out, as the last line: one JSON object with ``name``, ``ours``, ``peer``, ``ratio`` (above 1: ours is
better), ``unit`` and ``equal`` (whether both gave the same result); the same, with the day and the machine, in
benchmarks/results. ``all`` runs one after the other, each in a process of its own, and ``table`` writes the README's
table from the results that are there.
"""

import json
import os
import subprocess
import sys
from typing import Any

from benchmarks import table
from webimagetext.command import run_command
from webimagetext.errors import UserError
from webimagetext.settings import pop_verb

__all__ = ["BENCHMARKS", "main"]

# The module is the name with underscores; its run() takes nothing and returns the object to print, and its rows() makes
# of that object the lines of the README's table.
BENCHMARKS = {
    "query-builder": "a query list from Wikipedia text: words and bigrams counted",
    "extract": "image-text pairs from WARC pages",
    "fetch-http": "images downloaded, resized and packed, plain HTTP",
    "fetch-https": "the same over TLS",
    "decoder": "JPEG pictures read and scaled, by the faster decoder and by Pillow",
    "link-rot": "a real list of partly dead links fetched, against the shortest time that its hosts allow",
    "fetch-simulation": "many hosts by a clock of its own, against the least that politeness allows",
    "altered": "mirrored, cropped and otherwise altered copies of pictures found again",
    "match": "queries found in captions",
    "language": "captions told English or not",
    "language-sets": "the same on six sets of real short texts, against five detectors",
    "curate": "pairs balanced over the queries",
    "curate-stage": "the same as a whole stage, with its workers and all its tables",
    "shuffle": "rows cut into few and very many parts",
    "checksums": "what is read held against its checksum, and not",
    "remove": "samples taken out of finished shards",
    "loader": "training samples read from shards",
    "step": "one training step of the model",
    "loss": "the contrastive loss at a large batch",
    "curation": "zero-shot accuracy by curation: raw, English, matched and balanced pairs of one pool",
    "objectives": "zero-shot accuracy by training objective",
}
OTHERS = {
    "all": "every one of them, one after the other, then the table",
    "table": "the README's table, from the results stored",
}
ABOUT = """Measures one part of this project against a peer that does the same work. The last line printed is a JSON
object: name, ours, peer, ratio (above 1: ours is better), unit, and equal (whether both gave the same result)."""
KEYS = ("name", "ours", "peer", "ratio", "unit", "equal")


def _measure(name: str) -> None:
    load = os.getloadavg()[0]
    result: dict[str, Any] = {"name": name} | table.module_of(name).run()
    missing = [key for key in KEYS if key not in result]
    if missing:
        raise ValueError(f"benchmark {name} does not state {', '.join(missing)}")
    table.store(result, load, table.RESULTS)
    print(json.dumps(result))


def _measure_all() -> None:
    """Runs each in a process of its own, so that none finds memory or caches of another. Raises UserError if one
    failed."""
    failed = [
        name
        for name in BENCHMARKS
        if subprocess.run([sys.executable, "-m", "benchmarks", name], check=False).returncode
    ]
    _write_table()
    if failed:
        raise UserError(f"these benchmarks failed: {', '.join(failed)}", "their messages are printed above")


def _write_table() -> None:
    text = table.README.read_text(encoding="utf-8")
    table.README.write_text(
        table.with_table(text, table.rendered(table.stored(BENCHMARKS, table.RESULTS))), encoding="utf-8"
    )


def main(arguments: list[str]) -> int:
    """Runs what ``arguments`` names. Raises UserError for an unknown name, or more than one."""
    verbs = BENCHMARKS | OTHERS
    name, rest = pop_verb(arguments, verbs, prog="python -m benchmarks", about=ABOUT)
    if set(rest) & {"-h", "--help"}:
        print(f"python -m benchmarks {name}: {verbs[name]}; it takes no options")
        return 0
    if rest:
        raise UserError(f"python -m benchmarks {name}: takes no options, got {' '.join(rest)}", "give one name alone")
    if name == "all":
        _measure_all()
    elif name == "table":
        _write_table()
    else:
        _measure(name)
    return 0


if __name__ == "__main__":
    sys.exit(run_command(lambda: main(sys.argv[1:])))
