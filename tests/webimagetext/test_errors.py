"""How a command ends: a user's mistake without a traceback, a defect of ours with one."""

import errno
import os
import subprocess
import sys

import pytest

from webimagetext.command import run_command
from webimagetext.errors import UserError


def raising(error: BaseException) -> int:
    def command() -> int:
        raise error

    return run_command(command)


def test_a_users_mistake_is_told_in_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(UserError("a.tar: no such file", "give another")) == 2
    assert capsys.readouterr().err == "error: a.tar: no such file\n  give another\n"


def test_a_full_disk_is_not_a_defect(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(OSError(errno.ENOSPC, "No space left on device", "out.tar")) == 2
    assert "no space left while writing out.tar" in capsys.readouterr().err


def test_an_interrupt_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(KeyboardInterrupt()) == 130
    assert "the same command again" in capsys.readouterr().err


def test_a_closed_pipe_is_silent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    assert raising(BrokenPipeError()) == 141
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [ValueError("ours"), OSError(errno.EBADF, "a file of ours")])
def test_a_defect_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        raising(error)


def test_a_body_gives_the_status() -> None:
    assert run_command(lambda: None) == 0
    assert run_command(lambda: 3) == 3


def test_leaving_prints_what_was_said_and_tears_nothing_down() -> None:
    code = "import atexit, sys\nfrom webimagetext.command import leave\natexit.register(print, 'torn down')\n"
    code += "print('out')\nsys.stderr.write('err')\nleave(3)"
    environment = os.environ | {"PYTHONUNBUFFERED": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err")
