"""The two towers as ONNX graphs, with any number of images or texts at a time.

In: a model. Out: ``image.onnx`` (normalised pixels -> unit vectors) and ``text.onnx`` (token ids -> unit vectors) in a
folder.
"""

import contextlib
import io
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainer.models.clip import Clip
from webimagetext.extras import needed_by
from webimagetext.files import join, open_input, write_atomic

__all__ = ["write_onnx"]


class _Tower(nn.Module):
    def __init__(self, model: Clip, encode: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.encode = model, encode

    def forward(self, inputs: Tensor) -> Tensor:
        return self.encode(inputs)


def write_onnx(model: Clip, folder: str) -> list[str]:
    """Writes both graphs; returns their paths. Raises UserError when the exporter's packages are not installed."""
    with needed_by("--format onnx"):
        import onnxscript  # type: ignore[import-untyped, unused-ignore]  # noqa: F401
    # It warns about operators of torchvision, which no tower uses.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    spec = model.spec
    images = torch.zeros(2, 3, spec.image_size, spec.image_size)
    ids = torch.zeros(2, spec.context_length, dtype=torch.long)
    ids[:, 1] = spec.vocab_size - 1
    written = []
    for name, encode, example in (("image", model.encode_image, images), ("text", model.encode_text, ids)):
        url = join(folder, f"{name}.onnx")
        with (
            tempfile.TemporaryDirectory() as place,
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Tower(model, encode).eval(),
                (example,),
                os.path.join(place, f"{name}.onnx"),
                input_names=["pixels" if name == "image" else "ids"],
                output_names=["vectors"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            with open_input(os.path.join(place, f"{name}.onnx")) as source, write_atomic(url) as target:
                shutil.copyfileobj(source, target, 1 << 20)
        written.append(url)
    return written
