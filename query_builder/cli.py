"""The command line; each verb imports its implementation after its flags are parsed."""

import sys
from collections.abc import Sequence

from query_builder.config import BuildConfig, DiffConfig, ImportConfig, InspectConfig, ReportConfig
from webimagetext.errors import UserError, run_command
from webimagetext.settings import parse_flags, pop_verb

__all__ = ["main"]

PROG = "python -m query_builder"
VERBS = {
    "build": "make queries.parquet from a Wikipedia dump, page views and WordNet",
    "import": "make queries.parquet from texts of your own: text files, CSV, JSON, Parquet",
    "inspect": "show what a list is made of, or why a query is in it or not",
    "diff": "compare two lists by source",
    "report": "draw a list as an HTML page",
}
ABOUT = "Builds the list of texts that the data set is searched for: words, bigrams, titles and synsets."


def _files(args: list[str], count: int, usage: str) -> tuple[list[str], list[str]]:
    """Splits the leading file names, ``count`` or (0) any number of them, from the flags."""
    if args and args[0] in ("-h", "--help"):
        print(f"usage: {PROG} {usage}\n")
        return [""] * count, args
    files = []
    while args and not args[0].startswith("-"):
        files.append(args.pop(0))
    if not files or (count and len(files) != count):
        raise UserError(f"{PROG}: {len(files)} files given where {count or 'some'} belong", f"usage: {PROG} {usage}")
    return files, args


def _command(arguments: Sequence[str]) -> None:
    verb, args = pop_verb(arguments, VERBS, prog=PROG, about=ABOUT)
    prog = f"{PROG} {verb}"
    if verb == "build":
        config = parse_flags(BuildConfig, args, prog=prog)
        from query_builder.build import build

        build(config)
    elif verb == "import":
        files, args = _files(args, 0, "import FILE… --output QUERIES.parquet")
        texts = parse_flags(ImportConfig, args, prog=prog)
        from query_builder.importing import import_lists

        import_lists(files, texts)
    elif verb == "inspect":
        files, args = _files(args, 1, "inspect QUERIES.parquet [--find TEXT]")
        settings = parse_flags(InspectConfig, args, prog=prog)
        from query_builder.inspect import inspect

        inspect(files[0], settings)
    elif verb == "diff":
        files, args = _files(args, 2, "diff OLD.parquet NEW.parquet")
        choices = parse_flags(DiffConfig, args, prog=prog)
        from query_builder.diff import diff

        diff(files[0], files[1], choices)
    else:
        files, args = _files(args, 1, "report QUERIES.parquet [--output PAGE.html]")
        page = parse_flags(ReportConfig, args, prog=prog)
        from query_builder.report import report

        report(files[0], page)


def main() -> int:
    """Runs the command line; returns the exit status."""
    return run_command(lambda: _command(sys.argv[1:]))
