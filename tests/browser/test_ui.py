"""Dagster's pages on a built farm, in a real Chromium. Screenshots go to test-artefacts/."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from pydantic import SecretStr

from aquamind_pipeline import tables
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.settings import Settings
from tests.farms import wait_for
from tests.test_cli import aquamind

pytestmark = pytest.mark.browser

ARTEFACTS = Path(__file__).parents[2] / "test-artefacts"
READINGS = "environmental_environmentalreading"
LOADING_MS = 60_000


@pytest.fixture(scope="module")
def address(built: Settings) -> Iterator[str]:
    """`aquamind ui`, as a user starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"AQUAMIND_PROFILE": "tiny", "AQUAMIND_HOME": str(built.home), "DAGSTER_HOME": ""}
    command = [str(Path(sys.executable).with_name("aquamind")), "ui", "--port", str(port)]
    ARTEFACTS.mkdir(exist_ok=True)
    with (ARTEFACTS / "ui.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(address), 120)
        yield address
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:  # noqa: S310 - http, our own
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError):
        return False


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Page]:
    chromium = shutil.which("chromium")
    assert chromium, "install Debian's chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        page = browser.new_page(base_url=address, viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(LOADING_MS)
        yield page
        browser.close()


def shown(page: Page, path: str, *texts: str) -> None:
    """Open a page, see the texts on it, and keep a screenshot."""
    page.goto(path)
    for text in texts:
        expect(page.get_by_text(text, exact=False).first).to_be_visible(timeout=LOADING_MS)
    page.wait_for_load_state("networkidle")
    name = path.strip("/").replace("/", "-").replace("?", "-").replace("=", "-").replace("&", "-") or "home"
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def test_the_graph_shows_every_group(page: Page) -> None:
    shown(page, "/asset-groups/", "farm", "life", "events", "growth", "postgres")


def test_a_partition_tells_rows_bytes_and_hash(page: Page, built: Settings) -> None:
    lake = Lake(built.lake_path)
    shown(
        page, f"/assets/{READINGS}?view=partitions&partition=2026-03", "2026-03", lake.digest(READINGS, "2026-03")[:20]
    )


def test_check_results_are_shown(page: Page) -> None:
    shown(page, f"/assets/{tables.STATE_TABLE}?view=checks", "no_doubling", "ledger", "weight_continuity", "Succeeded")
    expect(page.get_by_text("Failed")).to_have_count(0)


def test_a_check_shows_its_picture(page: Page) -> None:
    shown(page, f"/assets/{tables.STATE_TABLE}?view=checks&checkDetail=recovers_life", "by_stage", "Egg&Alevin")
    page.get_by_text("Show Markdown").first.click()
    picture = page.locator("img[src^='data:image/png']")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 400
    page.screenshot(path=ARTEFACTS / "picture.png")


def test_data_docs_are_a_click_away(page: Page) -> None:
    """The check's link leads to the suite's page, which `aquamind ui` serves, and on to the index."""
    shown(page, "/assets/batch_batch?view=checks&checkDetail=expectations", "expect_column_values_to_be_unique")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="batch_batch.html").first.click()
    docs = opened.value
    expect(docs.get_by_text("Successful Expectations", exact=True)).to_be_visible()
    docs.screenshot(path=ARTEFACTS / "data-docs-table.png")
    docs.get_by_role("link", name="All tables").click()
    expect(docs.get_by_role("link", name=READINGS)).to_be_visible()
    docs.screenshot(path=ARTEFACTS / "data-docs.png")
    docs.close()


def test_the_report_on_a_screen_and_on_a_phone(
    page: Page, built: Settings, database: SecretStr, tmp_path: Path
) -> None:
    """It asks the network for nothing, follows the reader's colours, and is no wider than a phone."""
    environment = {"AQUAMIND_HOME": str(tmp_path), "AQUAMIND_LAKE": str(built.lake_path)}
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
        reader.screenshot(path=ARTEFACTS / f"report-{scheme}.png", full_page=True)
        context.close()


def test_jobs_and_the_nightly_schedule(page: Page) -> None:
    shown(page, "/jobs", "build_farm", "build_lake", "build_month", "load_database")
    shown(page, "/automation", "nightly")
