"""Files by path or URL: listing, reading, and writing that is never half done."""

import hashlib
from pathlib import Path

import pytest

from webimagetext import files
from webimagetext.errors import UserError


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder on disk, and one in fsspec's memory, which stands for every object store."""
    return str(tmp_path) if request.param == "local" else f"memory://{tmp_path.name}"


def put(url: str, content: bytes) -> str:
    with files.write_atomic(url) as stream:
        stream.write(content)
    return url


def test_what_is_written_can_be_read(folder: str) -> None:
    url = put(files.join(folder, "a", "b.bin"), b"12345")
    assert files.exists(url) and not files.exists(url + "x")
    assert files.size(url) == 5
    assert files.digest(url) == hashlib.sha256(b"12345").hexdigest()
    with files.open_input(url) as stream:
        assert stream.read() == b"12345"


def test_text_is_utf8(folder: str) -> None:
    url = files.join(folder, "t.txt")
    with files.write_atomic(url, "w") as stream:
        stream.write("naïve –")
    with files.open_input(url) as stream:
        assert stream.read().decode() == "naïve –"


def test_listing_is_sorted_and_can_be_opened(folder: str) -> None:
    for name in ("b.tar", "a.tar", "c.txt"):
        put(files.join(folder, name), name.encode())
    found = files.listing(files.join(folder, "*.tar"))
    assert [url.rsplit("/", 1)[1] for url in found] == ["a.tar", "b.tar"]
    with files.open_input(found[0]) as stream:
        assert stream.read() == b"a.tar"
    assert files.listing(files.join(folder, "*.none")) == []


@pytest.mark.parametrize("name", ["run [2]", "a*b", "what?", "[!x]", "plain"])
def test_a_folder_is_listed_whatever_its_name(folder: str, name: str) -> None:
    for part in ("round-0/x.txt", "round-1/x.txt", "other/x.txt"):
        with files.write_atomic(files.join(folder, name, part)) as stream:
            stream.write(b"1")
    found = files.listing("round-*/x.txt", files.join(folder, name))
    assert [url.rsplit("/", 3)[1:] for url in found] == [[name, f"round-{n}", "x.txt"] for n in (0, 1)]


def test_removing(folder: str) -> None:
    put(files.join(folder, "d", "one"), b"1")
    files.remove(files.join(folder, "d"))
    assert not files.exists(files.join(folder, "d", "one"))
    files.remove(files.join(folder, "d"))  # again is no error
    url = put(files.join(folder, "e"), b"1")
    for _ in range(2):
        files.remove_file(url)
        assert not files.exists(url)


def test_a_missing_file_is_the_users_to_mend(folder: str) -> None:
    with pytest.raises(UserError, match="no such file"):
        files.open_input(files.join(folder, "absent"))


def test_a_broken_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = str(tmp_path / "f")
    put(target, b"old")
    with pytest.raises(RuntimeError), files.write_atomic(target) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert Path(target).read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_an_unknown_kind_of_address_is_named() -> None:
    with pytest.raises(UserError, match="nosuch://bucket/file"):
        files.open_input("nosuch://bucket/file")
