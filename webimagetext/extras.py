"""Packages that only part of the programs use, and the extra of this project that brings each.

In: an import that found nothing. Out: a UserError that says who needs the package and what to type. What the programs
always need stands under ``dependencies`` in pyproject.toml; its absence is a broken installation, whose traceback
stays.
"""

import contextlib
from collections.abc import Iterator

from webimagetext.errors import UserError

__all__ = ["EXTRA_OF", "needed_by", "not_installed"]

# By the name that is imported.
EXTRA_OF = {
    "torch": "train",
    "tokenizers": "train",
    "safetensors": "train",
    "ftfy": "train",
    "webdataset": "train",
    "langdetect": "detectors",
    "py3langid": "detectors",
    "simplejpeg": "turbo",
    "cv2": "turbo",
    "pillow_heif": "heif",
    "pillow_jxl": "jxl",
    "onnxscript": "onnx",
    "tensorboard": "tracking",
    "wandb": "tracking",
    "s3fs": "s3",
    "gcsfs": "gcs",
    "apitools": "gcp",
}


def not_installed(package: str, asker: str) -> UserError:
    """The error for a package that ``asker``, an option or a command, needs and that is not there."""
    extra = EXTRA_OF.get(package)
    return UserError(
        f"{asker} needs the package {package}, which is not installed",
        f"pip install 'webimagetext[{extra}]', or in a checkout: pip install '.[{extra}]'"
        if extra
        else f"pip install {package}",
    )


@contextlib.contextmanager
def needed_by(asker: str) -> Iterator[None]:
    """Turns an import in the block that finds no package of an extra into a UserError; any other error passes."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA_OF:
            raise
        raise not_installed(package, asker) from None
