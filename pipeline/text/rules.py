"""The text rules of a run, in the order in which they are applied: cheap before dear, and the most telling reason
first."""

from collections.abc import Iterable

import pyarrow as pa

from pipeline.own import own_rules
from pipeline.tables.ledger import Rule
from pipeline.tables.schema import SITE_LANGUAGES
from pipeline.text.blocked import BlockedWordsRule
from pipeline.text.boilerplate import BoilerplateRule, built_in_phrases
from pipeline.text.config import TextConfig
from pipeline.text.contacts import ContactRule
from pipeline.text.english import Lexicon, lexicon_from_queries
from pipeline.text.file_name import FileNameRule
from pipeline.text.language import LanguageRule
from pipeline.text.length import LengthRule
from pipeline.text.markup import MarkupRule
from pipeline.text.natural import NaturalRule
from pipeline.text.phrases import read_phrases
from pipeline.text.repeated import RepeatedTextRule
from pipeline.text.sites import SiteLanguages, count_sites, read_sites, sum_sites
from query_builder.lists import read_list

__all__ = ["lexicon_for", "read_rules", "sites_of", "text_rules"]


def lexicon_for(config: TextConfig, queries: str) -> Lexicon | None:
    """What the query list of that address tells of English words; None where the language rule doesn't ask."""
    if config.detector == "off" or config.language != "en":
        return None
    return lexicon_from_queries(read_list(queries, ("query", "sources")))


def sites_of(batches: Iterable[pa.RecordBatch], config: TextConfig, queries: str) -> pa.Table | None:
    """What the sites of candidates are in (SITE_LANGUAGES), counted here and now; None where nobody asks."""
    if config.detector == "off":
        return None
    lexicon = lexicon_for(config, queries)
    counts = [count_sites(batch, config.detector, config.language, lexicon) for batch in batches]
    return sum_sites(pa.Table.from_batches(counts, schema=SITE_LANGUAGES))


def read_rules(
    config: TextConfig, queries: str, repeated: pa.Table | None, sites: pa.Table | None = None
) -> list[Rule]:
    """All rules of a run in their order, that for repeated captions first.

    ``queries`` is the query list's address, for the dictionary of the language rule; ``repeated`` are the captions
    that repeat too often (FREQUENT_CAPTIONS), None where they may; ``sites`` is what the candidates' sites are in
    (SITE_LANGUAGES), None where that was not counted.
    """
    first: list[Rule] = [] if repeated is None else [RepeatedTextRule(repeated)]
    told = None if sites is None else read_sites(sites)
    return [*first, *text_rules(config, lexicon_for(config, queries), told)]


def text_rules(config: TextConfig, lexicon: Lexicon | None = None, sites: SiteLanguages | None = None) -> list[Rule]:
    """The rules that ``config`` asks for, but for repeated captions. They add the columns ``marks``, ``p_english`` and
    ``p_context`` in any case.

    ``lexicon`` (from :func:`pipeline.text.english.lexicon_from_queries`) helps the language rule with English alone.
    Reads the lists that the settings name; raises UserError if one is missing.
    """
    rules: list[Rule] = []
    if config.file_names:
        rules.append(FileNameRule())
    if config.boilerplate:
        more = read_phrases(config.boilerplate_file) if config.boilerplate_file else []
        rules.append(BoilerplateRule((*built_in_phrases(), *more)))
    if config.markup:
        rules.append(MarkupRule())
    rules.append(LengthRule(config.min_words, config.max_words, config.min_characters, config.max_characters))
    rules.append(NaturalRule(config.min_letter_share, config.max_word_length, config.min_distinct_share))
    if config.blocked_words:
        rules.append(BlockedWordsRule(tuple(read_phrases(config.blocked_words))))
    rules.append(ContactRule(config.marks, config.drop_marked))
    rules += own_rules("text.rules", config.rules)
    rules.append(LanguageRule(config.detector, config.language, config.language_threshold, lexicon, sites))
    return rules
