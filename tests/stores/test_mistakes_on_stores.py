"""What a store refuses is told in a line with the URL and a remedy, and no message or file holds a key."""

import json
import subprocess
import sys
from pathlib import Path

import moto.settings
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from pipeline.__main__ import main
from tests.stores.commands import query_builder
from tests.stores.conftest import QUIET, new_bucket
from tests.stores.servers import KEY, SECRET, Store
from trainer.run import main as train
from webimagetext import files
from webimagetext.command import run_command
from webimagetext.errors import UserError
from webimagetext.flags import parse_flags
from webimagetext.settings import from_toml
from webimagetext.stores import refuse_credentials

pytestmark = QUIET
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config(tmp_path: Path) -> str:
    columns = {"query": ["circle"], "surface": ["circle"], "id": pa.array([0], pa.uint32()), "sources": [["synset"]]}
    pq.write_table(pa.table(columns), tmp_path / "queries.parquet")
    (tmp_path / "run.toml").write_text(
        f'queries = "{tmp_path}/queries.parquet"\n[extract]\nseeds = ["http://127.0.0.1:9/"]\n'
    )
    return str(tmp_path / "run.toml")


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """What a command said on both streams."""
    said = "".join(capsys.readouterr())
    assert "Traceback" not in said
    assert KEY not in said and SECRET not in said
    return said


def test_a_bucket_that_is_not_there(store: Store, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = f"{store.scheme}://no-such-bucket"
    assert main(["run", config, "--output", f"{nowhere}/run"]) == 2
    assert f"error: {nowhere}/run/.lock: there is no bucket 'no-such-bucket'" in told(capsys)
    assert main(["run", f"{nowhere}/run.toml", "--output", f"{nowhere}/run"]) == 2
    assert f"{nowhere}/run.toml: no such configuration file" in told(capsys)
    assert query_builder(["build", "--dump", f"{nowhere}/dump.xml.bz2"]) == 2
    assert "there is no bucket 'no-such-bucket'" in told(capsys)


def test_no_right_to_be_there(
    s3: Store, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket = new_bucket(s3)
    with files.write_atomic(f"{bucket}/f") as stream:
        stream.write(b"1")
    monkeypatch.setattr(
        moto.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0
    )  # from now on rights are asked for, and nobody has any
    assert main(["run", config, "--output", f"{bucket}/run"]) == 2
    said = told(capsys)
    assert f"error: {bucket}/run/config.toml: access is denied" in said and "AWS_PROFILE" in said
    for ask in (files.open_input, files.exists, files.size, files.read, files.listing, files.remove):
        with pytest.raises(UserError, match="access is denied") as caught:
            ask(f"{bucket}/f")
        assert caught.value.problem.startswith(f"{bucket}/f: ")
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("ExpiredToken", "The provided token has expired.", "the credentials in use have expired"),
        ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", "clock"),
    ],
)
def test_why_access_is_denied(s3: Store, code: str, message: str, told: str) -> None:
    bucket = new_bucket(s3)
    with files.write_atomic(f"{bucket}/f") as stream:
        stream.write(b"1")
    s3.before, reason = lambda verb, name: 403, s3.reason
    s3.reason = code, message
    try:
        # A question for the size is answered without a reason: there it is asked for.
        for ask in (files.open_input, files.exists, files.size, files.read, files.listing):
            with pytest.raises(UserError, match=told) as caught:
                ask(f"{bucket}/f")
            assert caught.value.problem.startswith(f"{bucket}/f: ")
    finally:
        s3.before, s3.reason = lambda verb, name: None, reason


def test_no_right_on_the_other_store(gs: Store) -> None:
    bucket = new_bucket(gs)
    gs.before = lambda verb, name: 403
    try:
        for ask in (files.open_input, files.read, files.size):
            with pytest.raises(UserError, match="access is denied") as caught:
                ask(f"{bucket}/f")
            assert "gcloud auth" in caught.value.remedy
        gs.before = lambda verb, name: 401
        with pytest.raises(UserError, match="wants to know who asks"):
            files.read(f"{bucket}/f")
    finally:
        gs.before = lambda verb, name: None


def in_another_process(code: str, s3: Store, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs ``code`` as a command with the given variables and little else."""
    program = "import sys\nfrom webimagetext.command import run_command\n"
    program += f"def body():\n    {code}\nsys.exit(run_command(body))"
    variables = {
        "AWS_ENDPOINT_URL": s3.address,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": "/usr/bin:/bin",
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env=variables, timeout=120
    )


def test_no_credentials(s3: Store, tmp_path: Path) -> None:
    done = in_another_process("from webimagetext import files; files.read('s3://bucket/f')", s3, HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: s3://bucket/f: no usable credentials were found" in done.stderr
    assert "AWS_ACCESS_KEY_ID" in done.stderr and "Traceback" not in done.stderr


def test_a_profile_and_public_data_need_no_key_in_the_environment(s3: Store, tmp_path: Path) -> None:
    bucket = new_bucket(s3)
    with files.write_atomic(f"{bucket}/f") as stream:
        stream.write(b"content")
    s3fs.S3FileSystem().chmod(f"{bucket}/f", acl="public-read")
    code = f"from webimagetext import files; print(files.read('{bucket}/f'))"
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        f"[lab]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    )
    for variables in ({"AWS_PROFILE": "lab"}, {"FSSPEC_S3": json.dumps({"anon": True})}):
        done = in_another_process(code, s3, HOME=str(tmp_path), AWS_DEFAULT_REGION="us-east-1", **variables)
        assert (done.returncode, done.stdout) == (0, "b'content'\n"), (variables, done.stderr)


@pytest.mark.parametrize(
    ("scheme", "package", "extra"), [("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs"), ("abfs", "adlfs", "")]
)
def test_a_package_that_is_not_installed(scheme: str, package: str, extra: str, s3: Store, tmp_path: Path) -> None:
    hidden = f"sys.modules['{package}'] = None; from webimagetext import files; files.read('{scheme}://bucket/f')"
    done = in_another_process(hidden, s3, HOME=str(tmp_path))
    assert done.returncode == 2
    assert f"{scheme}://bucket/f: {scheme}:// needs the package {package}, which is not installed" in done.stderr
    assert f"pip install '.[{extra}]'" in done.stderr if extra else f"  pip install {package}\n" in done.stderr


ADDRESSES = [
    f"s3://{KEY}:{SECRET}@bucket/run",
    f"s3://{KEY}:{SECRET.replace('/', '%2F')}@bucket/run",
    f"gs://user:{SECRET}@bucket/run",
    "https://user:hunter2hunter2@host.example/shards/*.tar",
    "https://hunter2hunter2@host.example/x",
    f"simplecache::s3://{KEY}:{SECRET}@bucket/run",
    "https://bucket.s3.example/x.tar?X-Amz-Credential=AKIA&X-Amz-Signature=hunter2hunter2",
    "https://store.example/x.tar?se=2026&sig=hunter2hunter2",
]
SECRETS = (KEY, SECRET, "hunter2", SECRET.replace("/", "%2F"), "thatnobody")


@pytest.mark.parametrize("address", ADDRESSES)
def test_credentials_in_an_address_are_refused_and_not_repeated(
    address: str, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret.toml").write_text(f'[extract]\nsource = "warc"\ninputs = ["{address}"]\n')
    commands = [
        lambda: main(["run", config, "--output", address]),
        lambda: main(["run", str(tmp_path / "secret.toml"), "--output", str(tmp_path / "run")]),
        lambda: main(["run", config, "--output", str(tmp_path / "run"), "--queries", address]),
        lambda: query_builder(["build", "--dump", address]),
        lambda: query_builder(["inspect", address]),
        lambda: run_command(lambda: train(["--train-data", address, "--output", str(tmp_path / "model")])),
        lambda: run_command(lambda: train(["--config", address])),
    ]
    for command in commands:
        assert command() == 2
        said = told(capsys)
        assert "this address holds credentials" in said
        assert not [secret for secret in SECRETS if secret in said]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["queries.parquet", "run.toml", "secret.toml"]
    with pytest.raises(UserError, match="holds credentials"):
        files.open_input(address)


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/run/{00000..00127}.tar",
        "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/run",
        "http://127.0.0.1:8080/x?signed=no",
        "https://[::1]:8080/a:b@c",
        "https://example.org/@me?q=a:b",
        "run/shards/*.tar",
        "a text: see http://example.org/page, or write to me@example.org",
    ],
)
def test_addresses_without_credentials_pass(address: str) -> None:
    refuse_credentials(address)


def test_every_setting_is_looked_at(tmp_path: Path) -> None:
    from pipeline.config import RunConfig
    from query_builder.config import BuildConfig

    with pytest.raises(UserError, match="credentials"):
        parse_flags(BuildConfig, [f"--output=s3://{KEY}:{SECRET}@bucket/q"], prog="test")
    (tmp_path / "c.toml").write_text(f'[extract]\ninputs = ["fine", "s3://{KEY}:{SECRET}@bucket/q"]\n')
    with pytest.raises(UserError, match=r"extract: inputs\[1\]: s3://\*\*\*") as caught:
        from_toml(RunConfig, tmp_path / "c.toml")
    assert KEY not in str(caught.value) and SECRET not in str(caught.value)
