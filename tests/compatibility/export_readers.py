"""Counts the samples of an export with other projects' readers; runs in the peers' environment.

Arguments: the folder of the export, and a folder for img2dataset's shards, or - for none. Last line printed: JSON with
what each counted of the training split, what mlcroissant objects to, and the sizes of the first picture.
"""

import glob
import io
import json
import os
import sys
import tempfile
import time

import duckdb
import mlcroissant
import pandas
import polars
from PIL import Image


def with_img2dataset(links: str) -> int:
    """The rows that img2dataset's own reader of lists passes on, with the hash that it is to verify."""
    import fsspec
    from img2dataset.reader import Reader

    with tempfile.TemporaryDirectory() as scratch:
        reader = Reader(links, "parquet", "url", "caption", "sha256", "sha256", ["key"], 100, [], scratch)
        total = 0
        for _, shard in reader:
            with fsspec.open(shard, "rb") as stream:
                rows = pandas.read_feather(stream)
            assert {"url", "caption", "sha256", "key"} <= set(rows.columns), list(rows.columns)
            total += len(rows)
    return total


def download(links: str, folder: str) -> None:
    """img2dataset's own download of the links, which keeps what has the hash that the list says."""
    from img2dataset import download

    download(
        url_list=links, input_format="parquet", url_col="url", caption_col="caption", output_folder=folder,
        output_format="webdataset", processes_count=1, thread_count=2, image_size=256, resize_mode="no",
        compute_hash="sha256", verify_hash=["sha256", "sha256"], number_sample_per_shard=8, retries=0,
        save_additional_columns=["page_url"],
    )  # fmt: skip


def main(export: str, shards: str) -> dict[str, object]:
    pattern, links = f"{export}/data/train-*.parquet", f"{export}/links/train.parquet"
    described = mlcroissant.Dataset(f"{export}/croissant.json")
    records = list(described.records("train"))
    frame = pandas.concat(map(pandas.read_parquet, sorted(glob.glob(pattern))))
    statement = f"select count(*) from '{pattern}' where image.bytes is not null"
    counted = {
        "duckdb": duckdb.connect().execute(statement).fetchone()[0],
        "polars": polars.read_parquet(pattern).filter(polars.col("image").struct.field("bytes").is_not_null()).height,
        "pandas": len(frame),
        "mlcroissant": len(records),
        "mlcroissant, links": sum(1 for _ in described.records("train-links")),
        "img2dataset": with_img2dataset(links),
    }
    picture = records[0]["train/image"]
    sizes = [list(Image.open(io.BytesIO(frame.iloc[0]["image"]["bytes"])).size), list(picture.size)]
    context = described.metadata.ctx
    if shards != "-":
        os.makedirs(shards)
        download(links, shards)
        time.sleep(0.5)  # its logger writes on
    issues = {"errors": list(context.issues.errors), "warnings": list(context.issues.warnings)}
    return {"counted": counted, **issues, "version": context.conforms_to.value, "sizes": sizes}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as own:
        tempfile.tempdir = os.environ["TMPDIR"] = own  # img2dataset's logger leaves folders behind
        result = json.dumps(main(*sys.argv[1:]))
    print(f"\n{result}")
