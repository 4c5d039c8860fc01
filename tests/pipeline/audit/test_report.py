"""report.html: whole, safe against what strangers wrote, the same every time; and a real browser shows it."""

import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from axe_playwright_python.sync_playwright import Axe

from pipeline.audit.funnel import Step
from pipeline.audit.report import SHOWN, render_report
from pipeline.audit.summary import Queries, Sample, Summary
from pipeline.audit.write import write_audit
from pipeline.balance.config import BalanceConfig
from pipeline.config import RunConfig
from pipeline.keeping.folder import RunFolder
from tests.browser import needs_browser, opened
from tests.small_run import make_run
from webimagetext.errors import UserError
from webimagetext.settings import to_dict

# The list's name is longer than a telephone is wide, so that the settings have to be scrolled.
CONFIG = RunConfig(queries=f"https://lists.example/{'long/' * 20}queries.parquet", balance=BalanceConfig(t=20))
VOID = {"meta", "img", "rect", "polygon", "path", "br", "link"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = make_run(tmp_path_factory.mktemp("audit") / "run")
    write_audit(folder, to_dict(CONFIG))
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
    # The first pair says that it comes from a page "javascript:alert(1)"; it is in the hold-out part, so look at all
    # links.
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
    write_audit(run, to_dict(CONFIG))
    text = Path(run.report).read_text()
    assert "10 rows are not accounted for: this run has a defect." in Page(text).text


def test_links_within_the_page_lead_somewhere(run: RunFolder) -> None:
    text = Path(run.report).read_text()
    anchors = [link[1:] for link in Page(text).links if link.startswith("#")]
    assert anchors and all(f'id="{anchor}"' in text for anchor in anchors)


def test_equal_runs_give_equal_files(run: RunFolder, tmp_path: Path) -> None:
    again = make_run(tmp_path / "run")
    write_audit(again, to_dict(CONFIG))
    for first, second in ((run.report, again.report), (run.card, again.card), (run.croissant, again.croissant)):
        assert Path(first).read_bytes() == Path(second).read_bytes()


def test_without_shards_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no manifest"):
        write_audit(RunFolder(str(tmp_path)), to_dict(CONFIG))


def page_of(captions: list[str], queries: list[str], steps: list[Step] | None = None) -> str:
    """A report of one picture for each caption."""
    names = pa.array(queries)
    counts = np.arange(len(queries), 0, -1, dtype=np.int64)
    summary = Summary(pairs=len(captions), queries=Queries(names, counts, counts, 0))
    summary.samples = [
        Sample(f"{n}", text, "https://a.example/", tuple(queries), b"") for n, text in enumerate(captions)
    ]
    rows = [{"stage": "match", "reason": "too_long", "detail": text, "url": "https://a.example/1"} for text in captions]
    summary.rejects = {"too_long": rows[:4]} if rows else {}
    return render_report("some", steps or [], summary, "seed = 0\n", 1, ("BMP", "WEBP"))


def test_the_most_frequent_reason_is_named_and_not_the_first() -> None:
    steps = [
        Step("match", "matched", "pairs", 100, 60, {"repeated_text": 3, "other_language": 30, "no_query": 7}),
        Step("balance", "kept", "pairs", 60, 30, {"not_drawn": 10}, set_aside=20),
        Step("join", "joined", "pairs", 30, 20, {"http_404": 5, "http_500": 5}),
    ]
    text = Page(page_of([], ["dog"], steps)).text
    assert "40 went, most for: other language" in text
    assert "30 went, most for: kept in reserve" in text
    assert "10 went, most for: http 404" in text


def test_the_formats_read_are_named() -> None:
    step = Step("fetch", "images stored", "attempts", 3, 3)
    assert "Image formats that were read: BMP, WEBP." in Page(page_of([], ["dog"], [step])).text


@pytest.mark.parametrize("text", ["word " * 240 + "end", "語" * 500, "x" * SHOWN + "x", "a " + "की" * 300])
def test_a_long_text_is_folded_and_whole(text: str) -> None:
    page = page_of([text], ["dog"])
    start, rest = page.split('<details class="text" dir="auto"><summary>')[1].split(
        '<span class="more" aria-hidden="true"> …</span>'
    )
    assert SHOWN / 2 < len(start) <= SHOWN + 1
    assert start + rest.split("<p>")[1].split("</p>")[0] == text
    assert not rest.split("<p>")[1].startswith("ी")
    assert start.endswith(" ") or " " not in text[SHOWN // 2 : SHOWN]


def test_a_text_of_ordinary_length_is_not_folded() -> None:
    assert '<details class="text"' not in page_of(["x" * SHOWN, "a dog"], ["dog"])


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_browser_shows_all_of_it_and_axe_finds_nothing(
    run: RunFolder, width: int, scheme: Literal["light", "dark"]
) -> None:
    with opened(Path(run.report).as_uri(), width, scheme) as page:
        for state in ("closed", "open"):
            page.evaluate("open => document.querySelectorAll('details').forEach(d => d.open = open)", state == "open")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert [finding["id"] for finding in Axe().run(page).response["violations"]] == []
        assert page.evaluate("[...document.images].filter(image => image.naturalWidth).length") == 24
        assert page.evaluate("document.querySelector('svg.curve .before').getTotalLength()") > 100


@needs_browser
def test_long_captions_make_no_endless_page_and_are_opened_with_the_keyboard(tmp_path: Path) -> None:
    heights, file = [], tmp_path / "report.html"
    for words in (20, 240):
        file.write_text(page_of([f"{'word ' * words}end{n}" for n in range(24)], ["dog"]), encoding="utf-8")
        with opened(file.as_uri(), 360) as page:
            heights.append(page.evaluate("document.documentElement.scrollHeight"))
            if words == 240:
                assert not page.get_by_text("end7").is_visible()
                page.locator(".pictures summary").nth(7).focus()
                page.keyboard.press("Enter")
                assert page.get_by_text("end7").is_visible()
    assert heights[1] < 1.1 * heights[0]


@needs_browser
def test_texts_run_as_their_letters_do(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    hebrew, long = "כלב אדום ליד הבית", "كلب أحمر " * 40
    file.write_text(page_of(["a red dog", hebrew, long], ["dog", "כלב"]), encoding="utf-8")
    directions = "nodes => nodes.map(node => getComputedStyle(node).direction)"
    with opened(file.as_uri(), 360) as page:
        captions = page.locator(".pictures li > [dir]:not(.tag)")
        assert captions.evaluate_all(directions) == ["ltr", "rtl", "rtl"]
        assert page.locator(".pictures .text p").evaluate_all(directions) == ["rtl"]
        assert page.locator(".pictures .tag").evaluate_all(directions) == ["ltr", "rtl"] * 3
        assert page.locator("#queries tbody th").evaluate_all(directions) == ["ltr", "rtl"]
        assert page.locator("#what-was-dropped td:first-child > *").evaluate_all(directions) == ["ltr", "rtl", "rtl"]
