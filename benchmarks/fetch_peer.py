"""img2dataset on the job of the fetch benchmarks; runs in the peers' environment: ``python fetch_peer.py JOB.json``.

In: a job (urls, folder, processes, resize_mode). Out: WebDataset shards. Same size, quality, hashing and EXIF as ours.
"""

import json
import sys
from pathlib import Path

from img2dataset import download

if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text())
    listing = Path(job["folder"] + ".txt")
    listing.write_text("\n".join(job["urls"]))
    download(
        url_list=str(listing),
        output_folder=job["folder"],
        processes_count=job["processes"],
        thread_count=32,
        image_size=256,
        resize_mode=job["resize_mode"],
        resize_only_if_bigger=True,
        encode_quality=95,
        output_format="webdataset",
        number_sample_per_shard=max(1, len(job["urls"]) // job["processes"]),
        compute_hash="sha256",
        retries=2,
    )
