"""The CLIP score of a picture and its caption: the cosine of their embeddings by a model that the trainer made.

In: a checkpoint; then pictures and captions. Out: a number from -1 to 1 for each pair. Imports torch only when it is
made.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from webimagetext.extras import needed_by

__all__ = ["ClipScore"]


class ClipScore:
    """Scores pairs with one checkpoint (its file; see trainer.run). Raises UserError when it cannot be read or
    gives texts no vectors, or torch is not there.

    Computes on a GPU where there is one; the scores then differ in their last digits from those of a CPU.
    """

    def __init__(self, checkpoint: str) -> None:
        with needed_by("package.hooks.clip_checkpoint"):
            import torch

            from trainer.weights import comparing, load_trained

        self._trained: Any = load_trained(checkpoint)
        comparing(self._trained)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._trained.model.to(self._device).eval()

    def __call__(self, images: Sequence[Image.Image], captions: Sequence[str]) -> list[float]:
        import torch

        from trainer.data.images import middle, squashed
        from trainer.evaluate.features import encode_texts
        from trainer.models.clip import normalise_images

        if not images:
            return []
        spec = self._trained.model.spec
        cut = squashed if self._trained.crop == "squash" else middle
        pixels = np.stack([cut(image, spec.image_size) for image in images])
        with torch.inference_mode():
            seen = normalise_images(torch.from_numpy(pixels).to(self._device), spec.mean, spec.std)
            looks = self._trained.model.encode_image(seen).float().cpu()
            words = encode_texts(self._trained, list(captions), device=self._device, batch_size=len(captions))
        scores: list[float] = (looks * words).sum(dim=1).tolist()
        return scores
