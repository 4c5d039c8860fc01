"""The peer's way from a dump to words and bigrams: gensim's WikiCorpus and Phrases, in the peers' environment.

In: a dump. Out: on the last line the numbers of articles, words and phrases, as JSON.
"""

import json
import sys

from gensim.corpora import WikiCorpus
from gensim.models.phrases import Phrases


def main(path: str) -> None:
    corpus = WikiCorpus(path, processes=1, dictionary={})
    phrases = Phrases(corpus.get_texts(), min_count=20, threshold=10.0)
    words = sum(1 for word in phrases.vocab if "_" not in word)
    print(json.dumps({"articles": corpus.length, "words": words, "phrases": len(phrases.export_phrases())}))


if __name__ == "__main__":
    main(sys.argv[1])
