"""Files on S3 and on Google Cloud Storage: reading, listing, writing that is never half done, and how much is asked for
it."""

import gc
import hashlib

import pytest

from tests.stores.conftest import QUIET, new_bucket
from tests.stores.servers import Store
from webimagetext import files
from webimagetext.errors import UserError

LARGE = bytes(range(256)) * (40 << 12)  # 40 MiB: several parts

pytestmark = QUIET


def put(url: str, content: bytes) -> str:
    with files.write_atomic(url) as stream:
        stream.write(content)
    return url


def test_a_small_file(store: Store, bucket: str) -> None:
    url = files.join(bucket, "a", "naïve name.txt")
    with files.write_atomic(url, "w") as stream:
        stream.write("naïve –\n")
    assert len(store.asked) == 1
    assert files.read(url) == "naïve –\n".encode()
    assert len(store.asked) == 2
    assert files.read(f"{url}x") is None
    assert files.exists(url) and not files.exists(f"{url}x") and files.is_folder(files.join(bucket, "a"))
    assert not files.is_folder(url)
    with files.open_input(url) as opened:
        assert opened.readline() == "naïve –\n".encode()
    assert files.size(url) == 11


def test_a_large_file_goes_up_in_parts_and_comes_back_in_blocks(store: Store, bucket: str) -> None:
    url = files.join(bucket, "large")
    with files.write_hashed(url) as stream:
        for start in range(0, len(LARGE), 1 << 20):
            stream.write(LARGE[start : start + (1 << 20)])
    assert (stream.size, stream.sha256) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
    store.asked.clear()
    assert files.digest(url) == stream.sha256
    assert len(store.of("get", "large")) < 12
    store.asked.clear()
    ranges = [(5, 9), (20 << 20, (20 << 20) + 7), (0, 3), (70_000, 70_002)]
    found = files.read_ranges([url] * 4, *map(list, zip(*ranges, strict=True)))
    assert found == [LARGE[start:end] for start, end in ranges]
    assert len(store.of("get", "large")) == 3  # the two that are near to each other come together
    with files.open_input(url) as opened:
        opened.seek(30 << 20)
        assert opened.read(10) == LARGE[30 << 20 : (30 << 20) + 10]


@pytest.mark.parametrize("size", [10, len(LARGE)])
def test_a_write_that_fails_leaves_the_old_file_and_no_upload(store: Store, bucket: str, size: int) -> None:
    url = put(files.join(bucket, "f"), b"old")
    with pytest.raises(RuntimeError), files.write_atomic(url) as stream:
        stream.write(LARGE[:size])
        raise RuntimeError
    gc.collect()  # fsspec's own streams complete an upload when they are collected
    assert files.read(url) == b"old"
    kinds = store.kinds()
    if size == len(LARGE):
        assert kinds["abort upload"] == 1
        assert kinds["end upload"] == 0
    if store.scheme == "s3" and size == len(LARGE):
        import s3fs

        assert s3fs.S3FileSystem().list_multipart_uploads(bucket.removeprefix("s3://")) == []


def test_a_store_that_breaks_off_an_upload_leaves_nothing(s3: Store) -> None:
    bucket = new_bucket(s3)
    s3.before = lambda verb, name: 400 if verb == "upload part" and s3.kinds()["upload part"] >= 1 else None
    try:
        with pytest.raises(UserError, match="the store failed") as caught, files.write_atomic(f"{bucket}/f") as stream:
            for start in range(0, len(LARGE), 1 << 20):
                stream.write(LARGE[start : start + (1 << 20)])
        assert bucket in caught.value.problem
    finally:
        s3.before = lambda verb, name: None
    assert s3.kinds()["abort upload"] == 1
    assert files.read(f"{bucket}/f") is None


def test_listing_and_removing(store: Store, bucket: str) -> None:
    for name in ("b.tar", "a.tar", "c.txt", "deep/d.tar"):
        put(files.join(bucket, "run", name), name.encode())
    assert files.listing(files.join(bucket, "run", "*.tar")) == [f"{bucket}/run/a.tar", f"{bucket}/run/b.tar"]
    assert files.listing(files.join(bucket, "none", "*.tar")) == []
    put(files.join(bucket, "running"), b"another's")
    files.remove(files.join(bucket, "run"))
    assert files.listing(files.join(bucket, "**")) == [f"{bucket}/running"]
    files.remove(files.join(bucket, "run"))  # again is no error
    store.asked.clear()
    for _ in range(2):
        files.remove_file(f"{bucket}/running")
    assert len(store.asked) == 2
    assert files.listing(files.join(bucket, "**")) == []


def test_what_another_process_wrote_is_seen_at_once(store: Store, bucket: str) -> None:
    import fsspec

    pattern = files.join(bucket, "*.tar")
    assert files.listing(pattern) == []
    # Another instance, without our caches, as in another process.
    other, _ = fsspec.core.url_to_fs(bucket, skip_instance_cache=True)
    other.pipe_file(f"{bucket}/late.tar", b"1")
    assert files.listing(pattern) == [f"{bucket}/late.tar"]
    assert files.exists(f"{bucket}/late.tar")
    before = files.version(f"{bucket}/late.tar")
    other.pipe_file(f"{bucket}/late.tar", b"2")
    assert files.version(f"{bucket}/late.tar") != before


def test_what_is_not_there_is_the_users_to_mend(store: Store, bucket: str) -> None:
    with pytest.raises(UserError, match=f"{bucket}/absent: no such file"):
        files.open_input(f"{bucket}/absent")
    with pytest.raises(UserError, match="is a folder"):
        files.open_input(bucket)
    nowhere = f"{store.scheme}://no-such-bucket"
    for ask in (files.open_input, files.size):
        with pytest.raises(UserError, match="there is no bucket 'no-such-bucket'"):
            ask(f"{nowhere}/f")
    with pytest.raises(UserError, match=f"{nowhere}/f: there is no bucket"):
        put(f"{nowhere}/f", b"1")
    with pytest.raises(UserError, match=f"{nowhere}/f: there is no bucket"):
        put(f"{nowhere}/f", LARGE)
    with pytest.raises(UserError, match=f"{bucket}/absent: no such file"):
        files.read_ranges([f"{bucket}/absent"], [0], [1])
