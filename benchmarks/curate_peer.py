"""Curation written in Polars; runs in the peers' environment: ``python curate_peer.py JOB.json``.

In: a job (folder with pairs.parquet and queries.parquet, patterns to reject, limits, t, seed). Out:
``peer_counts.parquet`` (id, count) and ``peer_drawn.parquet`` (pair_id) in the folder; on standard output the
CPU-seconds and the rows that the rules kept. The draws are the same splitmix64 hash of (pair, query, seed) as ours,
written in Polars' own arithmetic.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

__all__ = ["draws", "keeps", "normalised", "phrases"]

WORD = "[^a-z0-9]+"


def _u64(value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.UInt64)


def _mix(value: pl.Expr) -> pl.Expr:
    """splitmix64's output function; unsigned numbers wrap around, and a shift right is a division."""
    value = value + _u64(0x9E3779B97F4A7C15)
    value = (value ^ (value // _u64(1 << 30))) * _u64(0xBF58476D1CE4E5B9)
    value = (value ^ (value // _u64(1 << 27))) * _u64(0x94D049BB133111EB)
    return value ^ (value // _u64(1 << 31))


def normalised() -> pl.Expr:
    """The caption's words in lower case, one space apart."""
    return pl.col("caption").str.to_lowercase().str.replace_all(WORD, " ").str.strip_chars(" ").alias("normal")


def keeps(job: dict[str, Any]) -> pl.Expr:
    """Whether the text rules keep a row with caption and normal."""
    return pl.all_horizontal(
        *(~pl.col("caption").str.contains(pattern) for pattern in job["reject"]),
        pl.col("caption").str.len_chars() >= job["min_characters"],
        pl.col("normal").str.count_matches(" ", literal=True) + 1 >= job["min_words"],
        pl.col("normal") != "",
    )


def phrases(kept: pl.DataFrame, queries: pl.DataFrame) -> pl.DataFrame:
    """The ids of the queries (query and id) in each row of ``kept``: pair_id and id."""
    patterns = (" " + queries["query"] + " ").alias("pattern")
    ends = (" " + pl.col("normal") + " ").str.extract_many(patterns.implode(), overlapping=True).list.unique()
    found = kept.select("pair_id", ends.alias("pattern")).explode("pattern", empty_as_null=False, keep_nulls=False)
    return found.join(pl.DataFrame({"pattern": patterns, "id": queries["id"]}), on="pattern").select("pair_id", "id")


def draws(seed: int) -> pl.Expr:
    """The draw of each row of pair_id and id."""
    salted = _mix(pl.col("id").cast(pl.UInt64) + _mix(_u64(seed)))
    return (_mix(pl.col("pair_id") ^ salted) // _u64(1 << 11)).cast(pl.Float64) * 2.0**-53


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    folder = Path(job["folder"])
    began = time.process_time()
    queries = pl.read_parquet(folder / "queries.parquet", columns=["query", "id"])
    pairs = pl.read_parquet(folder / "pairs.parquet", columns=["pair_id", "caption"])
    kept = pairs.with_columns(normalised()).filter(keeps(job))
    matches = phrases(kept, queries)
    counts = matches.group_by("id").agg(pl.len().alias("count"))
    chosen = draws(job["seed"]) * pl.col("count") < job["t"]
    drawn = matches.join(counts, on="id").filter(chosen).select("pair_id").unique()
    seconds = time.process_time() - began
    counts.write_parquet(folder / "peer_counts.parquet")
    drawn.write_parquet(folder / "peer_drawn.parquet")
    print(json.dumps({"seconds": seconds, "kept": kept.height}))


if __name__ == "__main__":
    main()
