"""The command line; each verb imports its implementation after its flags are parsed."""

import sys
from collections.abc import Sequence
from typing import TypeVar

from query_builder.config import (
    BuildConfig,
    DiffConfig,
    ExplainConfig,
    ImportConfig,
    InspectConfig,
    MergeConfig,
    ReportConfig,
)
from webimagetext.command import run_command
from webimagetext.errors import UserError
from webimagetext.flags import parse_flags, split_words
from webimagetext.settings import pop_verb

__all__ = ["main"]

T = TypeVar("T")

PROG = "python -m query_builder"
VERBS = {
    "build": "make queries.parquet from a Wikipedia dump, page views and WordNet",
    "import": "make queries.parquet from texts of your own: text files, CSV, JSON, Parquet",
    "merge": "make one list of several",
    "inspect": "show what a list is made of, or why a query is in it or not",
    "explain": "say why each query of a list is in it, or why a text is not",
    "diff": "compare two lists by source",
    "report": "draw a list as an HTML page",
}
ABOUT = "Builds the list of texts that the data set is searched for: words, bigrams, titles and synsets."


def _with_files(default: T, args: list[str], prog: str, usage: str, least: int, most: int) -> tuple[list[str], T]:
    """The files and the settings of a command line, in any order. Raises UserError for too few files, or too many."""
    words = split_words(default, args, prog=prog, usage=usage)
    if not least <= len(words.files) <= most:
        problem = f"{len(words.files)} files given where {least if least == most else 'some'} belong"
        raise UserError(f"{prog}: {problem}", f"usage: {prog} {usage}")
    return words.files, words.apply(default)


def _command(arguments: Sequence[str], program: str) -> None:
    verb, args = pop_verb(arguments, VERBS, prog=program, about=ABOUT)
    prog = f"{program} {verb}"
    if verb == "build":
        config = parse_flags(BuildConfig, args, prog=prog)
        from query_builder.build import build

        build(config)
    elif verb == "import":
        files, texts = _with_files(ImportConfig(), args, prog, "FILE… [options]", 1, sys.maxsize)
        from query_builder.importing import import_lists

        import_lists(files, texts)
    elif verb == "merge":
        files, joined = _with_files(MergeConfig(), args, prog, "LIST… [options]", 1, sys.maxsize)
        from query_builder.merging import merge_lists

        merge_lists(files, joined)
    elif verb == "inspect":
        files, settings = _with_files(InspectConfig(), args, prog, "QUERIES [options]", 1, 1)
        from query_builder.inspect import inspect

        inspect(files[0], settings)
    elif verb == "explain":
        given, shown = _with_files(ExplainConfig(), args, prog, "QUERIES [TEXT…] [options]", 1, sys.maxsize)
        from query_builder.explain import explain_all

        explain_all(given[0], given[1:], shown)
    elif verb == "diff":
        files, choices = _with_files(DiffConfig(), args, prog, "OLD NEW [options]", 2, 2)
        from query_builder.diff import diff

        diff(files[0], files[1], choices)
    else:
        files, page = _with_files(ReportConfig(), args, prog, "QUERIES [options]", 1, 1)
        from query_builder.report import report

        report(files[0], page)


def main(args: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Runs one command line, typed after ``prog``; returns the exit status."""
    return run_command(lambda: _command(sys.argv[1:] if args is None else args, prog))
