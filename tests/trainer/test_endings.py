"""How the trainer's programs end: one line with the remedy and a status, the old checkpoints whole."""

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.trainer.test_train import flags
from trainer import checkpoint
from trainer.endings import in_words
from trainer.evaluate.__main__ import main as evaluate
from trainer.export import main as export
from trainer.hold import Hold
from trainer.optim import set_rates
from trainer.rerank import main as rerank
from trainer.run import main
from trainer.step import Stepper
from webimagetext.command import run_command
from webimagetext.errors import UserError, is_out_of_memory
from webimagetext.temporary import temporary_name


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBIMAGETEXT_QUIET", "1")


Trained = tuple[list[str], Path]


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """A finished run."""
    shutil.copytree(trained[1], tmp_path / "model")
    return tmp_path / "model"


def programs(shapes: Path, model: Path, output: str) -> dict[str, Callable[[], int]]:
    """Each program that uses a model, with a command line that works where ``output`` can be written."""
    data = str(shapes / "holdout/*.tar")
    common = ["--checkpoint", str(model), "--output", output]
    return {
        "evaluate": lambda: evaluate(["retrieval", *common, "--data", data]),
        "export": lambda: export(common),
        "rerank": lambda: rerank([*common, "--prompt", "a ring", "--images", data]),
    }


class Full(io.FileIO):
    """A file on a disk with little room."""

    def write(self, data: Any) -> int:
        if self.tell() + len(memoryview(data).cast("B")) > 20_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def fill_disk(monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOSPC) -> None:
    def opened(path: str, mode: str = "r", **more: Any) -> Any:
        return Full(path, "w") if ".pt." in path else open(path, mode, **more)

    monkeypatch.setattr("webimagetext.files.open", opened, raising=False)


def test_a_full_disk_under_a_checkpoint(
    shapes: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = flags(shapes, tiny_model, tmp_path, "--checkpoint-steps", "4", "--keep", "1")
    assert main([*arguments, "--steps", "4"]) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()}
    capsys.readouterr()
    with monkeypatch.context() as full:
        fill_disk(full)
        assert run_command(lambda: main([*arguments, "--steps", "9"])) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if "reading" not in line]
    assert f"error: no space left while writing {tmp_path}/checkpoints/step-00000008.pt" in told
    assert not any("Traceback" in line for line in told)
    assert {path: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()} == before
    assert main([*arguments, "--steps", "9"]) == 0
    assert "from step 4" in capsys.readouterr().err


TOO_LARGE = """
import resource, sys
from webimagetext.command import leave, run_command
from trainer.run import main
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
leave(run_command(lambda: main(sys.argv[1:])))
"""


def test_a_file_that_may_not_grow_is_one_line(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    arguments = flags(shapes, tiny_model, tmp_path / "m", "--steps", "2")
    done = subprocess.run([sys.executable, "-c", TOO_LARGE, *arguments], capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert f"error: {tmp_path}/m/checkpoints/step-00000002.pt: the file would be larger" in done.stderr
    assert os.listdir(tmp_path / "m/checkpoints") == []


def test_a_place_that_cannot_be_written(
    shapes: Path, model: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    place = f"{tmp_path}/file/below"
    commands = programs(shapes, model, f"{place}.json")
    commands["run"] = lambda: main(flags(shapes, tiny_model, Path(place), "--steps", "1"))
    for name, command in commands.items():
        capsys.readouterr()
        assert run_command(command) == 2, name
        told = capsys.readouterr().err.splitlines()
        assert told[-2].startswith((f"error: {tmp_path}/file: is a file where", f"error: {place}: a part of")), told
    assert (tmp_path / "file").read_text() == ""


OUT_OF_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of …"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried …"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 7 bytes."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=range(6))
def test_too_little_memory_is_one_line(error: Exception) -> None:
    assert is_out_of_memory(error)
    with pytest.raises(UserError, match=r"out of memory on (the GPU|this machine)") as told:
        in_words(raising(error), "give less")
    assert told.value.remedy == "give less"
    assert ("the GPU" in told.value.problem) == ("CU" in str(error))


def test_each_program_says_what_makes_it_smaller(
    shapes: Path, model: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.evaluate.features.evaluated", raising(MemoryError()))
    monkeypatch.setattr("trainer.convert.write._states", raising(MemoryError()))
    monkeypatch.setattr(Stepper, "gradient", raising(OUT_OF_MEMORY[1]))
    commands = programs(shapes, model, str(tmp_path / "out.safetensors"))
    commands["run"] = lambda: main(flags(shapes, tiny_model, tmp_path / "new", "--steps", "1", "--accumulate", "3"))
    remedies = {}
    for name, command in commands.items():
        with pytest.raises(UserError, match="out of memory on") as told:
            command()
        remedies[name] = told.value.remedy
    assert "--accumulate 6" in remedies["run"] and "smaller --batch-size than 24" in remedies["run"]
    assert "--batch-size than 64" in remedies["evaluate"]
    assert "fewer --images" in remedies["rerank"]
    assert "more memory" in remedies["export"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "x", "/place"), "/place: permission is denied"),
        (OSError(errno.EROFS, "x", "/place.0123456789ab.tmp"), "/place: this file system may only be read"),
        (OSError(errno.EDQUOT, "x", "/place"), "quota of this user is spent: /place"),
        (OSError(errno.EMFILE, "x"), "too many open files: this process may have"),
        (UserError("own", "words"), "own"),
    ],
    ids=["permission", "read-only", "quota", "files", "own"],
)
def test_other_endings_in_words(error: Exception, words: str) -> None:
    with pytest.raises(UserError, match=words):
        in_words(raising(error), "")


@pytest.mark.parametrize("error", [ValueError("ours"), RuntimeError("ours"), OSError(errno.EBADF, "ours")])
def test_a_defect_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error), match="ours"):
        in_words(raising(error), "")


def test_sigterm_ends_any_program_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def wait() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
        return 0

    assert run_command(lambda: in_words(wait, "")) == 143
    assert capsys.readouterr().err == "\nterminated; the same command again takes up where this one stopped\n"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_within_a_step_saves_first(
    shapes: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
    status: int,
) -> None:
    calls = [0]

    def fifth(optimizer: torch.optim.Optimizer, rate: float) -> None:
        calls[0] += 1
        if calls[0] == 5:
            os.kill(os.getpid(), number)
        set_rates(optimizer, rate)

    monkeypatch.setattr("trainer.train.set_rates", fifth)
    assert main(flags(shapes, tiny_model, tmp_path, "--steps", "50")) == status
    assert "stopped and saved at step 5; the same command goes on from there\n" in capsys.readouterr().err
    assert [checkpoint.step_of(url) for url in checkpoint.all_in(str(tmp_path))] == [5]
    assert not (tmp_path / "lock").exists()


def test_a_second_training_in_a_folder_is_refused(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    arguments = flags(shapes, tiny_model, tmp_path / "model", "--steps", "2")
    first = Hold(str(tmp_path / "model"))
    first.take()
    first.take()  # no harm
    with pytest.raises(UserError, match=f"is being trained into by process {os.getpid()} on .+, since 20") as told:
        main(arguments)
    assert "another --output" in told.value.remedy
    assert os.listdir(tmp_path / "model") == ["lock"]
    first.close()
    assert main(arguments) == 0
    assert not (tmp_path / "model/lock").exists()


HOLD = """
import sys, time
from trainer.hold import Hold
hold = Hold(sys.argv[1])
hold.take()
print("held", flush=True)
time.sleep(60)
"""


def test_what_a_killed_training_leaves_is_taken_over(shapes: Path, tiny_model: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "model")
    process = subprocess.Popen([sys.executable, "-c", HOLD, output], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    about = json.loads((tmp_path / "model/lock").read_text())
    assert about["pid"] == process.pid and set(about) == {"host", "pid", "started"}
    with pytest.raises(UserError, match=f"process {process.pid} on {about['host']}, since {about['started']}"):
        Hold(output).take()
    process.kill()
    process.communicate()
    assert (tmp_path / "model/lock").exists()
    # Half a checkpoint and half a summary, too; what others write beside them is theirs.
    (tmp_path / "model/checkpoints").mkdir()
    half = [temporary_name(f"{output}/{name}") for name in ("checkpoints/step-00000009.pt", "summary.json", "other.pt")]
    for path in half:
        Path(path).write_bytes(b"half")
    assert main(flags(shapes, tiny_model, tmp_path / "model", "--steps", "1")) == 0
    assert [Path(path).exists() for path in half] == [False, False, True]


def test_the_schedule_of_a_limit_goes_on_where_it_stopped(
    shapes: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, rates, stop_at = [0.0], [], [0]
    for module in ("trainer.train", "trainer.run"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(monotonic=lambda: clock[0]))

    def one_second(optimizer: torch.optim.Optimizer, rate: float) -> None:
        rates.append(rate)
        clock[0] += 1
        if len(rates) == stop_at[0]:
            os.kill(os.getpid(), signal.SIGTERM)
        set_rates(optimizer, rate)

    monkeypatch.setattr("trainer.train.set_rates", one_second)
    more = ("--steps", "1000", "--max-seconds", "30.5", "--checkpoint-minutes", "0")
    assert main(flags(shapes, tiny_model, tmp_path / "whole", *more)) == 0
    whole = list(rates)
    assert len(whole) == 31 and whole[-1] < 0.02 * max(whole)
    rates.clear()
    for stop in (12, 20, 0):
        clock[0] = 5000.0 + stop  # another process, of another age
        stop_at[0] = stop
        assert main(flags(shapes, tiny_model, tmp_path / "broken", *more)) == (143 if stop else 0)
    assert rates == pytest.approx(whole)
    for name in ("whole", "broken"):
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        assert (summary["steps"], summary["seconds"], summary["ended_by"]) == (31, 31.0, "time")
