"""The command line: ``python -m pipeline VERB CONFIG.toml --output RUN [options] [-- Beam options]``.

The configuration and the options may stand in any order; an option wins over the file.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pipeline.config import RunConfig
from pipeline.planning.rates import Rates
from webimagetext.command import run_command
from webimagetext.errors import UserError
from webimagetext.flags import Words, split_words
from webimagetext.options import FLAT
from webimagetext.ranges import Range, Ranged
from webimagetext.settings import from_toml, pop_verb

__all__ = ["VERBS", "main"]

VERBS = {
    "init": "write the configuration of a job, asking for what is needed",
    "run": "all stages below, in order; finished ones are skipped",
    "extract": "crawl pages, or read archives or URL lists, for candidate pairs",
    "rules": "show what each text rule would drop of the candidates, writing nothing",
    "curate": "filter the texts, match the queries, balance",
    "fetch": "download the images of the selected pairs into the image store",
    "package": "filter the images, shuffle, and write the shards",
    "report": "write funnel.json, report.html, the dataset card and croissant.json",
    "plan": "tell what a run is going to bring, take and cost, asking no site for anything",
    "explain": "tell the story of a pair: kept, or dropped where and why",
    "remove": "take pairs out of finished shards, and keep them out",
    "export": "write a finished run as a dataset to hand on, or its links alone",
    "import": "make the set of an export's links again",
    "check": "prove that all files of a run, or of shards, are what was written",
}
# The tables of options that a verb goes by, shown first.
TABLES = {
    "plan": ("speeds", "assumed", "prices"),
    "extract": ("extract", "http"),
    "rules": ("text",),
    "curate": ("text", "balance"),
    "fetch": ("fetch", "http", "image"),
    "package": ("package", "image"),
}
PROG = "python -m pipeline"
ABOUT = "Builds an image-text dataset from the web: candidates, curation, images, shards."

IMPORT_ABOUT = """Makes the set that a list of links names again: asks for each picture where it lives, keeps those
that are what they were, by their hash, and writes the same pairs into shards, with the same keys and the same pairs
held out. Says which share could be had. LIST is a folder that export wrote. Words after -- go to Beam unchanged."""


@dataclass(frozen=True)
class RunFlags(Ranged):
    """The options of a stage, beside those of the configuration."""

    output: str = ""
    """Run folder, path or URL (local, s3://, gs://); needed."""
    workers: Annotated[int, Range(0, 1024)] = 0
    """Worker processes of a local run; 0 takes one a core for long stages and none for short ones."""
    config: RunConfig = field(default_factory=RunConfig, metadata=FLAT)


@dataclass(frozen=True)
class RulesFlags(Ranged):
    """The options of ``rules``, beside those of the configuration."""

    output: str = ""
    """Run folder with candidates, path or URL; needed."""
    sample: Annotated[int, Range(0)] = 100_000
    """Candidates to look at, about, drawn by a hash; 0 looks at all."""
    config: RunConfig = field(default_factory=RunConfig, metadata=FLAT)


@dataclass(frozen=True)
class PlanFlags(Ranged):
    """The options of ``plan``, beside those of the configuration."""

    output: str = ""
    """Run folder, path or URL, that earlier runs made: what it knows of pages, candidates, pictures and hosts is
    used."""
    sample: Annotated[int, Range(1)] = 20_000
    """Rows to look at, about, in places spread over all inputs."""
    workers: Annotated[tuple[int, ...], Range(1)] = (1, 2, 8, 64)
    """Numbers of workers to reckon with."""
    engines: tuple[Literal["local", "spark", "dataflow"], ...] = ("local", "spark", "dataflow")
    """Engines to reckon with."""
    rates: str = ""
    """TOML file with other numbers: the tables [speeds], [assumed] and [prices], with the names of these options."""
    json: str = ""
    """File for the plan as JSON, path or URL; - for the standard output, instead of the text."""
    reckoning: Rates = field(default_factory=Rates, metadata=FLAT)
    config: RunConfig = field(default_factory=RunConfig, metadata=FLAT)


@dataclass(frozen=True)
class CheckFlags(Ranged):
    """The options of ``check``."""

    sample: Annotated[int, Range(0)] = 0
    """Pictures of each shard that are decoded, the first ones; 0 decodes all."""
    readers: bool = True
    """Read the first shard with webdataset and datasets too, where these are installed."""
    note: bool = True
    """Note the damaged files of a run beside them, by which `pipeline run` makes them anew."""
    json: str = ""
    """File for the report as JSON, path or URL."""


def _split(
    flags: RunFlags | RulesFlags | PlanFlags, verb: str, args: Sequence[str], prog: str, beam: bool
) -> tuple[Words, RunConfig]:
    """The words of a command line, and what its configuration file says."""
    usage = "CONFIG.toml [options]" if verb == "plan" else "CONFIG.toml --output RUN [options]"
    about = (
        f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}.\n\nEvery option, but for --output and the one after it, can also "
    )
    about += "stand in the TOML file, under the table its name begins with; an option given here wins."
    if beam:
        about += " Words after -- go to Beam unchanged, for example -- --runner=SparkRunner."
    prog = f"{prog} {verb}"
    words = split_words(flags, args, prog=prog, usage=usage, about=about, first=TABLES.get(verb, ()))
    if len(words.files) > 1:
        raise UserError(f"{prog}: {words.files[1]!r} belongs to no option", f"usage: {prog} {usage}")
    if not words.files and verb != "rules":
        # An option with any number of values takes the words after it, a configuration too.
        taken = [
            option.name for option, values in words.given if not isinstance(values, bool) and values[-1:] != values[:1]
        ]
        hint = f"usage: {prog} {usage}" + (
            f"; it stands before --{taken[-1]}, which takes several values" if taken else ""
        )
        raise UserError(f"{prog}: no configuration file given", hint)
    return words, from_toml(RunConfig, words.files[0]) if words.files else RunConfig()


def _without_beam(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before a bare --, and those after it, which are Beam's."""
    words = list(args)
    if "--" not in words:
        return words, []
    cut = words.index("--")
    return words[:cut], words[cut + 1 :]


def _run_stages(verb: str, args: Sequence[str], prog: str) -> int:
    words, options = _without_beam(args)
    given, config = _split(RunFlags(), verb, words, prog, beam=True)
    flags = given.apply(RunFlags(config=config))
    _need_output(flags.output, given.prog)
    logging.getLogger().setLevel(logging.ERROR)  # Beam warns, on import, of optional parts that are not installed
    from pipeline.run import run_verb

    return run_verb(verb, flags.output, flags.config, options, flags.workers)


def _need_output(output: str, prog: str) -> None:
    if not output:
        raise UserError(
            f"{prog}: --output is needed", "--output RUN: the folder, path or URL, of everything that is made"
        )


def _try_rules(args: Sequence[str], prog: str) -> int:
    given, config = _split(RulesFlags(), "rules", args, prog, beam=False)
    flags = given.apply(RulesFlags(config=config))
    _need_output(flags.output, given.prog)

    from pipeline.keeping.folder import RunFolder
    from pipeline.stages.rules import format_counts, try_rules

    print(format_counts(*try_rules(RunFolder(flags.output), flags.config, flags.sample)))
    return 0


def _plan(args: Sequence[str], prog: str) -> int:
    given, config = _split(PlanFlags(), "plan", args, prog, beam=False)
    named = given.apply(PlanFlags(config=config)).rates
    rates = from_toml(Rates, named) if named else Rates()
    flags = given.apply(PlanFlags(reckoning=rates, config=config))

    from pipeline.keeping.folder import RunFolder
    from pipeline.planning.make import make_plan
    from pipeline.planning.tell import in_json, in_words
    from webimagetext.files import write_atomic

    run = RunFolder(flags.output) if flags.output else None
    plan = make_plan(flags.config, run, flags.reckoning, flags.sample, flags.engines, flags.workers)
    if flags.json and flags.json != "-":
        with write_atomic(flags.json, "w") as stream:
            stream.write(in_json(plan))
    print(in_json(plan).rstrip() if flags.json == "-" else in_words(plan, flags.config))
    return 0


def _init(args: Sequence[str], prog: str) -> int:
    from pipeline.init import init

    return init(args, prog)


def _explain(args: Sequence[str], prog: str) -> int:
    from pipeline.explaining.command import explain_asked

    return explain_asked(args, prog)


def _remove(args: Sequence[str], prog: str) -> int:
    from pipeline.removing.command import remove_listed

    return remove_listed(args, prog)


def _export(args: Sequence[str], prog: str) -> int:
    from pipeline.sharing.command import export_run

    return export_run(args, prog)


def _import(args: Sequence[str], prog: str) -> int:
    words, options = _without_beam(args)
    usage, about = "LIST --output RUN [options]", IMPORT_ABOUT
    given = split_words(RunFlags(), words, prog=f"{prog} import", usage=usage, about=about, first=("http", "fetch"))
    if len(given.files) != 1:
        raise UserError(f"{prog} import: give the folder of one list", f"usage: {prog} import {usage}")
    _need_output(given.apply(RunFlags()).output, given.prog)

    from pipeline.sharing.recipe import import_config

    flags = given.apply(RunFlags(config=import_config(given.files[0])))
    logging.getLogger().setLevel(logging.ERROR)
    from pipeline.keeping.folder import RunFolder
    from pipeline.run import run_verb
    from pipeline.sharing.rebuilt import compare, in_a_line

    status = run_verb("run", flags.output, flags.config, options, flags.workers)
    print(in_a_line(compare(flags.config.extract.inputs, RunFolder(flags.output))))
    return status


def _check(args: Sequence[str], prog: str) -> int:
    prog, usage = f"{prog} check", "FOLDER [options]"
    about = (
        "Proves that all files of a run, or of a folder of shards, are what was written: their bytes, their counts, "
        "and that pictures decode. Shards of other programs, such as img2dataset, are held against themselves. Ends "
        "with status 2 where a file is damaged."
    )
    words = split_words(CheckFlags(), args, prog=prog, usage=usage, about=about)
    if len(words.files) != 1:
        raise UserError(f"{prog}: give one folder", f"usage: {prog} {usage}")
    flags = words.apply(CheckFlags())

    from pipeline.audit.check import run_check

    return run_check(words.files[0], flags.sample, flags.readers, flags.note, flags.json)


# The verbs that are no stages of a run.
OWN = {
    "init": _init,
    "rules": _try_rules,
    "plan": _plan,
    "explain": _explain,
    "remove": _remove,
    "export": _export,
    "import": _import,
    "check": _check,
}


def main(args: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Runs one command line, typed after ``prog``; returns the exit status."""

    def command() -> int:
        verb, rest = pop_verb(sys.argv[1:] if args is None else args, VERBS, prog=prog, about=ABOUT)
        return OWN[verb](rest, prog) if verb in OWN else _run_stages(verb, rest, prog)

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
