"""The text rules of a run, in the order in which they are applied: cheap before dear, and the most telling reason
first."""

import pyarrow as pa

from pipeline.own import own_rules
from pipeline.tables.ledger import Rule
from pipeline.text.blocked import BlockedWordsRule
from pipeline.text.boilerplate import BoilerplateRule, built_in_phrases
from pipeline.text.config import TextConfig
from pipeline.text.contacts import ContactRule
from pipeline.text.file_name import FileNameRule
from pipeline.text.language import LanguageRule, dictionary_from_queries
from pipeline.text.length import LengthRule
from pipeline.text.markup import MarkupRule
from pipeline.text.natural import NaturalRule
from pipeline.text.phrases import read_phrases
from pipeline.text.repeated import RepeatedTextRule
from query_builder.lists import read_list

__all__ = ["read_rules", "text_rules"]


def read_rules(config: TextConfig, queries: str, repeated: pa.Table | None) -> list[Rule]:
    """All rules of a run in their order, that for repeated captions first.

    ``queries`` is the query list's address, for the dictionary of the language rule; ``repeated`` are the captions
    that repeat too often (FREQUENT_CAPTIONS), None where they may.
    """
    dictionary = dictionary_from_queries(read_list(queries, ("query", "sources")))
    first: list[Rule] = [] if repeated is None else [RepeatedTextRule(repeated)]
    return [*first, *text_rules(config, dictionary)]


def text_rules(config: TextConfig, dictionary: frozenset[str] = frozenset()) -> list[Rule]:
    """The rules that ``config`` asks for, but for repeated captions. They add the columns ``marks`` and ``p_english``
    in any case.

    ``dictionary`` (from :func:`pipeline.text.language.dictionary_from_queries`) helps the language rule with English
    alone. Reads the lists that the settings name; raises UserError if one is missing.
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
    rules.append(
        LanguageRule(
            config.detector,
            config.language,
            config.language_threshold,
            config.language_low_threshold,
            config.dictionary_share,
            dictionary if config.language == "en" else frozenset(),
        )
    )
    return rules
