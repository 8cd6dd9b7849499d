"""A user works with Dagster's pages: materialises a farm by clicking, backfills, looks, switches the nights on."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.apps.batch.growth_samples import GROWTH_SAMPLES
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.asset_specs import asset_group
from aquamind_pipeline.quality.rules import STATEMENTS
from aquamind_pipeline.settings import Settings
from tests.browser.uis import ARTEFACTS, LOCATION, UI, kept, shown
from tests.helpers.commands import aquamind
from tests.helpers.farms import wait_for

pytestmark = pytest.mark.browser

LOAD = "postgres"
"""The group of the load, which waits for all tables."""
READINGS, SAMPLES = "environmental_environmentalreading", "batch_growthsample"


def test_a_farm_is_materialised_by_clicking(clicked: Settings) -> None:
    lake = Lake(clicked.lake_path)
    assert all(lake.has(name) or lake.partitions(name) for name in REGISTRY.aquamind)


def test_the_graph_shows_every_group(page: Page, clicked: Settings) -> None:
    shown(page, "/asset-groups/", *sorted({asset_group(one) for one in REGISTRY.values()}), LOAD, image="graph")


def test_the_graph_of_a_group_is_readable(page: Page, clicked: Settings) -> None:
    """Dagster makes it as wide as the page: its letters stay large. It is at most four pages high, the load's five."""
    for group in sorted({asset_group(one) for one in REGISTRY.values()} | {LOAD}):
        page.goto(f"{LOCATION}/asset-groups/{group}/lineage")
        graph = page.locator("[data-svg-viewport] svg").first
        expect(graph).to_be_visible()
        shown, high = graph.bounding_box(), page.locator("[data-svg-viewport]").bounding_box()
        assert shown is not None
        assert high is not None
        assert shown["width"] > 0.6 * graph.evaluate("graph => graph.clientWidth"), group
        assert shown["height"] < (5 if group == LOAD else 4) * high["height"], group
        kept(page, f"group-{group}")


def test_the_catalogue_says_what_a_table_is(page: Page, clicked: Settings) -> None:
    """Description, columns with units, owner, source code, seed."""
    texts = (GROWTH_SAMPLES.meaning, "Mean weight of a fish [g]", "aquamind-data", "Source code")
    shown(page, f"/assets/{GROWTH_SAMPLES.name}?view=overview", *texts, "20261123", image="catalogue")


def test_a_picture_shows_weights_and_fish(page: Page, clicked: Settings) -> None:
    shown(page, f"/assets/{STATES.name}?view=events", "rows_per_second")
    page.get_by_text("Show Markdown").first.click()
    expect(page.locator("img[src^='data:image/png']")).to_be_visible()
    kept(page, "picture", guide=True)


def test_months_are_backfilled_by_clicking(page: Page, ui: UI, clicked: Settings) -> None:
    """Two months that were lost, in one run; the others keep their materialisation."""
    lake = Lake(clicked.lake_path)
    before = {month: lake.digest(SAMPLES, month) for month in lake.partitions(SAMPLES)}
    for month in ("2026-03", "2026-04"):
        lake.remove(SAMPLES, month)
    page.goto(f"/assets/{SAMPLES}?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_placeholder("ex: 2026-02").fill("[2026-03...2026-04]")
    page.get_by_placeholder("ex: 2026-02").press("Enter")
    expect(page.get_by_text("Backfills all partitions in a single run.")).to_be_visible()
    kept(page, "backfill", guide=True)
    runs = ui.runs(page)
    page.get_by_role("button", name="Launch backfill").click()
    wait_for(lambda: [status for _, status in ui.runs(page)] == ["SUCCESS"] * (len(runs) + 1))
    assert {month: lake.digest(SAMPLES, month) for month in lake.partitions(SAMPLES)} == before


def test_a_partition_tells_rows_bytes_and_hash(page: Page, clicked: Settings) -> None:
    lake = Lake(clicked.lake_path)
    digest = lake.digest(READINGS, "2026-03")
    shown(page, f"/assets/{READINGS}?view=partitions&partition=2026-03", "2026-03", digest[:20], image="partition")


def test_check_results_are_shown(page: Page, clicked: Settings) -> None:
    shown(page, f"/assets/{STATES.name}?view=checks", "no_doubling", "ledger", "realistic", "Succeeded")
    expect(page.get_by_text("Failed")).to_have_count(0)


def test_a_check_shows_its_picture(page: Page, clicked: Settings) -> None:
    shown(page, f"/assets/{STATES.name}?view=checks&checkDetail=recovers_life", "by_stage", "Egg&Alevin")
    page.get_by_text("Show Markdown").first.click()
    picture = page.locator("img[src^='data:image/png']")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 400
    kept(page, "check-picture")


def test_a_failed_check_shows_rows_and_reason(page: Page, ui: UI, clicked: Settings) -> None:
    """A month is spoiled, its checks are looked at again by a click: those that block fail their run."""
    lake = Lake(clicked.lake_path)
    good = lake.read(STATES.name, "2026-04")
    doubled = pl.when(pl.int_range(pl.len()) == 300).then(pl.col("population") * 2).otherwise("population")
    spoiled = good.with_columns(doubled.cast(good.schema["population"]).alias("population"))
    lake.write(STATES.name, spoiled, "2026-04")
    rule = "recovers_life"
    failed = f"/assets/{STATES.name}?view=checks&checkDetail={rule}"
    page.goto(failed)
    before = ui.runs(page)
    page.get_by_role("button", name="Execute all").click()
    wait_for(lambda: [status for _, status in ui.runs(page)[: -len(before)]] == ["FAILURE"])
    lake.write(STATES.name, good, "2026-04")
    shown(page, failed, STATEMENTS[rule].text, "Failed", "sample")
    page.get_by_text("sample", exact=True).first.scroll_into_view_if_needed()
    number = page.get_by_text(re.compile(r"^(FI|SCO)-2026-\d{3}$")).first
    number.scroll_into_view_if_needed()
    expect(number).to_be_visible()
    kept(page, "failed-check", guide=True)


def test_data_docs_are_a_click_away(page: Page, clicked: Settings) -> None:
    """The check's link leads to the suite's page, which `aquamind ui` serves, and on to the index."""
    shown(page, "/assets/batch_batch?view=checks&checkDetail=expectations", "expect_column_values_to_be_unique")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="batch_batch.html").first.click()
    docs = opened.value
    expect(docs.get_by_text("Successful Expectations", exact=True)).to_be_visible()
    kept(docs, "data-docs", guide=True)
    docs.set_viewport_size({"width": 390, "height": 844})
    for wait in (READINGS, "index"):
        docs.goto(docs.url.replace("batch_batch", wait).replace(READINGS, wait))
        assert docs.evaluate("document.documentElement.scrollWidth") <= 390
        assert "None" not in docs.inner_text("body")
        assert "__none__" not in docs.inner_text("body")
    docs.goto(docs.url.replace("index", "batch_batch"))
    docs.get_by_role("link", name="All tables").click()
    expect(docs.get_by_role("link", name=READINGS)).to_be_visible()
    kept(docs, "data-docs-index")
    docs.close()


def test_the_report_on_a_screen_and_on_a_phone(
    page: Page, clicked: Settings, database: SecretStr, tmp_path: Path
) -> None:
    """It asks the network for nothing, follows the reader's colours, and is no wider than a phone."""
    environment = {"AQUAMIND_HOME": str(tmp_path), "AQUAMIND_LAKE": str(clicked.lake_path)}
    done = aquamind("load", **environment, AQUAMIND_DATABASE_URL=database.get_secret_value())
    assert done.returncode == 0, done.stderr
    for width, scheme in ((1200, "light"), (390, "dark")):
        context = page.context.browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[union-attr, arg-type]
        reader, asked = context.new_page(), []
        reader.on("request", lambda request, asked=asked: asked.append(request.url))
        reader.goto((tmp_path / "reports" / "tiny.html").as_uri())
        expect(reader.get_by_text("Fish of sample batches")).to_be_visible()
        assert [url for url in asked if not url.startswith("file:")] == []
        assert reader.evaluate("document.documentElement.scrollWidth") <= width
        ink = reader.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
        assert ink == reader.evaluate("getComputedStyle(document.body).color")
        reader.screenshot(path=ARTEFACTS / f"report-{scheme}-whole.png", full_page=True)
        kept(reader, f"report-{scheme}", guide=True)
        context.close()


def test_the_nights_are_switched_on_by_a_click(page: Page, ui: UI) -> None:
    status = """{ schedulesOrError(repositorySelector: {repositoryName: "__repository__",
        repositoryLocationName: "aquamind_pipeline"}) { ... on Schedules { results { scheduleState { status } } } } }"""

    def running() -> str:
        return str(ui.asked(page, status)["schedulesOrError"]["results"][0]["scheduleState"]["status"])

    shown(page, f"{LOCATION}/schedules/nightly", "At 11:30 PM UTC", "since the last verified build")
    assert running() == "STOPPED"
    switch = page.locator("label:has(input[type=checkbox])")
    for wanted in ("RUNNING", "STOPPED"):
        switch.click()
        wait_for(lambda wanted=wanted: running() == wanted)  # type: ignore[misc]
        if wanted == "RUNNING":
            expect(page.get_by_text("Next tick").first).to_be_visible()
            kept(page, "nightly", guide=True)
