"""A night launched by hand, by the buttons that the guide names, and watched to its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.uis import LOADING_MS, LOCATION, UI, kept, shown
from tests.helpers.commands import QUICK
from tests.helpers.farms import wait_for

pytestmark = pytest.mark.browser

NIGHTLY = f"{LOCATION}/schedules/nightly"


def test_a_night_launched_by_hand(page: Page, other: UI) -> None:
    """The farm begins 40 days ago, so that the night is short. The run is no tick, and the schedule says so."""
    epoch, last = ((datetime.now(UTC) - timedelta(days=days)).date().isoformat() for days in (40, 20))
    other.start(AQUAMIND_EPOCH=epoch, AQUAMIND_AS_OF=last, AQUAMIND_NIGHTLY="1", **QUICK)
    shown(page, NIGHTLY, "Latest tick stays as it was")
    page.get_by_role("button", name="Preview tick result").click()
    expect(page.get_by_text("Select an evaluation time to simulate")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("1 run requests")).to_be_visible()
    kept(page, "night-by-hand", guide=True)
    page.get_by_role("button", name="Launch all & commit tick result").click()
    wait_for(lambda: len(other.runs(page)) == 1)
    ((run, _),) = other.runs(page)
    wait_for(lambda: other.status(page, run) in ("SUCCESS", "FAILURE"))
    assert other.status(page, run) == "SUCCESS"
    page.goto(NIGHTLY)
    expect(page.get_by_text("Schedule has never run")).to_be_visible(timeout=LOADING_MS)
