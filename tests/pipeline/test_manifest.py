"""What a manifest says of a file is so wherever the file lies."""

import hashlib

import pyarrow as pa
import pytest

from pipeline.keeping.manifest import entry_of, entry_of_table
from pipeline.tables.sink import write_part
from webimagetext import files


@pytest.mark.parametrize("size", [0, 1, 100_000, 9 << 20])
@pytest.mark.parametrize("store", ["local", "memory"])
def test_an_entry_states_the_bytes(tmp_path: object, store: str, size: int) -> None:
    """Small files of a store are read at once into memory, large ones in blocks."""
    folder = str(tmp_path) if store == "local" else f"memory://manifests/{size}"
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with files.write_atomic(files.join(folder, "a")) as stream:
        stream.write(content)
    told = {"file": "a", "rows": 7, "bytes": size, "sha256": hashlib.sha256(content).hexdigest()}
    assert entry_of(folder, "a", 7) == told


@pytest.mark.parametrize("store", ["local", "memory"])
def test_a_table_is_read_back_as_it_was_written(tmp_path: object, store: str) -> None:
    folder = str(tmp_path) if store == "local" else "memory://manifests/table"
    written = write_part(folder, "t.parquet", pa.table({"n": list(range(1000))}))
    assert entry_of_table(folder, "t.parquet") == written
    assert written["bytes"] == files.size(files.join(folder, "t.parquet")) > 0
