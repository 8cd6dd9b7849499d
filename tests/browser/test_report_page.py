"""The report's page in a browser: on a screen, on a phone, in print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from aquamind_pipeline.settings import load_settings
from tests.browser.uis import visitor
from tests.helpers.reports import TABLES, WRONG, save_failed_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_failed_page(load_settings(profile="tiny", home=tmp_path_factory.mktemp("report")))


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[Page]:
    with visitor(browser, "about:blank") as page:
        yield page


@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_screen_says_what_there_is_and_leads_to_wrong_rows(window: Page, path: Path, width: int) -> None:
    """Nothing is wider than the screen. Long tables fold, and a link opens what it leads to."""
    window.set_viewport_size({"width": width, "height": 844})
    window.goto(path.as_uri())
    assert window.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("What failed", "Event volume", "Growth", "Pictures", "Checks of the build"):
        expect(window.get_by_role("link", name=name, exact=True)).to_be_in_viewport()
    row = window.locator(f"#row-1-{TABLES[-2]}")
    expect(row).to_be_hidden()
    window.get_by_text(f"All {len(TABLES)} rows").click()
    expect(row).to_be_visible()

    window.get_by_role("link", name=WRONG).click()
    expect(window.locator(f"#row-1-{WRONG}.wrong")).to_be_in_viewport()
    wrong = window.locator("#wrong-1")
    expect(wrong).to_be_hidden()
    window.get_by_role("link", name="10 of 1,234 wrong rows").click()
    expect(wrong.get_by_text("<b>&").first).to_be_in_viewport()


def test_print_shows_all_rows_and_cuts_none(window: Page, path: Path) -> None:
    """On A4, what is folded on a screen is there, and every table and picture fits into the width."""
    window.set_viewport_size({"width": 718, "height": 1000})
    window.emulate_media(media="print")
    window.goto(path.as_uri())
    for row in (f"#row-1-{TABLES[-2]}", "#row-2-FI-2026-039", "#wrong-1", "#wrong-2"):
        expect(window.locator(row)).to_be_visible()
    right = "Math.max(...[...document.querySelectorAll('table, svg')].map(one => one.getBoundingClientRect().right))"
    assert window.evaluate(right) <= 718
    window.emulate_media(media="screen")
