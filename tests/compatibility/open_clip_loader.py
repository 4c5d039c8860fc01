"""Reads shards with open_clip's own training and evaluation loaders; runs in the peers' environment.

Arguments: the shards as a brace pattern. Last line printed: JSON with what came out.
"""

import json
import sys
from types import SimpleNamespace

import open_clip
from open_clip_train.data import get_wds_dataset


def load(pattern: str, train: bool) -> dict[str, object]:
    """One epoch; the size of the training set must come from sizes.json beside the shards."""
    arguments = SimpleNamespace(
        train_data=pattern,
        val_data=pattern,
        train_num_samples=None,
        val_num_samples=None,
        train_data_upsampling_factors=None,
        dataset_resampled=False,
        seed=0,
        batch_size=5,
        workers=1,
        world_size=1,
    )
    transform = open_clip.image_transform(224, is_train=train)
    data = get_wds_dataset(arguments, transform, is_train=train, tokenizer=lambda text: [text])
    captions: list[str] = []
    shapes = set()
    for images, texts in data.dataloader:
        shapes.add(tuple(images.shape[1:]))
        captions += texts
    return {"captions": captions, "shapes": sorted(shapes), "samples": data.dataloader.num_samples}


if __name__ == "__main__":
    print(json.dumps({"train": load(sys.argv[1], True), "evaluation": load(sys.argv[1], False)}))
