"""Seals: of any file and of Parquet, one bit changed or a byte less is noticed."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from webimagetext.files import write_atomic
from webimagetext.parquet import UNREADABLE, parquet_writer
from webimagetext.sealed import PARQUET_SEAL, is_broken_parquet, is_sealed_parquet, seal, seal_parquet, unseal


def test_every_bit_and_every_cut_is_noticed() -> None:
    content = io.BytesIO()
    np.save(content, np.arange(5))
    sealed = seal(content.getvalue())
    assert unseal(sealed) == content.getvalue()
    assert np.array_equal(np.load(io.BytesIO(sealed)), np.arange(5))
    for place in range(len(sealed)):
        for bit in range(8):
            assert unseal(sealed[:place] + bytes([sealed[place] ^ 1 << bit]) + sealed[place + 1 :]) is None
        assert unseal(sealed[:place]) is None


@pytest.mark.parametrize("text", ["a", "crc32:00000000", "crc32_of_file"])
def test_a_sealed_parquet_file(text: str) -> None:
    content = io.BytesIO()
    table = pa.table({"text": [text, "b"]}).replace_schema_metadata({b"about": text.encode(), **PARQUET_SEAL})
    pq.write_table(table, content)
    sealed = seal_parquet(content.getvalue())
    assert not is_broken_parquet(sealed) and pq.read_table(io.BytesIO(sealed)).equals(table)
    for place in range(len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        assert is_broken_parquet(changed), place


def test_a_parquet_file_of_another_program_is_not_broken() -> None:
    content = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"]}), content)
    assert not is_broken_parquet(content.getvalue())


def written(rows: int, *, sealed: bool) -> bytes:
    """A Parquet file of so many groups of rows."""
    content = io.BytesIO()
    schema = pa.schema({"number": pa.int64(), "text": pa.string()})
    with parquet_writer(content, schema, sealed=sealed) as writer:
        for start in range(0, rows, 40):
            numbers = list(range(start, start + 40))
            writer.write_table(pa.table({"number": numbers, "text": [f"{n % 3}" for n in numbers]}, schema))
    return content.getvalue()


@pytest.mark.parametrize("rows", [0, 40, 120])
def test_a_parquet_file_that_is_sealed_as_it_is_written(rows: int) -> None:
    plain, sealed = written(rows, sealed=False), written(rows, sealed=True)
    assert pq.read_table(io.BytesIO(sealed)).equals(pq.read_table(io.BytesIO(plain)))
    assert pq.read_table(io.BytesIO(sealed)).num_rows == rows
    stream = io.BytesIO(sealed)
    assert is_sealed_parquet(stream) is True and stream.tell() == 0
    assert is_sealed_parquet(io.BytesIO(plain)) is None
    taken = set()
    for place in range(len(sealed)):
        changed = io.BytesIO(sealed[:place] + bytes([sealed[place] ^ 1 << place % 8]) + sealed[place + 1 :])
        if is_sealed_parquet(changed) is not False:
            taken.add(len(sealed) - place)
            with pytest.raises(UNREADABLE):
                pq.read_table(changed)
    assert taken <= set(range(5, 9)), "but for the length of the footer, without which nobody can read it"
    for length in range(0, len(sealed), 9):
        assert is_sealed_parquet(io.BytesIO(sealed[:length])) is not True


def test_a_safe_file_is_on_the_disk_before_it_gets_its_name(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr("os.fsync", lambda handle: done.append("sync"))
    monkeypatch.setattr("webimagetext.files.os.replace", lambda *names: done.append("rename"))
    for safe in (False, True):
        with write_atomic(f"{tmp_path}/file", safe=safe) as stream:
            stream.write(b"a")
    assert done == ["rename", "sync", "rename", "sync"]  # the file before its name, the folder after it
