"""One farm after the other at one address, in one browser: no page shows anything of another farm."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.orchestration.asset_specs import REPORT
from tests.browser.test_ui_trouble import LAUNCH, MONTHS
from tests.browser.uis import LOADING_MS, LOCATION, UI, kept
from tests.helpers.farms import wait_for

pytestmark = pytest.mark.browser

STATES_CHECKS = f"/assets/{STATES.name}?view=checks"
PAGES = (
    "/",
    "/runs",
    "/assets",
    "/automation",
    "/asset-groups/",
    f"{LOCATION}/jobs/build_farm",
    f"{LOCATION}/jobs/build_farm/playground",
    f"{LOCATION}/schedules/nightly",
    *(f"/assets/{name}?view={view}" for name in (STATES.name, REPORT) for view in ("overview", "events", "checks")),
)
KNOWN = """{ assetNodes { assetMaterializations(limit: 1) { runId } } schedulesOrError(
  repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "aquamind_pipeline"}
  ) { ... on Schedules { results { name scheduleState { status } } } } }"""


def test_a_farm_shows_nothing_of_another_one(page: Page, other: UI) -> None:
    """A farm with a fault fails its checks and has its nights switched on. Then come the farm from another day on, and
    another seed.
    """
    runs: list[str] = []
    for number, (name, farm) in enumerate(
        (
            ("with-doubled-transfers", {"AQUAMIND_FAULTS": "doubled-transfers"}),
            ("from-2026-02-03", {"AQUAMIND_EPOCH": "2026-02-03"}),
            ("seed-7", {"AQUAMIND_SEED": "7"}),
        )
    ):
        other.start(**farm)
        known = other.asked(page, KNOWN)
        assert not [one for one in known["assetNodes"] if one["assetMaterializations"]]
        assert [one["scheduleState"]["status"] for one in known["schedulesOrError"]["results"]] == ["STOPPED"] * 2
        assert other.runs(page) == []
        launched = other.asked(page, LAUNCH, job="build_lake", config={}, tags=MONTHS)["launchPipelineExecution"]
        run = launched["run"]["runId"]
        wait_for(lambda run=run: other.status(page, run) in ("SUCCESS", "FAILURE"))  # type: ignore[misc]
        assert other.status(page, run) == ("SUCCESS" if number else "FAILURE")
        nodes = other.asked(page, KNOWN)["assetNodes"]
        assert {one["runId"] for node in nodes for one in node["assetMaterializations"]} == {run}
        page.goto(f"{LOCATION}/schedules/nightly")
        page.locator("label:has(input[type=checkbox])").click()
        expect(page.get_by_text("Next tick").first).to_be_visible(timeout=LOADING_MS)
        if number:
            nothing_of(page, runs)  # also with what the browser keeps of pages at this address
        page.goto(f"{LOCATION}/jobs/build_farm")
        expect(page.get_by_text(f"Farm tiny-{name}: ").first).to_be_visible(timeout=LOADING_MS)
        page.goto(STATES_CHECKS)
        expect(page.get_by_text("Succeeded").first).to_be_visible(timeout=LOADING_MS)
        failed = page.get_by_text("Failed", exact=True)
        assert bool(failed.count()) == (number == 0)
        kept(page, f"farm-{name}")
        runs += [run[:8], f"tiny-{name}"]


def nothing_of(page: Page, others: list[str]) -> None:
    """No page has these texts or links with them."""
    for path in PAGES:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        seen = page.inner_text("body") + " ".join(page.eval_on_selector_all("a", "found => found.map(one => one.href)"))
        assert not [one for one in others if one in seen], path
