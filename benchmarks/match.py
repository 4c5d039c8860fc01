"""Matching captions against 500,000 queries, against pyahocorasick used as MetaCLIP published it.

In: a real query list and real web captions from the larger data beside the checkout or, without it, phrases and lines
of this repository's own texts. Out: captions a second of one core. The peer finds less for its time (case-sensitive,
spaces around a few marks); ``ratio_same_result`` compares with the same library made to give our result, on normalised
captions. ``equal`` says that our result is that of a dictionary of all queries looked up for every run of words, that
of the library, and in ``metaclip`` mode the published one, on every caption. Processor time, the best of several rounds
taken in turns, since other programs disturb both. A round is several passes over the captions; in
``ratio_single_passes`` it is one, so that each program finds the caches full of another's tables.
"""

import gzip
import lzma
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ahocorasick
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.table import Row, figure, times
from pipeline.match.build import build_automaton
from pipeline.match.matcher import SPACED_MARKS, WHITE_SPACE, Matcher
from query_builder.lists import read_list
from query_builder.normalize import normalize
from tests.oracles.matching import NgramOracle

__all__ = ["real_captions", "real_queries", "rows", "run", "write_queries"]

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
QUERIES = 500_000
SENTENCES = 10_000
ROUNDS = 7
PASSES = 10  # over the captions in a round

WORKER = """
import sys
import pyarrow as pa
from pipeline.match.matcher import Matcher
matcher = Matcher(sys.argv[1])
captions = pa.array(open(sys.argv[2], encoding="utf-8").read().split("\\n"))
for _ in range(3):
    matcher.match(captions)
lines = open("/proc/self/smaps_rollup").read().splitlines()
print(sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000)
"""


def real_queries(count: int = QUERIES) -> list[str]:
    """Surfaces of up to ``count`` queries with different normal forms, in a fixed random order."""
    path = DATA / "queries" / "queries_648573.tsv.gz"
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            surfaces = [line.split("\t")[0] for line in stream]
    else:
        words = [word for line in _own_lines() for word in line.split()]
        surfaces = [" ".join(words[i : i + length]) for length in (1, 2, 3) for i in range(len(words) - length)]
    kept = {normalize(surface): surface for surface in sorted(set(surfaces), reverse=True)}
    kept.pop("", None)
    chosen = sorted(kept.values())
    random.Random(0).shuffle(chosen)
    return chosen[:count]


def real_captions() -> list[str]:
    """Captions from the web, or lines of this repository's own texts."""
    path = DATA / "captions" / "laion_test_10000.parquet"
    if path.exists():
        return [text or "" for text in pq.read_table(path).column("TEXT").to_pylist()]
    return _own_lines()


def _own_lines() -> list[str]:
    files = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/**/*.py")])
    lines = (
        line.strip() for file in files if ".venv" not in str(file) for line in file.read_text("utf-8").splitlines()
    )
    return [line for line in lines if len(line.split()) > 3]


def _sentences() -> list[str]:
    """Sentences of 5 to 20 words from encyclopedia articles: ordinary prose, where each word is a query."""
    path = DATA / "wikipedia" / "articles_2015_51mb.txt.xz"
    if not path.exists():
        return _own_lines()
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        pieces = re.split(r"(?<=[.!?])\s+|\n+", stream.read(400 * SENTENCES))
    return [piece for piece in pieces if 5 <= len(piece.split()) <= 20][:SENTENCES]


def write_queries(surfaces: list[str], path: Path) -> None:
    """A query list of ``surfaces``, in order of the normal forms as the query builder writes it."""
    rows = sorted((normalize(surface), surface) for surface in surfaces)
    names, written = zip(*rows, strict=True)
    ids = pa.array(range(len(rows)), pa.uint32())
    sources = pa.array([["title"]] * len(rows))
    pq.write_table(pa.table({"query": names, "surface": written, "id": ids, "sources": sources}), path)


def _published(automaton: Any, caption: str) -> list[int]:
    """The public code's steps on one caption."""
    text = f" {caption} "
    for mark in SPACED_MARKS:
        text = text.replace(mark, f" {mark} ")
    for blank in WHITE_SPACE:
        text = text.replace(blank, " ")
    return list({number for _, number in automaton.iter(text)})


def _automaton(entries: list[str]) -> Any:
    automaton = ahocorasick.Automaton()
    for number, entry in enumerate(entries):
        automaton.add_word(f" {entry} ", number)
    automaton.make_automaton()
    return automaton


def _seconds(work: Callable[[], object], passes: int) -> float:
    began = time.process_time()
    for _ in range(passes):
        work()
    return time.process_time() - began


def _rates(matcher: Matcher, automaton: Any, captions: list[str], passes: int = PASSES) -> tuple[float, float, float]:
    """Captions a second: ours, the published way, and the library on normalised captions."""
    column = pa.array(captions)
    works: list[Callable[[], object]] = [
        lambda: matcher.match(column),
        lambda: [_published(automaton, caption) for caption in captions],
        lambda: [sorted({number for _, number in automaton.iter(f" {normalize(caption)} ")}) for caption in captions],
    ]
    best = [float("inf")] * 3
    for _ in range(ROUNDS):
        best = [min(time_, _seconds(work, passes)) for time_, work in zip(best, works, strict=True)]
    ours, published, same = (passes * len(captions) / seconds for seconds in best)
    return ours, published, same


def _memory(automaton: str, captions: list[str], folder: Path) -> float:
    """Megabytes of a fresh worker that has matched, pages it shares with this process counted half (proportional set
    size)."""
    (folder / "captions.txt").write_text(
        "\n".join(caption.replace("\n", " ") for caption in captions), encoding="utf-8"
    )
    command = [sys.executable, "-c", WORKER, automaton, str(folder / "captions.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=300)
    return float(done.stdout.split()[-1])


def run() -> dict[str, Any]:
    """The comparison."""
    captions, sentences = real_captions(), _sentences()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_queries(real_queries(), folder / "queries.parquet")
        build_automaton(str(folder / "queries.parquet"), str(folder / "warm"))  # compiles
        began = time.process_time()
        path = build_automaton(str(folder / "queries.parquet"), name)
        build = time.process_time() - began
        matcher = Matcher(path)
        published = Matcher(build_automaton(str(folder / "queries.parquet"), name, "metaclip"))
        listed = read_list(str(folder / "queries.parquet"), ("query", "surface"))
        names, surfaces = (column.to_pylist() for column in listed.columns)
        automaton, as_written = _automaton(names), _automaton(surfaces)
        oracle = NgramOracle(names)
        equal = True
        for texts in (captions, sentences):
            result = matcher.match(pa.array(texts)).to_pylist()
            equal &= result == [oracle.match(text) for text in texts]
            equal &= result == [sorted({n for _, n in automaton.iter(f" {normalize(text)} ")}) for text in texts]
            equal &= published.match(pa.array(texts)).to_pylist() == [sorted(_published(as_written, t)) for t in texts]
        ours, peer, same = _rates(matcher, automaton, captions)
        ours_prose, peer_prose, _ = _rates(matcher, automaton, sentences)
        once, peer_once, _ = _rates(matcher, automaton, captions, 1)
        memory = _memory(path, captions, folder)
    return {
        "ours": round(ours),
        "peer": round(peer),
        "ratio": round(ours / peer, 2),
        "unit": "captions a second of one core",
        "equal": equal,
        "queries": len(names),
        "captions": len(captions),
        "ratio_same_result": round(ours / same, 2),
        "ours_prose": round(ours_prose),
        "ratio_prose": round(ours_prose / peer_prose, 2),
        "ratio_single_passes": round(once / peer_once, 2),
        "build_seconds": round(build, 2),
        "worker_megabytes": round(memory),
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    published, same = result["peer"], result["ours"] / result["ratio_same_result"]
    return [
        Row(
            f"the matcher alone: {figure(result['ours'])} captions a second against {result['queries']:,} queries",
            f"pyahocorasick as published, which finds less: {figure(published)}; made to find the same: {figure(same)}",
            f"{times(result['ratio'])}; {times(result['ratio_same_result'])}",
        )
    ]
