"""Reads shards by place with wids, the indexed reader of webdataset's releases before 1; runs in the peers'
environment.

Arguments: the index, and a folder for its cache. Last line printed: JSON with what came out.
"""

import json
import sys

import wids

if __name__ == "__main__":
    pairs = wids.ShardListDataset(sys.argv[1], cache_dir=sys.argv[2], keep=True)
    samples = [pairs[place] for place in range(len(pairs))]
    sizes = sorted({sample[".jpg"].size for sample in samples})
    print(json.dumps({"length": len(pairs), "captions": [sample[".txt"] for sample in samples], "sizes": sizes}))
