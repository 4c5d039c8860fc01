"""Whether other libraries read a shard, where they are installed."""

import gc
import importlib.util
import warnings
from collections.abc import Iterator

from webimagetext import files

__all__ = ["check_readers"]


def check_readers(folder: str, tars: dict[str, int]) -> Iterator[tuple[str, str]]:
    """(file, problem) for each library that does not read all samples of the first tar; ``tars`` are the samples of
    each."""
    if not tars or files.is_url(folder):
        return
    name, count = next(iter(sorted(tars.items())))
    for library, read in (("webdataset", _webdataset), ("datasets", _datasets)):
        if importlib.util.find_spec(library) is None:
            continue
        try:
            found = read(files.join(folder, name))
        except Exception as error:  # whatever another library raises is what is asked for
            yield name, f"{library} cannot read it: {' '.join(str(error).split())[:200]}"
            continue
        if found != count:
            yield name, f"{library} reads {found:,} samples of {count:,}"


def _webdataset(path: str) -> int:
    import webdataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves the file to be closed by chance
        count = sum(1 for _ in webdataset.WebDataset(path, shardshuffle=False, empty_check=False))
        gc.collect()
    return count


def _datasets(path: str) -> int:
    import datasets

    datasets.disable_progress_bars()
    return sum(1 for _ in datasets.load_dataset("webdataset", data_files=[path], split="train", streaming=True))
