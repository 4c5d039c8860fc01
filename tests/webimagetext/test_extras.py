"""What is said where a package is missing that only an extra brings: its name, who needs it, what to type, and no
traceback."""

import subprocess
import sys
import tomllib

import pytest

from docs.cli_reference import ROOT
from webimagetext.errors import UserError
from webimagetext.extras import EXTRA_OF, needed_by, not_installed

# The last words are run as a module, with the first ones' packages hidden as if they were not installed.
WITHOUT = """
import runpy, sys
hidden, module, *words = sys.argv[1:]
sys.modules |= dict.fromkeys(hidden.split(","))
sys.argv = [module, *words]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
RUN = ("--train-data", "00000.tar", "--output", "model", "--model", "ViT-tiny")
CHECKPOINT = ("--checkpoint", "model")
DATA = ("--data", "00000.tar")


def without(hidden: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, hidden, *words], capture_output=True, text=True, cwd=ROOT, timeout=60
    )


@pytest.mark.parametrize(
    "words",
    [
        ("trainer.run", *RUN),
        ("trainer.evaluate", "retrieval", *CHECKPOINT, *DATA),
        ("trainer.export", *CHECKPOINT, "--output", "out"),
        ("trainer.rerank", *CHECKPOINT, "--prompt", "a dog", "--images", "a.jpg"),
        ("trainer.models", "--model", "ViT-tiny"),
    ],
)
def test_the_trainer_without_torch(words: tuple[str, ...]) -> None:
    done = without("torch", *words)
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stderr) == (
        2,
        "error: this command needs the package torch, which is not installed\n"
        "  pip install 'webimagetext[train]', or in a checkout: pip install '.[train]'\n",
    )


@pytest.mark.parametrize("detector", ["langdetect", "py3langid"])
def test_a_detector(detector: str) -> None:
    code = (
        f"import sys; sys.modules['{detector}'] = None\n"
        f"from pipeline.text.detectors import detect; detect('{detector}', ['x'], 'en')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert f"UserError: text.detector '{detector}' needs the package {detector}, which is not installed" in done.stderr
    assert "pip install 'webimagetext[detectors]'" in done.stderr


def test_other_missing_modules_are_no_matter_of_extras() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), needed_by("--option"):
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401
    assert not_installed("adlfs", "abfs://").remedy == "pip install adlfs"
    with pytest.raises(UserError, match="--wandb needs the package wandb"), needed_by("--wandb"):
        raise ModuleNotFoundError("No module named 'wandb.sdk'", name="wandb.sdk")


def test_every_extra_that_is_named_exists() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRA_OF.values()) | {"all"} == set(declared)
