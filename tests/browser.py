"""A page in a real browser: the Chromium of this machine, driven by Playwright.

In: an address, a width and a colour scheme. Out: the open page. ``needs_browser`` skips a test where there is none.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from playwright.sync_api import Page, sync_playwright

__all__ = ["needs_browser", "opened"]

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium or Chrome is installed (on Debian: apt install chromium)"
)


@contextmanager
def opened(address: str, width: int, scheme: Literal["light", "dark"] = "light") -> Iterator[Page]:
    """The page at ``address`` in a window ``width`` pixels wide. Tests may run code in it although it forbids
    scripts."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        try:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
            page.goto(address)
            yield page
        finally:
            browser.close()
