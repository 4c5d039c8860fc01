"""What the cleaner knows about MediaWiki: tags, HTML entities, link prefixes, and what marks a disambiguation page or a
list.

In: the language code of a Wikipedia and the namespace names its dump declares. Out: the hash tables that
:mod:`query_builder.clean.wikitext` looks names up in. Sources: MediaWiki's parser tests and documentation of extension
tags, and each Wikipedia's own disambiguation templates.
"""

import html.entities
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from query_builder.clean.templates import (
    BLOCK,
    CODE_POINT,
    ENDLESS,
    FUNCTION,
    LAST_ALONE,
    NAMED,
    PARTED,
    RANGES,
    SLASHED,
)
from query_builder.hash_table import HashTable, hash_table

__all__ = ["Markup", "SiteRules", "markup_tables", "site_rules"]

# What to do with a tag: leave it out, leave it out and break the text, drop all up to the closing tag, keep the inside
# as it is written, or drop it as a table that may hold markup and further tables.
INLINE, BREAK, DROP, LITERAL, TABLE = range(5)
ACTIONS = 8  # a tag's table entry is its number times this, plus its action


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


TAGS: dict[int, tuple[str, ...]] = {
    INLINE: _names(
        "a abbr acronym b bdi bdo big cite code del dfn em font i ins kbd mark noinclude onlyinclude q rb rp rt ruby "
        "s samp small span strike strong sub sup time tt u var wbr"
    ),
    BREAK: _names(
        "blockquote br caption center col dd div dl dt h1 h2 h3 h4 h5 h6 hr li ol p poem references td th tr ul section"
    ),
    DROP: _names(
        "ref math chem ce gallery timeline source syntaxhighlight pre score hiero graph mapframe maplink imagemap "
        "templatestyles templatedata categorytree inputbox includeonly indicator script style"
    ),
    LITERAL: ("nowiki",),
    TABLE: ("table",),
}

# A link whose prefix is one of these shows nothing in the text: media and categories by namespace number, and other
# languages.
FILE_AND_CATEGORY = (6, 14)
# What every Wikipedia calls its namespaces too, the main one and that of lists apart.
NAMESPACES = (
    *_names("media special talk user file image mediawiki template help category portal draft module timedtext"),
    *(f"{name} talk" for name in _names("user file image mediawiki template help category portal draft module")),
)
DEFAULT_NAMESPACES = {6: ("File", "Image"), 14: ("Category",)}
LANGUAGES = _names(
    "aa ab ace ady af ak als alt am an ang ar arc arz as ast atj av ay az azb ba ban bar bcl be bg bh bi bjn bm bn bo "
    "bpy br bs bug bxr ca cbk ce ceb ch chr chy ckb co cr crh cs csb cu cv cy da de din diq dsb dty dv dz ee el eml "
    "en eo es et eu ext fa ff fi fj fo fr frp frr fur fy ga gag gan gd gl glk gn gom gor got gu gv ha hak haw he hi "
    "hif ho hr hsb ht hu hy hz ia id ie ig ii ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kg ki kj kk kl "
    "km kn ko koi kr krc ks ksh ku kv kw ky la lad lb lbe lez lfn lg li lij lmo ln lo lrc lt ltg lv mai mdf mg mh mhr "
    "mi min mk ml mn mr mrj ms mt mus mwl my myv mzn na nah nap nds ne new ng nl nn no nov nrm nso nv ny oc olo om or "
    "os pa pag pam pap pcd pdc pfl pi pih pl pms pnb pnt ps pt qu rm rmy rn ro ru rue rw sa sah sat sc scn sco sd se "
    "sg sh shn si sk sl sm sn so sq sr srn ss st stq su sv sw szl ta tcy te tet tg th ti tk tl tn to tpi tr ts tt tum "
    "tw ty tyv udm ug uk ur uz ve vec vep vi vls vo wa war wo wuu xal xh xmf yi yo za zea zh zu simple be-tarask "
    "be-x-old bat-smg cbk-zam fiu-vro map-bms nds-nl roa-rup roa-tara zh-classical zh-min-nan zh-yue"
)

# Lower case, spaces for underscores. The English names cover the redirects in common use.
DISAMBIGUATION: dict[str, tuple[str, ...]] = {
    "en": (
        "disambiguation", "disambig", "disamb", "dab", "dis", "disambiguation page", "disambiguation cleanup",
        "disambig-cleanup", "human name disambiguation", "hndis", "hndisambig", "place name disambiguation", "geodis",
        "airport disambiguation", "airport disambig", "biology disambiguation", "call sign disambiguation",
        "callsigndis",
        "caselaw disambiguation", "chinese title disambiguation", "genus disambiguation", "hospital disambiguation",
        "hospitaldis",
        "letter disambiguation", "letter-number combination disambiguation", "letter-number combination disambig",
        "letter–number combination disambiguation", "lndisambig", "mathematical disambiguation", "mathdab",
        "military unit disambiguation", "mil-unit-dis", "music disambiguation", "number disambiguation", "numberdis",
        "one-letter disambiguation", "two-letter disambiguation", "phonetics disambiguation", "portal disambiguation",
        "road disambiguation", "roaddis", "school disambiguation", "schooldis",
        "species latin name abbreviation disambiguation",
        "latindab", "species latin name disambiguation", "station disambiguation", "synagogue disambiguation",
        "taxonomic authority disambiguation", "taxonomy disambiguation", "tndis", "town disambiguation",
        "wp disambig", "wikipedia disambiguation",
    ),
    "simple": ("disambiguation", "disambig", "dab", "geodis", "hndis"),
    "de": ("begriffsklärung",),
    "fr": ("homonymie", "homonymes", "patronyme", "toponymie", "paronymie", "homonymie de personnes"),
    "es": ("desambiguación", "desambig", "des"),
    "it": ("disambigua",),
    "nl": ("dp", "doorverwijspagina"),
    "pl": ("ujednoznacznienie", "disambig"),
    "pt": ("desambiguação", "desambig"),
    "ru": ("неоднозначность", "disambig"),
    "sv": ("förgrening", "gren"),
    "uk": ("disambig", "неоднозначність"),
    "bg": ("пояснение", "disambig"),
    "cs": ("rozcestník",),
    "ja": ("aimai", "曖昧さ回避"),
    "zh": ("disambig", "消歧义", "消歧義", "消歧义页"),
}  # fmt: skip
LISTS: dict[str, tuple[str, ...]] = {
    "en": ("List of ", "Lists of ", "Index of ", "Outline of "),
    "simple": ("List of ", "Lists of "),
    "de": ("Liste ", "Listen "),
    "fr": ("Liste ", "Listes "),
    "es": ("Anexo:", "Lista "),
    "it": ("Lista ", "Liste "),
    "nl": ("Lijst van ", "Lijst der "),
    "pl": ("Lista ",),
    "pt": ("Lista ", "Anexo:"),
    "ru": ("Список ", "Списки "),
    "sv": ("Lista över ", "Lista "),
    "uk": ("Список ", "Списки "),
    "cs": ("Seznam ",),
    "ja": ("一覧",),
}


# Templates that show some of their arguments: by number, 0 being what follows a colon. In most Wikipedias they are the
# same, or redirects of these names; a name that ends in a hyphen or a colon stands for all that begin so.
SHOWN_TEMPLATES: dict[tuple[int, ...], tuple[str, ...]] = {
    (0,): ("formatnum:", "lc:", "uc:", "lcfirst:", "ucfirst:"),
    (1,): (
        "nowrap", "nobr", "nobreak", "nowraplinks", "nwr", "small", "smaller", "big", "big2", "large", "larger", "huge",
        "abbr", "abbrv", "tooltip", "abbreviation", "smallcaps", "sc", "smcaps", "sc2", "smallcaps2", "strong", "em",
        "nobold", "noitalic", "normal", "mono", "monospace", "center", "centre", "sic", "as written", "not a typo",
        "typo", "proper name", "chem name", "circa", "c.", "ca.", "floruit", "fl.", "lang-", "visible anchor",
        "vanchor", "interlanguage link", "ill", "illm", "flag", "flagcountry", "flagu", "val",
        "sub", "sup", "underline", "u", "strike", "s", "ins", "highlight", "mark", "kbd", "code", "var", "samp",
        "siècle", "siglo", "nihongo2", "linktext", "dfn", "ruby",
    ),
    (1, 2): ("sortname", "ship", "unité"),
    (2,): (
        "lang", "langx", "color", "colour", "font color", "fontcolor", "font colour", "background color", "resize",
        "hover title",
    ),
}  # fmt: skip
PARTED_ARGUMENTS: dict[tuple[int, ...], tuple[str, ...]] = {(1, 2, 3): ("nihongo", "nihongo3")}
QUOTATIONS = ("quote", "blockquote", "block quote", "quotation", "cquote", "pull quote")
LIST_TEMPLATES = (
    "hlist", "flatlist", "plainlist", "unbulleted list", "ubl", "ublist", "plain list", "flat list", "ordered list",
    "bulleted list", "bullet list", "unordered list", "columns-list", "horizontal list", "olist", "blist",
)  # fmt: skip
# Shown where lists are, too: some by an argument, some by their own name, alone ("[sic]") or before it ("USS Maine").
FURTHER_TEMPLATES: dict[tuple[int, ...], tuple[str, ...]] = {
    (1,): ("angbr", "gloss", "nts", "unicode", "ipa", "chem2", "hebrew", "arabic", "iast", "pie"),
    (2,): ("sort", "sorttext", "wikt-lang", "script"),
}
NAME_OR_ARGUMENT = ("sic",)
NAME_AND_ARGUMENT = ("uss", "hms", "hmas", "hmcs", "hmnzs", "rms", "sms", "usns", "uscgc")
FRACTIONS = ("frac", "fraction", "sfrac", "bruch")
CONVERSIONS = ("convert", "cvt", "conv")
TRANSLITERATIONS = ("transl", "transliteration", "translit")
SIGNS: dict[str, tuple[str, ...]] = {
    " ": ("nbsp", "nbs", "space", "spaces", "thinsp", "thin space", "hair space", "hairsp", "0", "fsp", "nnbsp"),
    "–": (
        "ndash", "en dash", "endash", "snd", "snds", "spaced ndash", "spnd", "sndash", "spndash", "dash",
        "spaced en dash", "nbndash", "nsndns",
    ),
    "—": ("mdash", "em dash", "emdash", "spaced mdash", "spaced em dash"),
    "·": ("·", "dot", "middot", "•", "bull", "bullet", "*"),
    "'": ("'", "`", "´", "apostrophe"),
    "ʻ": ("okina",),
    "ʾ": ("hamza",),
    "ʿ": ("ayin",),
    "­": ("shy",),
    "​": ("zwsp", "wbr"),
    "=": ("=",),
}  # fmt: skip


# Sections without text of their own: links to elsewhere, sources, further articles. In lower case.
SECTIONS: dict[str, tuple[str, ...]] = {
    "en": (
        "external links", "external link", "references", "notes", "footnotes", "citations", "notes and references",
        "references and notes", "notes and citations", "sources", "works cited", "bibliography", "further reading",
        "see also", "general references", "cited sources", "external sources",
    ),
    "simple": ("other websites", "references", "related pages", "notes", "sources", "further reading", "other pages"),
    "de": (
        "weblinks", "einzelnachweise", "literatur", "quellen", "fußnoten", "anmerkungen", "siehe auch", "belege",
        "nachweise", "einzelnachweise und anmerkungen", "weblinks und quellen",
    ),
    "fr": (
        "liens externes", "lien externe", "références", "notes et références", "notes", "bibliographie", "voir aussi",
        "annexes", "articles connexes", "sources",
    ),
    "es": ("enlaces externos", "referencias", "véase también", "bibliografía", "notas", "notas y referencias"),
    "it": ("collegamenti esterni", "note", "bibliografia", "altri progetti", "voci correlate", "fonti"),
    "nl": ("externe links", "externe link", "bronnen", "referenties", "zie ook", "literatuur", "noten"),
    "pl": ("linki zewnętrzne", "przypisy", "bibliografia", "zobacz też", "uwagi"),
    "pt": ("ligações externas", "referências", "ver também", "bibliografia", "notas"),
    "ru": ("ссылки", "примечания", "литература", "см. также", "источники"),
    "uk": ("посилання", "примітки", "література", "див. також", "джерела"),
    "sv": ("externa länkar", "källor", "referenser", "se även", "litteratur", "noter", "fotnoter"),
    "bg": ("външни препратки", "източници", "бележки", "литература", "вижте също"),
    "cs": ("externí odkazy", "reference", "literatura", "související články", "poznámky"),
    "ja": ("外部リンク", "脚注", "参考文献", "関連項目", "出典", "注釈"),
    "zh": ("外部链接", "外部連結", "参考文献", "參考文獻", "参考资料", "參考資料", "参见", "參見", "注释", "註釋"),
}  # fmt: skip


class Markup(NamedTuple):
    """The tables of one Wikipedia as the compiled cleaner takes them."""

    tags: HashTable
    entities: HashTable  # to one code point, or two packed 21 bits apart
    links: HashTable  # lower-case prefixes of links that show nothing
    disambiguation: HashTable  # lower-case template names
    sections: HashTable  # lower-case titles of sections that don't count; empty: all do, and headings too
    shown: HashTable  # lower-case names of templates that show something, to what (query_builder/clean/templates.py)


@dataclass(frozen=True)
class SiteRules:
    """What one Wikipedia calls things."""

    link_prefixes: tuple[str, ...]
    disambiguation: tuple[str, ...]
    lists: tuple[str, ...]
    namespaces: frozenset[str] = frozenset()  # the names of all but the main one, in lower case
    sections: tuple[str, ...] = ()  # titles of sections of links and sources that don't count, nor do headings then


def site_rules(
    language: str, namespaces: Mapping[int, Iterable[str]], *, without_lists_of_links: bool = False
) -> SiteRules:
    """The rules of a Wikipedia from its code and the namespace names in its dump's header (number to names);
    ``without_lists_of_links`` leaves out headings, and the sections that SECTIONS names.

    A language without an entry of its own gets the English disambiguation templates, which many Wikipedias copy.
    """
    names = {name for number in FILE_AND_CATEGORY for name in DEFAULT_NAMESPACES[number]}
    names |= {name for number in FILE_AND_CATEGORY for name in namespaces.get(number, ())}
    templates = DISAMBIGUATION.get(language, DISAMBIGUATION["en"])
    other = {name.lower() for number, given in namespaces.items() if number for name in given if name}
    return SiteRules(
        tuple(sorted(names)),
        templates,
        LISTS.get(language, LISTS["en"]),
        frozenset(other | set(NAMESPACES)),
        SECTIONS.get(language, SECTIONS["en"]) if without_lists_of_links else (),
    )


def markup_tables(rules: SiteRules) -> Markup:
    """The cleaner's tables."""
    tags = [(name, action) for action, names in TAGS.items() for name in names]
    # The compiled code lower-cases ASCII letters only, so other scripts are entered in both cases.
    prefixes = {form for name in rules.link_prefixes for form in (_ascii_lower(name), name.lower())} | set(LANGUAGES)
    templates = {form for name in rules.disambiguation for form in (name, name[:1].upper() + name[1:])}
    entities = {}
    for name, text in html.entities.html5.items():
        if name.endswith(";"):
            entities[name[:-1]] = ord(text[0]) | (ord(text[1]) << 21 if len(text) > 1 else 0)
    return Markup(
        hash_table({name: number * ACTIONS + action for number, (name, action) in enumerate(tags)}),
        hash_table(entities),
        hash_table(dict.fromkeys(prefixes, 1)),
        hash_table(dict.fromkeys({_ascii_lower(name) for name in templates}, 1)),
        hash_table(
            {form: 1 for name in rules.sections for form in (_ascii_lower(name), _ascii_lower(name.capitalize()))}
        ),
        hash_table(_shown_templates(lists=bool(rules.sections))),
    )


def _shown_templates(*, lists: bool) -> dict[str, int]:
    """What templates show, as query_builder/clean/templates.py reads it; ``lists``, those of lists too, further ones,
    and quotations named ``text``. What counts all sections, as the published rules do, has these hidden as always."""
    shown = {name: FUNCTION * (name[-1] == ":") | _bits(of) for of, names in SHOWN_TEMPLATES.items() for name in names}
    shown |= {name: PARTED | _bits(of) for of, names in PARTED_ARGUMENTS.items() for name in names}
    shown |= dict.fromkeys(QUOTATIONS, BLOCK | NAMED * lists | _bits((1,)))
    if lists:
        shown |= {name: _bits(of) for of, names in FURTHER_TEMPLATES.items() for name in names}
        shown |= dict.fromkeys(NAME_OR_ARGUMENT, LAST_ALONE | _bits((0, 1)))
        shown |= dict.fromkeys(NAME_AND_ARGUMENT, _bits((0, 1)))
        shown |= dict.fromkeys(LIST_TEMPLATES, BLOCK | PARTED | ENDLESS | _bits(range(1, 8)))
    shown |= dict.fromkeys(FRACTIONS, SLASHED | _bits((1, 2, 3)))
    shown |= dict.fromkeys(CONVERSIONS, RANGES | _bits((1, 2)))
    shown |= dict.fromkeys(TRANSLITERATIONS, LAST_ALONE | _bits((2, 3)))
    return shown | {name: ord(sign) << CODE_POINT for sign, names in SIGNS.items() for name in names}


def _bits(numbers: Iterable[int]) -> int:
    return sum(1 << number for number in numbers)


def _ascii_lower(text: str) -> str:
    return text.encode().lower().decode()
