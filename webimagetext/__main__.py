"""``webimagetext COMMAND …``, or ``python -m webimagetext COMMAND …``: every program of the project under one name.

In: a command and its words. Out: the exit status of the program behind it, which names in its messages what was typed.
``python -m pipeline``, ``python -m query_builder`` and ``python -m trainer.run`` are the same programs.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module, metadata

from webimagetext.command import leave, run_command
from webimagetext.settings import pop_verb

__all__ = ["COMMANDS", "main"]

PIPELINE = "pipeline.__main__"
# Each command's line of help, and the module of its program; the pipeline's own verbs are commands here.
COMMANDS = {
    "queries": ("build, import, inspect, compare or draw the list of queries", "query_builder.cli"),
    "init": ("write the configuration of a job, asking for what is needed", PIPELINE),
    "run": ("the next five in order; finished stages are skipped", PIPELINE),
    "extract": ("crawl pages, or read archives or URL lists, for candidate pairs", PIPELINE),
    "curate": ("filter the texts, match the queries, balance", PIPELINE),
    "fetch": ("download the images of the selected pairs into the image store", PIPELINE),
    "package": ("filter the images, shuffle, and write the shards", PIPELINE),
    "report": ("write report.html, funnel.json, the card and croissant.json", PIPELINE),
    "explain": ("tell the story of a pair: kept, or dropped where and why", PIPELINE),
    "remove": ("take pairs out of finished shards, and keep them out", PIPELINE),
    "export": ("write a finished run as a dataset to hand on, or its links alone", PIPELINE),
    "import": ("make the set of an export's links again", PIPELINE),
    "check": ("prove that all files of a run or of shards are as written", PIPELINE),
    "plan": ("tell what a run is going to bring, take and cost, asking no site", PIPELINE),
    "rules": ("show what each text rule would drop, writing nothing", PIPELINE),
    "train": ("train CLIP on shards", "trainer.run"),
    "evaluate": ("measure a trained model: retrieval, zero-shot classification", "trainer.evaluate.__main__"),
    "export-model": ("write a trained model as other programs read it", "trainer.export"),
    "rerank": ("order pictures by how well they fit a text", "trainer.rerank"),
    "models": ("list the models with their sizes", "trainer.models.__main__"),
}
ABOUT = "Builds an image-text dataset from the web, and trains CLIP on it. --version prints the version."


def main(args: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit status. The process's own, without ``args``, ends with it where torch is
    used."""
    words = list(sys.argv[1:] if args is None else args)
    typed = os.path.basename(sys.argv[0]) == "webimagetext"
    if typed and args is None:
        sys.path.append(os.getcwd())  # where module:function of a setting is looked for, as with python -m
    status = run_command(lambda: _command(words, "webimagetext" if typed else "python -m webimagetext"))
    if args is None and words and COMMANDS.get(words[0], ("", ""))[1].startswith("trainer."):
        leave(status)
    return status


def _command(words: list[str], prog: str) -> int:
    if words[:1] == ["--version"]:
        print(f"webimagetext {metadata.version('webimagetext')}")
        return 0
    verb, rest = pop_verb(words, {name: text for name, (text, _) in COMMANDS.items()}, prog=prog, about=ABOUT)
    module = COMMANDS[verb][1]
    program = import_module(module)
    status: int = program.main([verb, *rest], prog) if module == PIPELINE else program.main(rest, f"{prog} {verb}")
    return status


if __name__ == "__main__":
    sys.exit(main())
