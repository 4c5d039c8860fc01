"""What a site says of training on its content, in the words of Content-Signal (robots.txt) and of the IETF's AI
Preferences (Content-Usage, in robots.txt and as a header).

In: the words, such as ``search=yes, ai-train=no`` or ``train-ai=n``. Out: whether they refuse training.
"""

import re

__all__ = ["AI_CRAWLERS", "refuses_training"]

# Names that robots.txt has for crawlers which gather data for AI, or for that use of another crawler's data, as their
# operators publish them; those that fetch a page because a person asked for it are not among them.
AI_CRAWLERS = (
    *("ai2bot", "amazonbot", "anthropic-ai", "applebot-extended", "bytespider", "ccbot", "claude-web", "claudebot"),
    *("cohere-ai", "cohere-training-data-crawler", "diffbot", "facebookbot", "google-extended", "gptbot"),
    *("imagesiftbot", "img2dataset", "laion-huggingface-processor", "laiondownloader", "meta-externalagent", "omgili"),
    *("omgilibot", "pangubot", "timpibot", "webzio-extended"),
)

_PREFERENCE = re.compile(r"([a-z][a-z0-9-]*)\s{0,9}=\s{0,9}[\"?]{0,2}([a-z0-9]+)")
_TRAINING = ("ai-train", "train-ai", "train-genai")
_ANY_MACHINE = "bots"  # said of all automated use; what is said of training goes before it
_NO = frozenset({"n", "no", "0", "false", "none", "deny", "disallow"})


def refuses_training(words: str) -> bool | None:
    """Whether the preferences refuse training; None where they say nothing of it."""
    said = dict(_PREFERENCE.findall(words.lower()[:2000]))
    of_training = [said[name] in _NO for name in _TRAINING if name in said]
    if of_training:
        return any(of_training)
    return said[_ANY_MACHINE] in _NO if _ANY_MACHINE in said else None
