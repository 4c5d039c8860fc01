"""What a build is going to do, from its settings and a look at its inputs; and whether a list is of that already.

In: the settings. Out: a :class:`Job`: the shards, the rules, and what decides each result, by which earlier ones are
taken up. Nothing is counted here.
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from query_builder.clean.markup import SiteRules, site_rules
from query_builder.config import BuildConfig
from query_builder.count.shard import shard_folder
from query_builder.function_words import function_words
from query_builder.importing import texts_of
from query_builder.inputs import check_language, check_twice, glance, hold_the_same
from query_builder.normalize import NORMAL_FORM
from query_builder.schema import candidates_path, form_of, is_whole
from query_builder.select import parse_budgets
from query_builder.sources.dump import Shard, plan_shards, read_site_info
from query_builder.sources.pageviews import views_path
from query_builder.sources.wordnet import wordnet_files
from query_builder.word_kinds import WordKinds
from webimagetext.errors import UserError
from webimagetext.files import is_url
from webimagetext.settings import fingerprint

__all__ = ["Job", "is_current", "plan", "work_folder"]

# Raise the one of what would be counted differently from the same dump: with all sections, or without some.
COUNTING_ALL, COUNTING_TEXT = 4, 6


@dataclasses.dataclass(frozen=True)
class Job:
    """What is read, and what decides the outcome."""

    config: BuildConfig
    budgets: Mapping[str, int]
    rules: SiteRules
    kinds: WordKinds
    excluded: frozenset[str]  # names that get no place
    shards: list[Shard]
    view_shards: list[Shard]
    files: list[str]
    glances: Mapping[str, tuple[int, str, str]]  # of the files
    identity: str  # of the files
    settings: dict[str, Any]
    shard_bytes: int | None

    def metadata(self, **counted: Any) -> dict[str, Any]:
        """What the list says of itself, with what was ``counted``."""
        return {"counting": counting(self.config), "settings": self.settings, **counted}

    def work(self) -> str:
        """Where the counts lie that hold for these inputs, whatever is chosen from them. Raises UserError for a URL."""
        config = self.config
        read = (config.language, config.on_corrupt, self.rules.sections)
        counts = fingerprint(self.identity, *read, self.shard_bytes)[:12]
        return os.path.join(work_folder(config), counts)

    def decided_by(self) -> dict[str, str]:
        """For each shard's result, by its path in the folder of counts, the fingerprint of what decides it."""
        config = self.config
        both = (counting(config), NORMAL_FORM, config.on_corrupt)
        rules = dataclasses.replace(self.rules, namespaces=frozenset())
        dump = fingerprint(*both, rules, sorted(self.rules.namespaces))
        views = fingerprint(*both, config.language)
        results = [(shard_folder("", shard.number), shard, dump) for shard in self.shards]
        results += [(views_path("", shard.number), shard, views) for shard in self.view_shards]
        return {
            path: fingerprint(rules, self.glances[shard.url], shard.start, shard.end) for path, shard, rules in results
        }


def plan(config: BuildConfig) -> Job:
    """Looks at the inputs without reading them."""
    budgets = parse_budgets(config.budget, config.size)
    published = config.compat == "metaclip"
    for name, given in (("--exclude", config.exclude), ("--stop-words", config.stop_words)):
        if given and published:
            raise UserError(f"{name}: has no place in the published rules (--compat metaclip)", "leave one of them out")
    stop_words = texts_of([config.stop_words] if config.stop_words else [])
    excluded = texts_of(config.exclude)
    kinds = WordKinds(
        function_words(config.language) if config.function_words == "drop" and not published else frozenset(),
        config.bare_numbers == "drop" and not published,
        stop_words,
    )
    information = [read_site_info(url) for url in config.dump]
    for url, site in zip(config.dump, information, strict=True):
        check_language(url, site.database, config.language, has_views=bool(config.pageviews))
    shard_bytes = round(config.shard_megabytes * (1 << 20)) or None
    shards, view_shards = plan_shards(config.dump, shard_bytes), plan_shards(config.pageviews, shard_bytes)
    counted = [*config.dump, *config.pageviews]
    files = [*counted, *(wordnet_files(config.wordnet) if config.wordnet else [])]
    glances = [glance(url) for url in files]
    check_twice(counted, glances[: len(counted)])
    identity = fingerprint(counting(config), NORMAL_FORM, glances)
    rules = site_rules(
        config.language, information[0].namespaces, without_lists_of_links=counting(config) == COUNTING_TEXT
    )
    settings = _settings(config, budgets)
    for name, texts in (("stop_words", stop_words), ("exclude", excluded)):
        if texts:
            settings[name] = f"{len(texts)} texts {fingerprint(sorted(texts))[:12]}"
    return Job(
        config, budgets, rules, kinds, excluded, shards, view_shards, files, dict(zip(files, glances, strict=True)),
        identity, settings, shard_bytes,
    )  # fmt: skip


def counting(config: BuildConfig) -> int:
    """The version of what is counted."""
    return COUNTING_ALL if config.all_sections or config.compat == "metaclip" else COUNTING_TEXT


def work_folder(config: BuildConfig) -> str:
    """Where intermediate counts lie: always on this machine, for they are mapped into memory and merged in place."""
    if config.work and is_url(config.work):
        raise UserError(f"--work {config.work}: intermediate counts need a local disk", "give a folder of this machine")
    # The list's name in the current folder, when it goes to an object store: the same command finds it again after a
    # kill.
    output = os.path.basename(config.output) if is_url(config.output) else config.output
    return config.work or f"{output}.work"


def _settings(config: BuildConfig, budgets: Mapping[str, int]) -> dict[str, Any]:
    """What decides the outcome, beside the inputs and a user's texts."""
    names: tuple[str, ...] = (
        "size",
        "min_word_count",
        "min_bigram_count",
        "min_pmi",
        "min_page_views",
        "compat",
        "language",
        "on_corrupt",
        "all_sections",
    )
    if config.compat == "none":
        names += ("min_log_likelihood", "function_words", "bare_numbers")
    return {**{name: getattr(config, name) for name in names}, "budgets": dict(budgets)}


def is_current(known: Mapping[str, Any] | None, job: Job) -> bool:
    """Whether a list was made by these settings from inputs that hold the same, and is whole, with its near misses; the
    inputs are read, where their sizes are equal."""
    output = job.config.output
    if not (is_whole(output) and is_whole(candidates_path(output))):
        return False
    if not known or known["settings"] != job.settings or known.get("counting") != counting(job.config):
        return False
    if form_of(known) != NORMAL_FORM:
        return False
    return hold_the_same(known["inputs"], job.files)
