"""Curation's own work (text rules, matching, counting, balancing) against the same work written in Polars.

In: captions recombined from real ones (ASCII alone, so that lower-casing is all there is to normalise), and a real
query list, so that a few words hold most matches. Out: pairs a CPU-second, reading Parquet included. ``equal`` says
that both kept the same rows, counted the same matches of every query, and drew exactly the same pairs. Language
detection and Beam are left out of both. Rows: ``CURATE_BENCHMARK_ROWS``. Ours runs in this process, the peer in its own
environment (curate_peer.py).
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.match import real_captions, real_queries, write_queries
from benchmarks.peers import run_in_peers
from benchmarks.table import Row, figure, times
from pipeline.balance.matches import count_matches
from pipeline.balance.select import Plan, select
from pipeline.hashing import hash_strings
from pipeline.match.build import build_automaton
from pipeline.match.matcher import Matcher
from pipeline.tables.ledger import Rule, apply_rules
from pipeline.tables.schema import CANDIDATES, MATCHED
from pipeline.text.file_name import CODE, COUNTER, FILE, SLUG, URL, FileNameRule
from pipeline.text.length import LengthRule
from pipeline.text.markup import PATTERNS, MarkupRule

__all__ = ["recombined", "rows", "run"]

ROWS = int(os.environ.get("CURATE_BENCHMARK_ROWS", "300000"))
BATCH = 20_000
T = 200
SEED = 7


def recombined(rows: int) -> Iterator[pa.RecordBatch]:
    """``rows`` rows of CANDIDATES; each caption is made of halves of two real ones."""
    captions = [text.split(" ") for text in real_captions() if text.isascii() and len(text) < 300]
    firsts = pa.array([" ".join(words[: len(words) // 2 + 1]) for words in captions])
    seconds = pa.array([" ".join(words[len(words) // 2 :]) for words in captions])
    generator = np.random.default_rng(0)
    for start in range(0, rows, BATCH):
        count = min(BATCH, rows - start)
        halves = (side.take(pa.array(generator.integers(0, len(side), count))) for side in (firsts, seconds))
        urls = pa.array([f"http://site/{start + row}.jpg" for row in range(count)])
        given = {
            "pair_id": pa.array(hash_strings(urls)),
            "url": urls,
            "caption": pc.binary_join_element_wise(*halves, " "),
        }
        columns = [given.get(field.name, pa.nulls(count, field.type)) for field in CANDIDATES]
        yield pa.RecordBatch.from_arrays(columns, schema=CANDIDATES)


def _curate(pairs: Path, automaton: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], int]:
    """Our side: the counts of all queries, the ids of the pairs drawn, and the rows that the rules kept."""
    rules: list[Rule] = [FileNameRule(), MarkupRule(), LengthRule(3, 0, 6, 0)]
    matcher = Matcher(automaton)
    counts = np.zeros(len(matcher), np.int64)
    matched = []
    kept = 0
    for batch in pq.ParquetFile(pairs).iter_batches(BATCH):
        batch, _ = apply_rules(batch, rules, "text")
        kept += batch.num_rows
        ids = matcher.match(batch.column("caption"))
        counts += count_matches(ids, len(matcher))
        columns = [*batch.columns, pa.nulls(len(ids), pa.float32()), pa.nulls(len(ids), pa.list_(pa.string())), ids]
        whole = pa.RecordBatch.from_arrays(columns, schema=MATCHED)
        matched.append(whole.filter(pa.array(np.diff(np.asarray(ids.offsets)) > 0)))
    plan = Plan("independent", counts, T, T, SEED)
    drawn = [np.asarray(select(batch, plan)[0].column("pair_id")) for batch in matched]
    return counts, np.sort(np.concatenate(drawn)), kept


def run() -> dict[str, Any]:
    """The comparison."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_queries(real_queries(), folder / "queries.parquet")
        with pq.ParquetWriter(folder / "pairs.parquet", CANDIDATES) as writer:
            for batch in recombined(ROWS):
                writer.write_batch(batch)
        automaton = build_automaton(str(folder / "queries.parquet"), name)
        Matcher(automaton).match(pa.array(["compiles"]))
        began = time.process_time()
        counts, drawn, kept = _curate(folder / "pairs.parquet", automaton)
        seconds = time.process_time() - began
        reject = [URL, FILE, COUNTER, CODE, SLUG, *(pattern for _, pattern in PATTERNS)]
        job = {"folder": name, "reject": reject, "min_words": 3, "min_characters": 6, "t": T, "seed": SEED}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        peer = run_in_peers(Path(__file__).with_name("curate_peer.py"), folder / "job.json")
        their_counts = pq.read_table(folder / "peer_counts.parquet")
        theirs = np.zeros(len(counts), np.int64)
        theirs[np.asarray(their_counts.column("id"))] = np.asarray(their_counts.column("count"))
        their_drawn = np.sort(np.asarray(pq.read_table(folder / "peer_drawn.parquet").column("pair_id")))
    return {
        "ours": round(ROWS / seconds),
        "peer": round(ROWS / peer["seconds"]),
        "ratio": round(peer["seconds"] / seconds, 2),
        "unit": "pairs a CPU-second",
        "equal": bool(np.array_equal(counts, theirs) and np.array_equal(drawn, their_drawn) and kept == peer["kept"]),
        "pairs": ROWS,
        "kept": kept,
        "matches": int(counts.sum()),
        "drawn": len(drawn),
    }


def rows(result: dict[str, Any]) -> list[Row]:
    """The line of the table."""
    return [
        Row(
            f"three text rules, matching, counts and balance alone, {result['pairs']:,} pairs in memory: "
            f"{figure(result['ours'])} pairs a second",
            f"Polars: {figure(result['peer'])}",
            times(result["ratio"]),
        )
    ]
