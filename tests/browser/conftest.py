"""One farm, one `aquamind ui` and one Chromium for all tests in a browser: each start takes longer than most tests.

Each test is a visitor of its own, so that the order of tests does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from aquamind_pipeline.settings import Settings, load_settings
from tests.browser.uis import LOADING_MS, LOCATION, UI, chromium, kept, shown, visitor
from tests.helpers.farms import wait_for


@pytest.fixture(scope="session")
def farm(new_home: Callable[[], Path]) -> Settings:
    return load_settings(profile="tiny", home=new_home())


@pytest.fixture(scope="session")
def ui(farm: Settings) -> Iterator[UI]:
    ui = UI(farm.home)
    try:
        ui.start()
        yield ui
    finally:
        ui.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, ui: UI) -> Iterator[Page]:
    with visitor(browser, ui.address) as page:
        yield page


@pytest.fixture(scope="session")
def clicked(browser: Browser, ui: UI, farm: Settings) -> Settings:
    """The farm, built by clicking: all months of the whole job in one run, watched until it is done."""
    with visitor(browser, ui.address) as page:
        build_by_clicking(page, ui)
    return farm


def build_by_clicking(page: Page, ui: UI) -> None:
    """Launch all months of the whole job, watch the run to its end, and read its story."""
    page.goto(f"{LOCATION}/jobs/build_farm")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("All", exact=True).first.click()
    expect(page.get_by_role("button", name="Launch backfill")).to_be_enabled()
    kept(page, "materialise", guide=True)
    before = ui.runs(page)
    page.get_by_role("button", name="Launch backfill").click()
    wait_for(lambda: len(ui.runs(page)) > len(before))
    run, _ = ui.runs(page)[0]
    shown(page, f"/runs/{run}", "build_farm")
    wait_for(lambda: ui.status(page, run) in ("SUCCESS", "FAILURE"))
    done = page.get_by_text(f"Succeeded ({ui.steps(page, run)})")
    expect(done).to_be_visible(timeout=LOADING_MS)  # the page follows the run
    shown(page, f"/runs/{run}", "Finished execution of run")
    page.get_by_role("button", name="Levels").click()
    page.get_by_text("event", exact=True).click()
    page.keyboard.press("Escape")
    for line in ("made: ", "proved: ", "loaded: ", "took: ", "next: "):  # the run's story, and nothing else
        expect(page.get_by_text(line, exact=False).first).to_be_visible()
    expect(page.get_by_text("ASSET_CHECK_EVALUATION")).to_have_count(0)
    kept(page, "run", guide=True)
    assert ui.runs(page) == [(run, "SUCCESS"), *before]


@pytest.fixture
def other(ui: UI) -> Iterator[UI]:
    """`aquamind ui` for other farms; afterwards it shows the farm of the other tests again."""
    settings = ui.settings
    yield ui
    ui.start(**settings)
