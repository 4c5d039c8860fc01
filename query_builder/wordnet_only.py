"""A query list of WordNet alone, where no dump is given.

In: the settings with a WordNet folder. Out: ``queries.parquet`` with a row for each name of a synset in normal form.
Without counts the names of most synsets come first, should the list be shorter than all of them.
"""

from query_builder.config import BuildConfig
from query_builder.inputs import described
from query_builder.normalize import normalize
from query_builder.rows import write_queries
from query_builder.schema import Query
from query_builder.sources.synset import Synset
from query_builder.sources.wordnet import read_wordnet, wordnet_files
from webimagetext.errors import UserError

__all__ = ["build_from_wordnet"]


def build_from_wordnet(config: BuildConfig) -> None:
    """Writes the list and prints what it is made of. Raises UserError without WordNet, or for settings that need a
    dump."""
    if not config.wordnet:
        raise UserError(
            "no dump given",
            "name the files with --dump, fetch everything with --download enwiki-YYYYMMDD, or give --wordnet alone",
        )
    for name, given in (("--pageviews", config.pageviews), ("--compat metaclip", config.compat == "metaclip")):
        if given:
            raise UserError(f"{name} needs a dump", "name its files with --dump")
    files = wordnet_files(config.wordnet)
    synsets = read_wordnet(config.wordnet, config.language)
    by_name: dict[str, list[Synset]] = {}
    for synset in synsets:
        if name := normalize(synset.head):
            by_name.setdefault(name, []).append(synset)
    best = sorted(by_name, key=lambda name: (-len(by_name[name]), name))[: config.size]
    rows = [_row(name, by_name[name]) for name in sorted(best)]
    metadata = {
        "settings": {"compat": "none", "size": config.size},
        "inputs": [described(url) for url in files],
        "totals": {"synsets": len(synsets)},
    }
    write_queries(config.output, rows, metadata)
    print(f"wordnet  {len(synsets):,} synsets, {len(by_name):,} names in normal form; no dump was given")
    print(f"{config.output}: {len(rows):,} queries")


def _row(name: str, synsets: list[Synset]) -> Query:
    names = tuple(synset.name for synset in synsets)
    return Query(name, synsets[0].head, ("synset",), "synset", synsets=names)
