"""Endings from outside in a user's words, with their exit status."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from webimagetext.command import run_command
from webimagetext.endings import Terminated, heard, user_error, user_error_of_text
from webimagetext.errors import UserError


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "no space left while writing /a/b"),
        (errno.EROFS, "/a/b: this file system may only be read"),
        (errno.EACCES, "/a/b: permission is denied"),
        (errno.EFBIG, "/a/b: the file would be larger"),
        (errno.EMFILE, "too many open files: this process may have"),
        (errno.ENOTDIR, "/a/b: a part of this path is a file"),
        (errno.EISDIR, "/a/b: is a folder"),
        (errno.EEXIST, "/a/b: is a file where a folder has to be"),
        (errno.ENOENT, "/a/b: is not there"),
        (errno.ENOMEM, "out of memory"),
    ],
)
def test_an_error_of_the_system(number: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError(number, os.strerror(number), "/a/b")

    def fail() -> int:
        raise error

    assert run_command(fail) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {said}") and len(told.splitlines()) == 2
    kind = type(error).__name__
    text = f"Traceback (most recent call last):\n  File \"x.py\", line 3\n{kind}: {error} [while running 'Write']\n"
    same = user_error_of_text(text)
    assert same is not None and str(same) == str(user_error(error))


def test_memory() -> None:
    assert "out of memory" in str(user_error(MemoryError()))
    text = "Traceback (most recent call last):\nnumpy._core._exceptions._ArrayMemoryError: Unable to allocate 8. GiB"
    assert "out of memory" in str(user_error_of_text(text))
    assert "out of memory" in str(user_error_of_text("pyarrow.lib.ArrowMemoryError: malloc of size 9 failed"))


def test_threads() -> None:
    error = RuntimeError("can't start new thread")
    text = f"Traceback (most recent call last):\n  File \"x.py\", line 3\nRuntimeError: {error} [while running 'W']\n"
    for told in (user_error(error), user_error_of_text(text)):
        assert told is not None and "no further thread" in told.problem and "ulimit -v" in told.remedy
    assert user_error(RuntimeError("another")) is None
    no_room = user_error(ImportError("libtorch_cpu.so: failed to map segment from shared object"))
    assert no_room is not None and no_room.problem == "out of memory: a library finds no room (libtorch_cpu.so)"
    assert user_error(ImportError("libtorch_cpu.so: cannot open shared object file")) is None


OURS = [ValueError("x"), OSError("words"), KeyError("x"), OSError(errno.EBADF, "bad"), OSError(errno.ENOENT, "which?")]


@pytest.mark.parametrize("error", OURS)
def test_a_defect_keeps_its_traceback(error: Exception) -> None:
    def fail() -> int:
        raise error

    assert user_error(error) is None and user_error_of_text(f"Traceback\n{type(error).__name__}: {error}") is None
    with pytest.raises(type(error)):
        run_command(fail)


def test_sigterm_is_told_and_unwinds() -> None:
    code = (
        "import sys, time\nfrom webimagetext.command import run_command\n"
        "def work():\n    try:\n        print('on', flush=True)\n        time.sleep(60)\n"
        "    finally:\n        print('unwound', flush=True)\n"
        "sys.exit(run_command(work))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "on\n"
        process.terminate()
        out, error = process.communicate(timeout=60)
    assert process.returncode == 143 and out == "unwound\n"
    assert error == "\nterminated; the same command again takes up where this one stopped\n"


def test_whoever_listens_for_sigterm_goes_on_listening() -> None:
    heard_by = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard_by.append(number))
    try:
        with heard():
            signal.raise_signal(signal.SIGTERM)
        assert heard_by == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(Terminated), heard():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
    assert user_error(UserError("x")) is not None
