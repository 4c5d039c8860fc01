"""``pipeline explain RUN URL|KEY``: the whole story of a pair, or why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass

from webimagetext.errors import UserError
from webimagetext.flags import split_words
from webimagetext.ranges import Ranged

__all__ = ["UNKNOWN", "ExplainFlags", "explain_asked"]

USAGE = "RUN URL|KEY [options]"
ABOUT = """Tells the story of a pair, by its key or its image's address: where it was found, its texts and why this one,
what each rule says with its numbers, the queries it holds and their draws, its picture, its place in the shards; or at
which step it went, and which setting would keep it. Of a page's address it lists the pairs. Ends with status 3 where
the run knows nothing of it."""
UNKNOWN = 3  # exit status


@dataclass(frozen=True)
class ExplainFlags(Ranged):
    """The options of ``explain``."""

    json: str = ""
    """File for the story as JSON, path or URL; - for the standard output, instead of the text."""


def explain_asked(args: Sequence[str], prog: str) -> int:
    """The verb: prints the stories; returns the exit status."""
    words = split_words(ExplainFlags(), args, prog=f"{prog} explain", usage=USAGE, about=ABOUT)
    if len(words.files) != 2:
        raise UserError(f"{prog} explain: give a run and an address or key", f"usage: {prog} explain {USAGE}")
    flags = words.apply(ExplainFlags())

    from pipeline.explaining.assemble import explain
    from pipeline.explaining.tell import in_json, stories_in_words
    from webimagetext.files import write_atomic
    from webimagetext.foreign import shown

    run, asked = words.files
    stories = explain(run, asked)
    if flags.json and flags.json != "-":
        with write_atomic(flags.json, "w") as stream:
            stream.write(in_json(asked, stories))
    if flags.json == "-":
        print(in_json(asked, stories).rstrip())
    else:
        print(shown(stories_in_words(stories) if stories else f"{asked}: nothing in {run} knows of it"))
    return 0 if stories else UNKNOWN
