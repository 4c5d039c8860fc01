"""The query list of a run that was given texts instead of a list.

In: the configuration, whose ``queries`` may be any file of texts. Out: the configuration with a query list, made of the
texts by the same code as ``query_builder import``, in the run folder; equal texts give equal bytes, by which a step is
known to be done.
"""

import dataclasses
import sys

from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from query_builder.importing import compat_of, import_to
from query_builder.lists import is_query_list
from query_builder.normalize import NORMAL_FORM
from query_builder.schema import form_of, is_whole, read_metadata
from webimagetext.files import digest

__all__ = ["with_query_list"]


def with_query_list(run: RunFolder, config: RunConfig) -> RunConfig:
    """``config`` with a query list; one made of the same texts before is not made again. Raises UserError for unusable
    texts."""
    if is_query_list(config.queries):
        return config
    published = config.matching == "metaclip"
    known = read_metadata(run.own_queries) or {"inputs": [], "settings": {}}
    same = [item["sha256"] for item in known["inputs"]] == [digest(config.queries)]
    same = same and form_of(known) == NORMAL_FORM and known["settings"]["compat"] == compat_of(published)
    if not same or not is_whole(run.own_queries):
        found = import_to(run.own_queries, [config.queries], as_written=published)
        print("\n".join([f"queries: {config.queries}", *(f"  {line}" for line in found.lines())]), file=sys.stderr)
    return dataclasses.replace(config, queries=run.own_queries)
