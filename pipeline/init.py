"""``pipeline init JOB``: the configuration of one of four jobs, with a comment at each line and one's own values.

In: a job, and what only its user knows: options, or answers at a terminal. Out: a TOML file, which the other verbs take
as it is. The files of jobs/ are the jobs; a value is put where its key stands. Nothing is written over, and nothing
that the verbs would refuse.
"""

import json
import re
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Annotated

from pipeline.config import RunConfig
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.flags import split_words
from webimagetext.ranges import Range, Ranged
from webimagetext.settings import from_dict, suggestion

__all__ = ["JOBS", "InitFlags", "configuration", "init"]


@dataclass(frozen=True)
class Job:
    """A file of jobs/, and how its user is asked: for ``inputs``, which stand under the key ``source``, and for the
    ``size``, a key of a number, whose question is empty where the job has none."""

    about: str
    file: str
    source: str
    inputs: str
    size: str = ""
    how_much: str = ""
    asks_sites: bool = True
    usual: bool = False  # whether the file's own inputs are an answer


JOBS = {
    "site": Job(
        "a web site, your own or one whose owner agrees",
        "own_site.toml",
        "seeds",
        "Addresses at which the crawl begins",
        "max_pages",
        "Pages at most",
    ),
    "list": Job(
        "tables of image addresses with texts",
        "url_list.toml",
        "inputs",
        "Files of the list, or patterns of them",
        "sample",
        "Share of the files that is read",
    ),
    "archives": Job(
        "WARC or ARC files, with their pictures or without",
        "warc.toml",
        "inputs",
        "Archives, or patterns of them",
        asks_sites=False,
    ),
    "common-crawl": Job(
        "a share of a crawl of Common Crawl",
        "common_crawl.toml",
        "inputs",
        "Name of the crawl",
        "sample",
        "Share of the crawl's files that is read",
        usual=True,
    ),
}
CONTACT = "E-mail address or web page at which sites' owners reach you"
USAGE = "JOB [options]"


@dataclass(frozen=True)
class InitFlags(Ranged):
    """What only the user of a job knows."""

    output: str = "run.toml"
    """The file to write."""
    inputs: tuple[str, ...] = ()
    """Where pairs come from: addresses of a site; files of a list; archives; the name of a crawl."""
    contact: str = ""
    """E-mail address or web page at which sites' owners reach you; nothing is asked without it."""
    language: str = ""
    """The captions' language, two letters (en); "all" keeps every language."""
    queries: str = ""
    """The list of what to look for (queries.parquet)."""
    size: Annotated[float, Range(0)] = 0.0
    """How much to begin with: pages of a site at most; the share of a list's or crawl's files. 0: as the job has it."""


def init(args: Sequence[str], prog: str) -> int:
    """The verb: writes the file, and says what to type next."""
    about = (
        "Writes the configuration of a job, with a comment at each line. At a terminal it asks for what is not given."
    )
    about += " The jobs are " + "; ".join(f"{name}, {job.about}" for name, job in JOBS.items()) + "."
    command = f"{prog} init"
    words = split_words(InitFlags(), args, prog=command, usage=USAGE, about=about)
    flags = words.apply(InitFlags())
    if not words.files:
        raise UserError(f"{command}: no job given", f"one of: {', '.join(JOBS)}; before --inputs, which takes several")
    for name in words.files[1:]:
        raise UserError(f"{command}: {name!r} belongs to no option", f"usage: {command} {USAGE}")
    if words.files[0] not in JOBS:
        hint = suggestion(words.files[0], JOBS) or f"one of: {', '.join(JOBS)}"
        raise UserError(f"{command}: there is no job {words.files[0]!r}", hint)
    if files.exists(flags.output):
        raise UserError(f"{flags.output}: is there already", "name another file with --output")
    text = configuration(JOBS[words.files[0]], flags, _asking(), command)
    with files.write_atomic(flags.output, "w") as stream:
        stream.write(text)
    queries = tomllib.loads(text)["queries"]
    if not files.exists(queries):
        print(f"{queries} is not there yet: `webimagetext queries --help` tells how to make a list", file=sys.stderr)
    print(
        f"{flags.output} is written; its comments say what else can be set. Next, what a run would bring, and a run:\n"
        f"  {prog} plan {flags.output}\n"
        f"  {prog} run {flags.output} --output my-run"
    )
    return 0


def _asking() -> Callable[[str], str] | None:
    """How to ask the user; None where nobody would answer."""
    return input if sys.stdin.isatty() and sys.stdout.isatty() else None


def configuration(job: Job, flags: InitFlags, ask: Callable[[str], str] | None, prog: str) -> str:
    """The job's file with the values of ``flags``, and of the answers to what these leave open. Raises UserError for a
    value that the other verbs would refuse, and without ``ask`` where one is lacking."""
    text = resources.files("pipeline").joinpath("jobs", job.file).read_text(encoding="utf-8")
    given = tomllib.loads(text)
    extract = given["extract"]

    def answer(value: str, question: str, default: str = "") -> str:
        if value or ask is None:
            return value or default
        try:
            return ask(f"{question}{f' [{default}]' if default else ''}: ").strip() or default
        except EOFError:
            raise UserError(f"{prog}: no more answers", f"{prog} --help names the options that give them") from None

    usual = ", ".join(extract[job.source]) if job.usual else ""
    inputs = flags.inputs or tuple(re.split(r"[,\s]+", answer("", job.inputs, usual)))
    contact = answer(
        flags.contact, CONTACT + ("" if job.asks_sites else ", where not all pictures are in the archives")
    )
    lacking = [*(["--inputs"] if not any(inputs) else []), *(["--contact"] if job.asks_sites and not contact else [])]
    if lacking:
        raise UserError(f"{prog}: {' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} needed")
    language = answer(flags.language, 'Language of the captions, or "all"', given["text"]["language"])
    queries = answer(flags.queries, "List of what to look for", given["queries"])
    values: dict[str, object] = {job.source: list(inputs), "contact": contact, "queries": queries}
    values |= {"detector": "off"} if language == "all" else {"language": language}
    if job.size:
        size = answer(f"{flags.size:g}" if flags.size else "", job.how_much, f"{extract[job.size]:g}")
        values[job.size] = _number(size, job.how_much, whole=isinstance(extract[job.size], int), prog=prog)
    for key, value in values.items():
        # By a function, since a text as replacement would take a backslash of the value for its own.
        text = re.sub(rf"(?m)^{key} = .*$", partial(_line, key, value), text)
    text = text.replace(f"run {job.file}", f"run {flags.output}")
    from_dict(RunConfig, tomllib.loads(text), where=prog)
    return text


def _number(words: str, question: str, *, whole: bool, prog: str) -> float:
    try:
        return int(words) if whole else float(words)
    except ValueError:
        raise UserError(f"{prog}: {question}: {words!r} is no{' whole' if whole else ''} number") from None


def _line(key: str, value: object, _before: re.Match[str]) -> str:
    """A text, a number or a list of texts as TOML writes it, which for these is as JSON does."""
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"
