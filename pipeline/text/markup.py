"""Markup rule: captions with remains of the page's machinery, which no reader was meant to see."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.text.verdicts import captions, verdicts

__all__ = ["MarkupRule"]

PATTERNS = [
    (
        "html_tag",
        r"(?i)</?(?:[abipqsu]|abbr|article|audio|blockquote|body|br|button|caption|center|cite|code|div|em|figcaption"
        r"|figure|font|form|h[1-6]|head|hr|html|iframe|img|input|label|li|link|meta|nav|noscript|object|ol|option"
        r"|picture|pre|script|section|small|source|span|strong|style|sub|sup|svg|table|tbody|td|th|thead|tr|ul|video)"
        r"(?:\s[^>]*)?/?>|<!--|<\?php|<!\[CDATA\[",
    ),
    ("html_tag", r"(?i)<(?:a|img|iframe|script)\s+[a-z\-]+="),  # cut off before its end
    ("html_entity", r"(?i)&(?:[a-z]{2,8}|#\d{2,6}|#x[0-9a-f]{2,5});"),
    ("percent_escape", r"(?:%[0-9A-Fa-f]{2}[\w.\-]*){2,}|\S%20\S"),
    ("template", r"\{\{|\}\}|\$\{|<%|%>|\[\[|\]\]|\{%|%\}|%[sd]\b.*%[sd]\b"),
    (
        "bbcode",
        # "[Video]" alone is how people begin a title.
        r"(?i)\[(?:b|i|u|url|img|shortcode|embed)\]|\[/(?:b|i|u|url|img|caption|gallery|quote|size|color|shortcode|embed"
        r"|video|audio)\]|\[(?:url|img|caption|gallery|quote|size|color|shortcode|embed|video|audio)(?:\s+[\w\-]+)?\s*="
        r"[^\]]*\]",
    ),
    (
        "script",
        # Its words within sentences stay: "the function (x)", "JavaScript: a guide", "signs the document. It".
        r"\bfunction\s*\w*\([^()]*\)\s*\{|(?i:javascript):\S|\bdocument\.(?:[a-z]+[A-Z]\w*|write|cookie|location|body"
        r"|title|forms|images)\b|\bvar \w+\s*=|=\s*[\"'][^\"']*[\"']\s*/?>|\w+:\s*[^;{}]+;\s*\}",
    ),
]


@dataclass(frozen=True)
class MarkupRule:
    """Drops captions in which tags, entities, escapes or templates are left."""

    name = "markup"

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.Array, dict[str, pa.Array]]:
        texts = captions(batch)
        reasons = [(reason, pc.match_substring_regex(texts, pattern)) for reason, pattern in PATTERNS]
        return verdicts(len(texts), reasons), {}
