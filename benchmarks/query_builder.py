"""The query builder against gensim's path (WikiCorpus and Phrases) and wikiextractor's extraction alone, on the same
real text.

In: a dump of real articles whose words vary as real ones do (benchmarks/query_builder_dump.py). Out: megabytes of XML a
CPU-second of each, end to end, start of the programs included; and whether the counts equal a slow count of the same
text, and the list that of a single process. Ours is ``query_builder build`` with all at its default but for the
sources: the dump is the only one, as it is the peers'. Processor time is compared, since other programs on the machine
change the wall time. How far two processes are faster is for query_builder_scale, on more text.
"""

import bz2
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.peers import peers_python
from benchmarks.query_builder_dump import excerpt, write_dump
from benchmarks.resources import Cost, measure
from benchmarks.table import Row, figure, times

__all__ = ["rows", "run"]

SIZE = int(float(os.environ.get("QUERY_BUILDER_BENCHMARK_MB", "200")) * 1e6)
TIMEOUT = 1800.0
ROOT = Path(__file__).parents[1]


def _ours(dump: Path, output: Path, *options: str) -> Cost:
    command = [sys.executable, "-m", "query_builder", "build", "--dump", str(dump), "--output", str(output)]
    return measure([*command, *options], timeout=TIMEOUT, folder=ROOT)


def _counts_are_exact(folder: Path) -> bool:
    """Whether the build's word counts on the excerpt equal those of a dictionary over the same cleaned text."""
    from query_builder.clean.markup import markup_tables, site_rules
    from query_builder.clean.wikitext import clean_text
    from query_builder.normalize import words
    from query_builder.sources.dump import plan_shards, read_pages, read_site_info
    from query_builder.sources.page import Ledger

    url = str(excerpt())
    tables = markup_tables(site_rules("en", read_site_info(url).namespaces))
    slow: Counter[str] = Counter()
    for shard in plan_shards((url,)):
        for batch in read_pages(shard, skip_corrupt=False, ledger=Ledger()):
            for page in batch.pages:
                if page.target is None:
                    slow.update(words(clean_text(batch.buffer[page.start : page.end].decode(), tables)[0]))
    output = folder / "excerpt.parquet"
    command = [
        sys.executable,
        "-m",
        "query_builder",
        "build",
        "--dump",
        url,
        "--output",
        str(output),
        "--min-word-count",
        "1",
        "--all-sections",
        "--bare-numbers",
        "keep",
    ]
    measure(
        [*command, "--min-page-views", "1000000000", "--budget", "bigrams=0", "titles=0"], timeout=TIMEOUT, folder=ROOT
    )
    table = pq.read_table(output, columns=["query", "word_count"])
    fast = dict(zip(table["query"].to_pylist(), table["word_count"].to_pylist(), strict=True))
    return {word: count for word, count in fast.items() if count is not None} == dict(slow)


def run() -> dict[str, Any]:
    """Measures all of it; a few minutes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dump = folder / "dump.xml.bz2"
        megabytes = write_dump(dump, SIZE) / 1e6
        equal = _counts_are_exact(folder)  # this also compiles whatever has not been compiled yet
        lists = [folder / "default.parquet", folder / "one.parquet"]
        ours, one = _ours(dump, lists[0]), _ours(dump, lists[1], "--workers", "1")
        same = lists[0].read_bytes() == lists[1].read_bytes()
        plain = folder / "dump.xml"
        with bz2.open(dump) as packed, plain.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
        of_plain = _ours(plain, folder / "plain.parquet", "--workers", "1")
        plain.unlink()
        script = str(Path(__file__).with_name("query_builder_gensim.py"))
        gensim = measure([str(peers_python()), script, str(dump)], timeout=TIMEOUT, folder=folder)
        extractor = [str(peers_python()), "-m", "wikiextractor.WikiExtractor", str(dump)]
        extract = measure(
            [*extractor, "-o", str(folder / "text"), "--processes", "1", "--no-templates", "-q"],
            timeout=TIMEOUT,
            folder=folder,
        )
        unpack = measure(
            [sys.executable, "-c", f"import bz2; bz2.open({str(dump)!r}).read()"], timeout=TIMEOUT, folder=folder
        )
    return {
        "name": "query-builder",
        "ours": round(megabytes / ours.cpu, 2),
        "peer": round(megabytes / gensim.cpu, 2),
        "ratio": round(gensim.cpu / ours.cpu, 2),
        "unit": "MB of XML per CPU-second",
        "ours_plain": round(megabytes / of_plain.cpu, 2),
        "equal": equal and same,
        "wikiextractor": round(megabytes / extract.cpu, 2),
        "ratio_to_wikiextractor": round(extract.cpu / ours.cpu, 2),
        "memory_mb": {"ours": ours.memory // 10**6, "one": one.memory // 10**6, "gensim": gensim.memory // 10**6},
        "megabytes": round(megabytes, 1),
        "bz2_alone": round(megabytes / unpack.cpu, 2),  # what this machine's state allows to any reader of the file
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    return [
        Row(
            f"`query_builder build` of a dump alone: {figure(result['ours'])} MB of XML a second, counted and chosen",
            f"gensim, counting: {figure(result['peer'])}; wikiextractor, extraction alone: "
            f"{figure(result['wikiextractor'])}",
            f"{times(result['ratio'])}; {times(result['ratio_to_wikiextractor'])}",
        )
    ]
