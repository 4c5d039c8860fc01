"""Our tar writer against the standard library's reader."""

import io
import tarfile

import pytest

from pipeline.write.tar import TarWriter


def test_members_come_back() -> None:
    members = {"a.txt": b"", "b" * 100: b"x" * 512, "00ff.jpg": bytes(range(256)) * 5}
    stream = io.BytesIO()
    writer = TarWriter(stream)
    places = {name: writer.add(name, data) for name, data in members.items()}
    writer.close()
    whole = stream.getvalue()
    assert len(whole) == writer.offset and len(whole) % 10240 == 0
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        found = archive.getmembers()
        assert [member.name for member in found] == list(members)
        for member in found:
            assert (member.mtime, member.uid, member.gid, member.uname, member.mode) == (0, 0, 0, "", 0o644)
            assert member.isreg() and archive.extractfile(member).read() == members[member.name]
            assert member.offset_data == places[member.name]


def test_names_that_do_not_fit_are_refused() -> None:
    writer = TarWriter(io.BytesIO())
    for name in ("", "x" * 101):
        with pytest.raises(ValueError, match="tar member"):
            writer.add(name, b"")
