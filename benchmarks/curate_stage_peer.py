"""The curate stage written in Polars; runs in the peers' environment: ``python curate_stage_peer.py JOB.json``.

In: a job (folder of candidates, query list, patterns to reject, limits, thresholds, seed). Out: in the folder named,
``peer_counts.parquet`` (id, count), ``peer_selected_*.parquet`` and ``peer_reserve_*.parquet``; on standard output
CPU-seconds and the peak memory. The matches of all files are held in memory; the candidates are read file by file.
"""

import json
import resource
import sys
import time
from pathlib import Path

import polars as pl
from curate_peer import draws, keeps, normalised, phrases


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    folder = Path(job["folder"])
    began = time.process_time()
    queries = pl.read_parquet(job["queries"], columns=["query", "id"])
    files = sorted(Path(job["pairs"]).glob("part-*.parquet"))
    columns = ["pair_id", "caption"]
    hashes = pl.concat(
        [pl.read_parquet(file, columns=columns).select("pair_id", normalised().hash()) for file in files]
    )
    beyond = pl.col("pair_id").rank("ordinal").over("normal") > job["max_repeats"]
    repeated = hashes.filter(beyond)["pair_id"]
    keep = keeps(job) & ~pl.col("pair_id").is_in(repeated.implode())
    found = []
    for file in files:
        pairs = pl.read_parquet(file, columns=columns).with_columns(normalised()).filter(keep)
        found.append(phrases(pairs, queries))
    matches = pl.concat(found)
    counts = matches.group_by("id").agg(pl.len().alias("count"))
    priority = (draws(job["seed"]) * pl.col("count")).alias("priority")
    priorities = matches.join(counts, on="id").select("pair_id", priority)
    least = priorities.group_by("pair_id").agg(pl.col("priority").min())
    selected = least.filter(pl.col("priority") < job["t"][0]).select("pair_id")
    reserve = least.filter(pl.col("priority").is_between(*job["t"], closed="left")).select("pair_id")
    for number, file in enumerate(files):
        pairs = pl.read_parquet(file)
        for kind, wanted in (("selected", selected), ("reserve", reserve)):
            pairs.join(wanted, on="pair_id", how="semi").write_parquet(folder / f"peer_{kind}_{number:05d}.parquet")
    seconds = time.process_time() - began
    counts.write_parquet(folder / "peer_counts.parquet")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "memory_megabytes": round(memory / 1000)}))


if __name__ == "__main__":
    main()
