"""What `make spark` does with what Maven brings: checks it, keeps it, says what is wrong. A stand-in for Maven copies a file."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAVEN = """#!/bin/sh
[ "$1" = --version ] && exit 0
mkdir -p target/jars
cp "$BROUGHT" target/jars/a.jar
cp "$BROUGHT" target/spark-job-server-1.jar
echo "$*" >>"$CALLS"
"""


class Build:
    """A copy of the script with a list of one jar, and the programs it calls."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.calls, self.brought = folder, folder / "calls", folder / "brought"
        shutil.copytree(ROOT / ".ci" / "spark", folder / "spark")
        self.brought.write_bytes(b"the right jar")
        listed = hashlib.sha256(b"the right jar").hexdigest()
        (folder / "spark" / "jars.sha256").write_text(f"{listed}  a.jar\n")
        (folder / "bin").mkdir()
        for name, text in (("mvn", MAVEN), ("java", "#!/bin/sh\n")):
            program = folder / "bin" / name
            program.write_text(text)
            program.chmod(0o755)

    def __call__(self) -> "subprocess.CompletedProcess[str]":
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "CALLS": str(self.calls), "BROUGHT": str(self.brought)}
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


def test_another_jar_than_the_listed_one_is_refused(build: Build) -> None:
    build.brought.write_bytes(b"another jar")
    done = build()
    assert done.returncode == 2 and "a.jar: FAILED" in done.stderr and "jars.sha256" in done.stderr
    assert not (build.folder / "cache" / "job-server.jar").exists()


def test_what_is_missing_is_named(build: Build) -> None:
    for name, said in (("mvn", "no Maven (mvn) was found"), ("java", "no Java was found")):
        (build.folder / "bin" / name).write_text("#!/bin/sh\nexit 127\n")
        done = build()
        assert done.returncode == 2 and said in done.stderr
