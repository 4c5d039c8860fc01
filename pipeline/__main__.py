"""The command line: ``python -m pipeline VERB CONFIG.toml --output RUN [options] [-- Beam options]``."""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from webimagetext.errors import UserError, run_command
from webimagetext.settings import parse_flags, pop_verb

__all__ = ["VERBS", "main"]

VERBS = {
    "run": "all stages below, in order; finished ones are skipped",
    "extract": "crawl pages, or read archives or URL lists, for candidate pairs",
    "rules": "show what each text rule would drop of the candidates, writing nothing",
    "curate": "filter the texts, match the queries, balance",
    "fetch": "download the images of the selected pairs into the image store",
    "package": "filter the images, shuffle, and write the shards",
    "report": "write funnel.json, report.html, the dataset card and croissant.json",
}
ABOUT = "Builds an image-text dataset from the web: candidates, curation, images, shards."


def _run_stages(verb: str, args: Sequence[str]) -> None:
    import tyro

    from pipeline.config import RunConfig
    from webimagetext.settings import from_toml

    words, options = list(args), []
    if "--" in words:
        cut = words.index("--")
        words, options = words[:cut], words[cut + 1 :]
    defaults = RunConfig()
    if words and not words[0].startswith("-"):
        defaults = from_toml(RunConfig, words.pop(0))
    elif not {"-h", "--help"} & set(words):
        raise UserError(
            f"pipeline {verb}: no configuration file given", f"python -m pipeline {verb} CONFIG.toml --output RUN"
        )

    @dataclass(frozen=True)
    class Flags:
        output: str
        """Run folder, path or URL (local, s3://, gs://)."""
        config: Annotated[RunConfig, tyro.conf.arg(name="")] = defaults
        workers: int = 0
        """Worker processes of a local run; 0 takes one a core for long stages and none for short ones."""

    Flags.__doc__ = (
        f"{VERBS[verb]}.\n\nusage: python -m pipeline {verb} CONFIG.toml --output RUN [options] [-- Beam options]\n\n"
        "Every option below can also stand in the TOML file, under the table its name begins with; an option given here wins. "
        "Words after -- go to Beam unchanged, for example -- --runner=SparkRunner."
    )
    flags = parse_flags(Flags, words, prog=f"python -m pipeline {verb} CONFIG.toml")

    logging.getLogger().setLevel(logging.ERROR)  # Beam warns, on import, of optional parts that are not installed
    from pipeline.steps import run_verb

    run_verb(verb, flags.output, flags.config, options, flags.workers)


def _try_rules(args: Sequence[str]) -> None:
    import tyro

    from pipeline.config import RunConfig
    from webimagetext.settings import from_toml

    words = list(args)
    defaults = from_toml(RunConfig, words.pop(0)) if words and not words[0].startswith("-") else RunConfig()

    @dataclass(frozen=True)
    class Flags:
        output: str
        """Run folder with candidates, path or URL."""
        sample: int = 100_000
        """Candidates to look at, about, drawn by a hash; 0 looks at all."""
        config: Annotated[RunConfig, tyro.conf.arg(name="")] = defaults

    Flags.__doc__ = f"{VERBS['rules']}.\n\nusage: python -m pipeline rules CONFIG.toml --output RUN [options]"
    flags = parse_flags(Flags, words, prog="python -m pipeline rules CONFIG.toml")

    from pipeline.dry_run import format_counts, try_rules
    from pipeline.layout import RunFolder

    print(format_counts(*try_rules(RunFolder(flags.output), flags.config, flags.sample)))


def main(args: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit status."""

    def command() -> None:
        verb, rest = pop_verb(sys.argv[1:] if args is None else args, VERBS, prog="python -m pipeline", about=ABOUT)
        _try_rules(rest) if verb == "rules" else _run_stages(verb, rest)

    return run_command(command)


if __name__ == "__main__":
    sys.exit(main())
