"""What is asked, taken back and handed on of a run on an object store: the same as on a disk."""

from pathlib import Path

from pipeline.__main__ import main
from pipeline.audit.check import check_folder
from pipeline.explaining.assemble import explain
from pipeline.keeping.folder import RunFolder
from pipeline.keeping.manifest import iter_batches
from tests.pipeline.small_job import Job, digests
from tests.stores.conftest import QUIET, new_bucket
from tests.stores.servers import Store
from webimagetext import files

pytestmark = QUIET


def test_a_run_on_a_store_is_explained_exported_and_taken_back(
    s3: Store, job: Job, first: RunFolder, tmp_path: Path
) -> None:
    bucket = new_bucket(s3)
    run = RunFolder(f"{bucket}/one")
    for name in files.below(first.root):
        with files.write_atomic(f"{run.root}/{name}") as stream:
            stream.write(Path(first.root, name).read_bytes())
    [key, *_] = next(iter_batches(first.shards, ["key"])).column("key").to_pylist()
    assert explain(run.root, key) == explain(first.root, key)

    with files.write_atomic(f"{bucket}/list.txt", "w") as stream:
        stream.write(key)
    disk = job.copy(first, "as-on-the-store")
    for root in (run.root, disk.root):
        assert main(["remove", root, "--keys", f"{bucket}/list.txt"]) == 0
    assert digests(run) == digests(disk) != digests(first)
    assert check_folder(run.root, readers=False, note=False).findings == []
    assert not [name for name in files.below(run.root) if "pending" in name or ".tmp" in name]

    for root, output in ((run.root, f"{bucket}/out"), (disk.root, str(tmp_path / "out"))):
        assert main(["export", root, "--output", output]) == 0
    names = files.below(f"{bucket}/out")
    assert names == files.below(str(tmp_path / "out")) and len(names) > 8
    for name in names:
        assert files.read(f"{bucket}/out/{name}") == Path(tmp_path, "out", name).read_bytes(), name
