"""Programs of other projects run in an environment of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import peers
from webimagetext.errors import UserError


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the peers' interpreter, which need not be installed here."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(peers, "PEERS", tmp_path)


def test_a_missing_environment_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS", tmp_path / "nowhere")
    with pytest.raises(UserError) as error:
        peers.run_in_peers("any.py")
    assert "make peers" in error.value.remedy


@pytest.mark.usefixtures("interpreter")
def test_the_last_line_is_returned(tmp_path: Path) -> None:
    source = tmp_path / "peer.py"
    source.write_text("import sys\nprint('loading')\nprint('{\"words\": %d}' % len(sys.argv[1]))\n")
    assert peers.run_in_peers(source, "four") == {"words": 4}


@pytest.mark.usefixtures("interpreter")
def test_a_failure_carries_the_programs_own_words(tmp_path: Path) -> None:
    source = tmp_path / "peer.py"
    source.write_text("raise SystemExit('the peer gave up')\n")
    with pytest.raises(subprocess.CalledProcessError) as error:
        peers.run_in_peers(source)
    assert "the peer gave up" in error.value.__notes__[0]
