"""What of a folder of shards falls under a tombstone.

In: shards of this program or of another: a table beside each tar, or alone, or tars whose samples say in KEY.json what
they are. Out: the keys that go, shard by shard.
"""

from collections.abc import Iterator

import pyarrow as pa

from pipeline.keeping.folder import MANIFEST_FILE
from pipeline.keeping.manifest import read_manifest
from pipeline.removing.shard import keys_in_tar
from pipeline.removing.tombstones import Tombstones
from webimagetext import files
from webimagetext.errors import UserError
from webimagetext.parquet import UNREADABLE, open_parquet

__all__ = ["hits_in", "stems_of"]

COLUMNS = ("url", "page_url", "sha256", "key")


def stems_of(folder: str) -> list[str]:
    """The shards of a folder, by the stem of their files; of a run those that its manifest names."""
    if files.exists(files.join(folder, MANIFEST_FILE)):
        names = read_manifest(folder).column("file").to_pylist()
    else:
        names = list(files.sizes(folder))
    return sorted({name.rpartition(".")[0] for name in names if name.endswith((".tar", ".parquet"))})


def hits_in(folder: str, stem: str, stones: Tombstones) -> dict[str, str]:
    """The keys of a shard that go, each with the kind of its tombstone."""
    url = files.join(folder, f"{stem}.parquet")
    found: dict[str, str] = {}
    for batch in _rows(url) if files.exists(url) else _said(files.join(folder, f"{stem}.tar")):
        keys = batch.column("key").to_pylist()
        found |= {str(key): kind for key, kind in zip(keys, stones.kinds(batch), strict=True) if kind}
    return found


def _rows(url: str) -> Iterator[pa.RecordBatch]:
    try:
        with files.open_input(url) as stream:
            file = open_parquet(stream)
            names = [name for name in COLUMNS if name in file.schema_arrow.names]
            if "key" not in names:
                raise UserError(f"{url}: has no column key", "give the folder of a run, or of shards with keys")
            yield from file.iter_batches(columns=names)
    except UNREADABLE as error:
        raise UserError(f"{url}: is damaged: {error}", "`pipeline check` tells more") from None


def _said(url: str) -> Iterator[pa.RecordBatch]:
    """What the samples of a tar say of themselves."""
    rows = [{**{name: said.get(name) for name in COLUMNS}, "key": key} for key, said in keys_in_tar(url)]
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in COLUMNS]))
