"""The tensors of a TorchScript archive, as OpenAI distributed its models, without running the code in it.

In: an open file. Out: its tensors by name. Such an archive is a zip: ``data.pkl`` holds a tree of modules whose leaves
are tensors, ``data/N`` the numbers of each tensor, ``code/`` programs, which nobody looks at here. The pickle may name
nothing but tensors, their kinds of numbers, and modules, which become plain tables.
"""

import math
import pickle
import zipfile
from collections import OrderedDict
from typing import IO, Any

import torch
from torch import Tensor

__all__ = ["is_archive", "read_archive"]

KINDS = {
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
MODULES = "__torch__"
LONGEST_PICKLE = 1 << 26


class _Module:
    """What a module of the archive held, by name."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def is_archive(stream: IO[bytes]) -> bool:
    """Whether the file is a zip with programs in it, which only TorchScript writes."""
    stream.seek(0)
    if not zipfile.is_zipfile(stream):
        return False
    with zipfile.ZipFile(stream) as parts:
        names = parts.namelist()
    return any(name.endswith("/constants.pkl") for name in names) and any("/code/" in name for name in names)


def read_archive(stream: IO[bytes]) -> dict[str, Tensor]:
    """Every tensor of the archive by the names of the modules around it, joined by dots. Raises ValueError,
    zipfile.BadZipFile or pickle.UnpicklingError for what is none."""
    stream.seek(0)
    with zipfile.ZipFile(stream) as parts:
        described = [name for name in parts.namelist() if name.endswith("/data.pkl")]
        if len(described) != 1 or parts.getinfo(described[0]).file_size > LONGEST_PICKLE:
            raise ValueError("holds no description of its tensors, or one that is too long")
        with parts.open(described[0]) as pickled:
            tree = _Reader(pickled, parts, described[0].removesuffix("data.pkl") + "data/").load()
    found: dict[str, Tensor] = {}
    _collect(tree, "", found)
    return found


class _Reader(pickle.Unpickler):
    """Reads a pickle that may name tensors and modules alone."""

    def __init__(self, stream: IO[bytes], parts: zipfile.ZipFile, folder: str) -> None:
        super().__init__(stream)
        self._parts, self._folder = parts, folder
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == MODULES or module.startswith(f"{MODULES}."):
            return _Module
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in KINDS:
            return KINDS[name]
        if module == "torch.jit._pickle" and name.startswith("build_"):
            return list
        raise pickle.UnpicklingError(f"names {module}.{name}, which is neither a tensor nor a module")

    def persistent_load(self, pid: Any) -> Tensor:
        """The numbers of a tensor, as one row."""
        what, kind, key, _, _ = pid
        if what != "storage" or not isinstance(kind, torch.dtype):
            raise pickle.UnpicklingError(f"refers to {what}, which is no tensor")
        if key not in self._storages:
            data = bytearray(self._parts.read(f"{self._folder}{key}"))
            self._storages[key] = torch.frombuffer(data, dtype=kind) if data else torch.empty(0, dtype=kind)
        return self._storages[key]


def _tensor(numbers: Tensor, start: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    if math.prod(size) > numbers.numel():
        raise pickle.UnpicklingError(f"names a tensor of size {size} and holds {numbers.numel()} numbers for it")
    return numbers.as_strided(size, stride, start)


def _collect(value: Any, name: str, found: dict[str, Tensor]) -> None:
    if isinstance(value, Tensor):
        found[name] = value
    elif isinstance(value, _Module):
        for own, inner in vars(value).items():
            _collect(inner, f"{name}.{own}" if name else own, found)
