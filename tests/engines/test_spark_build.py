"""What `make spark` does with what Maven brings: checks it, keeps it, says what is wrong. A stand-in for Maven copies a
file."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.engines import spark_cluster

ROOT = Path(__file__).resolve().parents[2]
# The first call fetches and must end with the miss that its profile asks for; the second one packs.
MAVEN = """#!/bin/sh
[ "$1" = --version ] && exit 0
echo "$*" >>"$CALLS"
for word; do case $word in -Dmaven.repo.local=*) repository=${word#*=};; esac; done
case " $* " in
  *" --offline "*) mkdir -p target; cp "$repository/org/a/1/a-1.jar" target/job-server.jar;;
  *) mkdir -p "$repository/org/a/1"; cp "$BROUGHT" "$repository/org/a/1/a-1.jar"
     [ -z "$EXTRA" ] || cp "$BROUGHT" "$repository/org/$EXTRA"
     echo "$ENDS"; exit 1;;
esac
"""
# What is compiled goes into the jar that Maven packed.
JAR = """#!/bin/sh
[ "$1" = --version ] || echo "jar $*" >>"$CALLS"
"""
MISSED = "Could not find artifact maven-shade-plugin:jar:nothing-runs:3.6.0"


class Build:
    """A copy of the script with a list of one jar, and the programs it calls."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls, self.brought = folder, folder / "calls", folder / "brought"
        shutil.copytree(ROOT / ".ci" / "spark", folder / "spark")
        self.brought.write_bytes(b"the right jar")
        listed = hashlib.sha256(b"the right jar").hexdigest()
        (folder / "spark" / "jars.sha256").write_text(
            f"{listed}  org/a/1/a-1.jar\n{listed}  org/not/fetched/here.jar\n"
        )
        (folder / "bin").mkdir()
        none = "#!/bin/sh\n"
        for name, text in (("mvn", MAVEN), ("java", none), ("javac", none), ("jar", JAR)):
            program = folder / "bin" / name
            program.write_text(text)
            program.chmod(0o755)

    def __call__(self, ends: str = MISSED, extra: str = "") -> "subprocess.CompletedProcess[str]":
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "CALLS": str(self.calls), "BROUGHT": str(self.brought)}
        environment |= {"ENDS": ends, "EXTRA": extra}
        command = [str(self.folder / "spark" / "build"), str(self.folder / "cache")]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def test_a_good_jar_is_made_once(build: Build) -> None:
    assert build().returncode == 0
    assert (build.folder / "cache" / "job-server.jar").read_bytes() == b"the right jar"
    build.calls.unlink()
    assert build().returncode == 0 and not build.calls.exists()
    (build.folder / "cache" / "job-server.jar").write_bytes(b"damaged")
    assert build().returncode == 0 and build.calls.exists()
    assert (build.folder / "cache" / "job-server.jar").read_bytes() == b"the right jar"


def test_nothing_runs_before_all_is_checked_and_nothing_is_left(build: Build) -> None:
    assert build().returncode == 0
    fetch, pack, add = build.calls.read_text().splitlines()
    assert "--activate-profiles fetch-only package" in fetch and "--offline package" in pack
    assert add.startswith("jar --update ") and add.endswith(" webimagetext")
    assert sorted(path.name for path in (build.folder / "cache").iterdir()) == [
        "job-server.jar",
        "job-server.jar.recipe",
        "job-server.jar.sha256",
    ]


def test_a_jar_that_is_not_listed_is_refused_and_not_run(build: Build) -> None:
    assert "org/b.jar" in build(extra="b.jar").stderr
    build.brought.write_bytes(b"another jar")
    done = build()
    assert done.returncode == 2 and "org/a/1/a-1.jar" in done.stderr and "jars.sha256" in done.stderr
    assert "--offline" not in build.calls.read_text()
    assert list((build.folder / "cache").iterdir()) == []


def test_a_failed_fetch_shows_what_maven_said(build: Build) -> None:
    done = build(ends="Unknown host")
    assert done.returncode == 2 and "Unknown host" in done.stderr and "could not fetch the parts" in done.stderr
    assert "--offline" not in build.calls.read_text()


def test_what_is_missing_is_named(build: Build) -> None:
    for name, said in (
        ("mvn", "no Maven (mvn) was found"),
        ("javac", "no Java was found (javac)"),
        ("java", "no Java"),
    ):
        (build.folder / "bin" / name).write_text("#!/bin/sh\nexit 127\n")
        done = build()
        assert done.returncode == 2 and said in done.stderr


def tried(checkout: Path, path: str, *command: str) -> "subprocess.CompletedProcess[str]":
    program = checkout / ".ci" / "spark" / "try"
    return subprocess.run([program, *command], env={**os.environ, "PATH": path}, capture_output=True, text=True)


def test_a_build_that_fails_stops_nothing_and_is_the_reason_for_what_is_skipped(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    log = tmp_path / ".cache" / "spark" / "failed.log"
    path = f"{build.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    fails = ["sh", "-c", "echo working; echo 'error: no way to the registry'; echo '  try again'; exit 2"]
    done = tried(tmp_path, path, *fails)
    assert done.returncode == 0 and done.stdout.endswith("the tests on Spark are left out\n")
    monkeypatch.setenv("PATH", path)
    assert spark_cluster.missing(log) == "Spark could not be built: no way to the registry (make spark)"
    assert tried(tmp_path, path, "true").returncode == 0 and not log.exists()


def test_without_java_or_maven_nothing_is_tried(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mvn", "java"):
        (build.folder / "bin" / name).unlink()
        monkeypatch.setenv("PATH", str(build.folder / "bin"))
        assert f"needs the program {name} " in spark_cluster.missing(tmp_path / "failed.log")
