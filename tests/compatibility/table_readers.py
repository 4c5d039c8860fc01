"""Counts a run's training samples with other projects' readers of tables and tars; runs in the peers' environment.

Argument: the run folder. Last line printed: JSON with what each counted.
"""

import glob
import json
import sys
import tempfile

import duckdb
import mlcroissant
import pandas
import polars


def with_img2dataset(folder: str) -> int:
    """The rows that img2dataset's own reader of lists passes on, given the folder of shards as its input."""
    import fsspec
    from img2dataset.reader import Reader

    with tempfile.TemporaryDirectory() as scratch:
        reader = Reader(folder, "parquet", "url", "caption", None, None, None, 100, [], scratch)
        total = 0
        for _, shard in reader:
            with fsspec.open(shard, "rb") as stream:
                total += len(pandas.read_feather(stream))
    return total


def with_wids(index: str) -> int:
    import wids

    with tempfile.TemporaryDirectory() as scratch:
        pairs = wids.ShardListDataset(index, cache_dir=scratch, keep=True)
        return sum(1 for place in range(len(pairs)) if pairs[place][".jpg"].size)


def main(run: str) -> dict[str, object]:
    pattern = f"{run}/shards/*.parquet"
    described = mlcroissant.Dataset(f"{run}/croissant.json")
    counted = {
        "duckdb": duckdb.connect().execute(f"select count(*) from '{pattern}'").fetchone()[0],
        "polars": polars.read_parquet(pattern).height,
        "pandas": len(pandas.concat(map(pandas.read_parquet, glob.glob(pattern)))),
        "mlcroissant": sum(1 for _ in described.records("shards")),
        "img2dataset": with_img2dataset(f"{run}/shards"),
    }
    if glob.glob(f"{run}/shards/index.json"):
        counted["wids"] = with_wids(f"{run}/shards/index.json")
    return {"counted": counted, "errors": list(described.metadata.ctx.issues.errors)}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
