"""The container files: in step with the project's pins, and what the Flex Template's script runs."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose

from pipeline.engines.driver_job import PARAMETERS
from pipeline.workers import DEFAULT_PORT

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def pins(path: Path) -> dict[str, str]:
    """Packages of a pinned requirements file, with their versions."""
    return dict(PIN.findall(path.read_text()))


def stages() -> dict[str, list[str]]:
    """The Dockerfile's instructions by stage, continued lines joined."""
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if match := re.match(r"FROM (\S+) AS (\S+)", line):
            name = match[2]
            found[name] = [line]
        elif name and line and not line.startswith("#"):
            found[name].append(line)
    return found


def test_bases_are_pinned_to_the_versions_in_use() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    beam = pins(ROOT / "requirements.txt")["apache-beam"]
    assert f"ARG BEAM_SDK=apache/beam_python3.11_sdk:{beam}\n" in text
    assert re.search(r"^ARG BASE=python:3\.11\.\d+-slim-\w+$", text, re.MULTILINE)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"ARG VERSION={version}\n" in text


def test_every_installation_is_of_hashed_requirements() -> None:
    """PyTorch's CPU build is the one exception: its index has hashes of its own."""
    commands = " && ".join(line for lines in stages().values() for line in lines if line.startswith("RUN"))
    installs = re.findall(r"(?:pip|uv pip) install ([^&]+)", commands)
    assert len(installs) == 10
    for words in installs:
        assert "--require-hashes" in words or "/wheels/" in words or "--torch-backend cpu" in words


def test_images_without_pytorch_have_the_same_pins() -> None:
    everything = pins(ROOT / "requirements.txt")
    cuda = set((DOCKER / "cuda.txt").read_text().split("\n")[1:]) - {""}
    assert cuda == {name for name in everything if re.match(r"(torch|triton|nvidia-.*|cuda-.*)$", name)}
    for name in ("requirements-pipeline.txt", "requirements-dataflow.txt"):
        these = pins(DOCKER / name)
        assert not cuda & set(these)
        assert {package: these[package] for package in these.keys() & everything.keys()} == {
            package: everything[package] for package in these.keys() & everything.keys()
        }
    assert pins(DOCKER / "requirements-pipeline.txt").items() <= pins(DOCKER / "requirements-dataflow.txt").items()


def test_images_for_people_do_not_run_as_root_and_hold_no_build_tools() -> None:
    found = stages()
    for name in ("pipeline", "trainer", "all-in-one"):
        assert found[name][0] == f"FROM base AS {name}"
        assert "USER 10001" in found[name]
        assert not any(line.startswith("RUN") for line in found[name])
    assert found["flex-launcher"][0] == "FROM worker AS flex-launcher"
    assert found["worker"][-1] == 'ENTRYPOINT ["/opt/apache/beam/boot"]'


def test_everything_that_is_copied_is_there_and_is_sent_to_the_builder() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        word
        for lines in stages().values()
        for line in lines
        if line.startswith("COPY") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert len(copied) > 8
    for path in copied:
        assert (ROOT / path).exists(), path
        assert any(fnmatch(path, entry) or path.startswith(f"{entry}/") for entry in kept), path


def test_the_templates_launcher_is_asked_for_before_it_is_copied() -> None:
    found = stages()
    (check,) = (line for line in found["flex-checked"] if line.startswith("RUN"))
    command = check.removeprefix("RUN ")
    for launcher, status in (("scratch", 1), ("google/launcher:1", 0)):
        done = subprocess.run(["sh", "-c", command], env={"FLEX_LAUNCHER": launcher}, capture_output=True, text=True)
        assert done.returncode == status and ("--build-arg FLEX_LAUNCHER" in done.stderr) == bool(status)
    copied = [line for line in found["flex-launcher"] if line.startswith("COPY --from")]
    assert copied[0].startswith("COPY --from=flex-checked ")


def test_sparks_image_is_of_the_version_that_the_job_server_has() -> None:
    version = pins(ROOT / "requirements-spark.txt")["pyspark"]
    assert f"ARG SPARK=apache/spark:{version}-scala2.12-java17-ubuntu\n" in (DOCKER / "Dockerfile").read_text()
    assert f"<spark.version>{version}</spark.version>" in (ROOT / ".ci" / "spark" / "pom.xml").read_text()
    assert stages()["spark-driver"][0] == "FROM base AS spark-driver" and "USER 10001" in stages()["spark-driver"]


def test_the_pod_of_an_executor_has_the_pool_beside_it() -> None:
    pod = yaml.safe_load((DOCKER / "kubernetes" / "executor.yaml").read_text())
    executor, pool = pod["spec"]["containers"]
    assert executor == {"name": "executor"}  # the rest is Spark's
    assert pool["image"].removeprefix("REGISTRY/webimagetext-") in stages()
    command = subprocess.run(
        [sys.executable, *pool["command"][1:], *pool["args"], "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert command.returncode == 0 and pool["args"] == ["--port", str(DEFAULT_PORT)]
    assert pool["securityContext"]["runAsNonRoot"] and pool["securityContext"]["readOnlyRootFilesystem"]
    mounted = {mount["mountPath"] for mount in pool["volumeMounts"]}
    assert {entry["value"] for entry in pool["env"]} == mounted  # the only places it may write to
    assert {mount["name"] for mount in pool["volumeMounts"]} == {volume["name"] for volume in pod["spec"]["volumes"]}


def test_the_drivers_rights_belong_together() -> None:
    account, role, binding = yaml.safe_load_all((DOCKER / "kubernetes" / "rights.yaml").read_text())
    assert binding["subjects"] == [{"kind": account["kind"], "name": account["metadata"]["name"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    (rule,) = role["rules"]
    assert rule["apiGroups"] == [""] and "secrets" not in rule["resources"] and "*" not in rule["verbs"]


def test_compose_file() -> None:
    compose = PyCompose.from_yaml((DOCKER / "compose.yaml").read_text())  # refuses unknown keys and wrong types
    assert set(compose.service_names()) == {"demo", "report"}


def test_compose_file_by_the_program_itself() -> None:
    known = subprocess.run(["docker", "compose", "version"], capture_output=True) if shutil.which("docker") else None
    if known is None or known.returncode:
        pytest.skip("needs Docker with its compose plugin (install both)")
    command = ["docker", "compose", "--file", str(DOCKER / "compose.yaml"), "config", "--quiet"]
    assert subprocess.run(command).returncode == 0


def template() -> dict[str, dict[str, object]]:
    """The template's parameters by name."""
    content = json.loads((DOCKER / "flex_template.json").read_text())
    return {parameter["name"]: parameter for parameter in content["parameters"]}


def test_the_template_describes_what_the_driver_takes() -> None:
    described = template()
    assert set(described) == {*PARAMETERS, "sdk_container_image"}
    assert {name for name, about in described.items() if about.get("isOptional")} == {"verb", "beam_options"}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("config", "gs://bucket/run.toml", "run.toml"),
        ("config", "gs://bucket/a/b.toml", "gs://bucket/b.json"),
        ("output", "gs://bucket/run", "gs://bucket"),
        ("sdk_container_image", "registry.example/project/worker:1", "worker"),
        ("verb", "curate", "cure"),
        ("beam_options", "--max_num_workers=50 --machine_type=e2-standard-4", "max_num_workers=50"),
    ],
)
def test_the_template_refuses_wrong_parameters(name: str, good: str, bad: str) -> None:
    regexes = template()[name]["regexes"]
    assert isinstance(regexes, list)
    assert all(re.fullmatch(regex, good) for regex in regexes)
    assert not all(re.fullmatch(regex, bad) for regex in regexes)


def _script(*words: str, folder: Path) -> tuple[int, list[list[str]], str]:
    """Runs docker/flex-template with programs that only write down their arguments."""
    for name in ("docker", "gcloud"):
        (folder / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@" "" >> "{folder}/calls"\n')
        (folder / name).chmod(0o755)
    done = subprocess.run(
        [str(DOCKER / "flex-template"), *words],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PRINT": ""},
        capture_output=True,
        text=True,
    )
    calls = (folder / "calls").read_text() if (folder / "calls").exists() else ""
    return done.returncode, [call.split("\n") for call in calls.split("\n\n") if call], done.stderr


def test_the_script_builds_and_registers_the_template(tmp_path: Path) -> None:
    status, calls, _ = _script("build", "registry.example/p/", "gs://b/webimagetext.json", "launcher", folder=tmp_path)
    assert status == 0
    assert [call[:2] for call in calls] == [["docker", "build"], ["docker", "push"]] * 2 + [["gcloud", "dataflow"]]
    targets = [call[call.index("--target") + 1] for call in calls if "--target" in call]
    assert targets == ["worker", "flex-launcher"]
    assert set(targets) <= set(stages())
    assert calls[-1][2:5] == ["flex-template", "build", "gs://b/webimagetext.json"]
    assert calls[-1][calls[-1].index("--image") + 1] == calls[-2][2] == "registry.example/p/webimagetext-flex-launcher"


def test_the_script_launches_with_parameters_that_the_template_takes(tmp_path: Path) -> None:
    options = ["--max_num_workers=5", "--experiments=a,b"]
    places = ["gs://b/t.json", "europe-west1", "gs://b/run.toml", "gs://b/run"]
    status, (call,), _ = _script("run", "registry.example/p", *places, *options, folder=tmp_path)
    assert status == 0
    assert call[1:4] == ["dataflow", "flex-template", "run"]
    assert re.fullmatch(r"webimagetext-[0-9a-f]{8}", call[4])
    text = call[call.index("--parameters") + 1]
    assert text.startswith("^~^")  # so that a comma may stand in a value
    given = dict(part.split("=", 1) for part in text[3:].split("~"))
    assert given["beam_options"] == " ".join(options)
    for name, value in given.items():
        assert all(re.fullmatch(regex, value) for regex in template()[name]["regexes"])  # type: ignore[attr-defined]


def test_the_script_says_what_is_wrong(tmp_path: Path) -> None:
    status, calls, error = _script("run", "r", "gs://b/t.json", "europe-west1", "run.toml", "gs://b/r", folder=tmp_path)
    assert (status, calls) == (2, [])
    assert "run.toml: must be gs://BUCKET/NAME" in error
    status, calls, error = _script("build", folder=tmp_path)
    assert (status, calls) == (2, [])
    assert "docker/flex-template run REGISTRY" in error


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_pipeline_image_is_built_and_runs(tmp_path: Path) -> None:
    """Needs a builder without a daemon and a local base image; docs/containers.md says how to make one."""
    base = os.environ.get("WEBIMAGETEXT_TEST_BASE")
    if not base or not shutil.which("buildah"):
        pytest.skip("needs buildah, and WEBIMAGETEXT_TEST_BASE, the name of a local image with Python 3.11")
    tag = "localhost/webimagetext-test-pipeline"
    arguments = [f"--build-arg={name}={base}" for name in ("BASE", "BEAM_SDK")]
    build = ["buildah", "bud", "--isolation", "chroot", "--pull-never", *arguments, "--target", "pipeline"]
    subprocess.run([*build, "--file", "docker/Dockerfile", "--tag", tag, "."], cwd=ROOT, check=True)
    container = subprocess.run(["buildah", "from", tag], capture_output=True, text=True, check=True).stdout.strip()
    try:
        run = ["buildah", "run", "--isolation", "chroot", container, "--"]
        said = subprocess.run([*run, "python", "-m", "pipeline", "--help"], capture_output=True, text=True, check=True)
        assert "Builds an image-text dataset" in said.stdout
        user = subprocess.run([*run, "id", "-u"], capture_output=True, text=True, check=True)
        assert user.stdout.strip() == "10001"
        tools = subprocess.run([*run, "sh", "-c", "command -v gcc cc make uv"], capture_output=True)
        assert tools.stdout == b""
    finally:
        subprocess.run(["buildah", "rm", container], check=True, capture_output=True)
        subprocess.run(["buildah", "rmi", tag], check=True, capture_output=True)
