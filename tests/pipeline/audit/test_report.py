"""report.html: whole, safe against what strangers wrote, the same every time; and a real browser shows it."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.audit.write import write_audit
from pipeline.balance.config import BalanceConfig
from pipeline.config import RunConfig
from pipeline.layout import RunFolder
from tests.small_run import make_run
from webimagetext.errors import UserError

CONFIG = RunConfig(balance=BalanceConfig(t=20))
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = {"meta", "img", "rect", "polygon", "path", "br", "link"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = make_run(tmp_path_factory.mktemp("audit") / "run")
    write_audit(folder, CONFIG)
    return folder


class Page(HTMLParser):
    """Checks that tags are nested, and keeps what a page could load or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "object", "embed", "link", "base", "form")
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "srcset", "data", "poster"):
                self.loads.append(value or "")
            if name == "href":
                self.links.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_whole_and_loads_nothing(run: RunFolder) -> None:
    text = Path(run.report).read_text()
    page = Page(text)
    assert page.open == []
    assert len(page.loads) == 24
    assert all(load.startswith("data:image/jpeg;base64,") for load in page.loads)
    assert "url(" not in text and "@import" not in text


def test_what_strangers_wrote_is_shown_and_not_obeyed(run: RunFolder) -> None:
    text = Path(run.report).read_text()
    assert "<b>& its" not in text
    assert "a red dog number 5 <b>& its house</b>" in Page(text).text
    # The first pair says that it comes from a page "javascript:alert(1)"; it is in the hold-out part, so look at all links.
    assert all(link.startswith(("#", "http://", "https://")) for link in Page(text).links)


def test_every_step_and_reason_is_there(run: RunFolder) -> None:
    text = Page(Path(run.report).read_text()).text
    for words in ("repeated pair", "too short", "no query", "not drawn", "http 404", "small image", "kept in reserve"):
        assert words in text
    assert "With more than t = 20 matches: 3; they hold 96 % of all matches, and 92 % of those" in text
    assert "30 pairs of an image and a text, kept from 100 that were found." in text
    assert "defect" not in text


def test_a_run_that_lost_rows_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    shutil.rmtree(run.rejects("balance"))
    write_audit(run, CONFIG)
    text = Path(run.report).read_text()
    assert "10 rows are not accounted for: this run has a defect." in Page(text).text


def test_links_within_the_page_lead_somewhere(run: RunFolder) -> None:
    text = Path(run.report).read_text()
    anchors = [link[1:] for link in Page(text).links if link.startswith("#")]
    assert anchors and all(f'id="{anchor}"' in text for anchor in anchors)


def test_equal_runs_give_equal_files(run: RunFolder, tmp_path: Path) -> None:
    again = make_run(tmp_path / "run")
    write_audit(again, CONFIG)
    for first, second in ((run.report, again.report), (run.card, again.card), (run.croissant, again.croissant)):
        assert Path(first).read_bytes() == Path(second).read_bytes()


def test_without_shards_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no manifest"):
        write_audit(RunFolder(str(tmp_path)), CONFIG)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed (on Debian: apt install chromium)")
@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_shows_it_without_sideways_scrolling(run: RunFolder, tmp_path: Path, width: int) -> None:
    # A frame has the width that is asked for, which a headless window need not have; its script may look at the page within.
    probe = tmp_path / "probe.html"
    probe.write_text(
        f'<iframe id="f" style="width:{width}px;height:900px;border:0" src="{Path(run.report).as_uri()}"></iframe>'
        "<script>f.onload = () => { const d = f.contentDocument; document.title = "
        "[d.documentElement.scrollWidth, d.querySelectorAll('img').length, [...d.images].filter(i => i.naturalWidth).length, "
        "d.querySelector('svg.curve .before').getTotalLength() > 100].join(' '); }</script>"
    )
    assert BROWSER is not None
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
    ]
    command += [
        "--allow-file-access-from-files",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=5000",
    ]
    done = subprocess.run([*command, "--dump-dom", probe.as_uri()], capture_output=True, text=True, timeout=120)
    title = re.search(r"<title>(\d+) (\d+) (\d+) (\w+)</title>", done.stdout)
    assert title is not None, done.stdout + done.stderr[-2000:]
    scroll_width, images, _, curve_drawn = title.groups()
    assert int(scroll_width) <= width
    assert (images, curve_drawn) == ("24", "true")
