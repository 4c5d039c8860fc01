"""open_clip's training loader on given shards: run by benchmarks/loader.py in the peers' environment.

In: a folder with job.json. Out: samples per CPU-second with its default transform and with a plain random crop, as
JSON; the first pictures of the first shard, cut in the middle, in peer.npz.
"""

import io
import json
import sys
import tarfile
import time
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import open_clip
import torch
from open_clip_train.data import get_wds_dataset  # type: ignore[import-not-found, unused-ignore]
from PIL import Image
from torchvision import transforms  # type: ignore[import-not-found, unused-ignore]

folder = sys.argv[1]
with open(f"{folder}/job.json") as stream:
    job = json.load(stream)
torch.set_num_threads(1)
mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
finish = [transforms.ToTensor(), transforms.Normalize(mean, std)]
choices = {
    "default": open_clip.image_transform(224, is_train=True, mean=mean, std=std),
    "plain": transforms.Compose([transforms.RandomCrop(224), *finish]),
}
result = {}
for name, preprocess in choices.items():
    best = 0.0
    for _ in range(job["rounds"]):
        args = SimpleNamespace(
            train_data=job["pattern"],
            train_num_samples=None,
            dataset_resampled=False,
            train_data_upsampling_factors=None,
            seed=0,
            batch_size=job["batch"],
            workers=0,
            world_size=1,
        )
        data = get_wds_dataset(args, preprocess, True, floor=True, tokenizer=open_clip.get_tokenizer("ViT-B-32"))
        begun, count = time.process_time(), 0
        for images, _ in data.dataloader:
            count += len(images)
        best = max(best, count / (time.process_time() - begun))
    result[name] = best
middle = transforms.Compose([transforms.CenterCrop(224), *finish])
pixels: list[npt.NDArray[np.float32]] = []
with tarfile.open(f"{folder}/00000.tar") as archive:
    for member in archive:
        data = archive.extractfile(member)
        if data is not None and member.name.endswith(".jpg") and len(pixels) < 8:
            pixels.append(middle(Image.open(io.BytesIO(data.read())).convert("RGB")).numpy())
np.savez(f"{folder}/peer.npz", pixels=np.stack(pixels))
print(json.dumps(result))
