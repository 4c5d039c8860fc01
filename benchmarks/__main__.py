"""``python -m benchmarks NAME``: one measurement of this project against a peer doing the same work.

In: a name. Out, as the last line: one JSON object with ``name``, ``ours``, ``peer``, ``ratio`` (above 1: ours is better), ``unit``
and ``equal`` (whether both gave the same result). Each figure in the README comes from one of these.
"""

import importlib
import json
import sys
from typing import Any

from webimagetext.errors import UserError, run_command
from webimagetext.settings import pop_verb

__all__ = ["BENCHMARKS", "main"]

# The module is the name with underscores; its run() takes nothing and returns the object to print.
BENCHMARKS = {
    "query-builder": "a query list from Wikipedia text: words and bigrams counted",
    "extract": "image-text pairs from WARC pages",
    "fetch-http": "images downloaded, resized and packed, plain HTTP",
    "fetch-https": "the same over TLS",
    "link-rot": "a real list of partly dead links fetched, against the shortest time that its hosts allow",
    "match": "queries found in captions",
    "language": "captions told English or not",
    "curate": "pairs balanced over the queries",
    "curate-stage": "the same as a whole stage, with its workers and all its tables",
    "loader": "training samples read from shards",
    "step": "one training step of the model",
    "loss": "the contrastive loss at a large batch",
    "objectives": "zero-shot accuracy by training objective",
}
ABOUT = """Measures one part of this project against a peer that does the same work. The last line printed is a JSON object:
name, ours, peer, ratio (above 1: ours is better), unit, and equal (whether both gave the same result)."""
KEYS = ("name", "ours", "peer", "ratio", "unit", "equal")


def main(arguments: list[str]) -> int:
    """Runs the benchmark that ``arguments`` names. Raises UserError for an unknown name, or more than one."""
    name, rest = pop_verb(arguments, BENCHMARKS, prog="python -m benchmarks", about=ABOUT)
    if set(rest) & {"-h", "--help"}:
        print(f"python -m benchmarks {name}: {BENCHMARKS[name]}; it takes no options")
        return 0
    if rest:
        raise UserError(f"python -m benchmarks {name}: takes no options, got {' '.join(rest)}", "give one name alone")
    result: dict[str, Any] = {"name": name} | importlib.import_module(f"benchmarks.{name.replace('-', '_')}").run()
    missing = [key for key in KEYS if key not in result]
    if missing:
        raise ValueError(f"benchmark {name} does not state {', '.join(missing)}")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(lambda: main(sys.argv[1:])))
