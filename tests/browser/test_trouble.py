"""What a user sees when something is wrong: bad data, a wrong option, a killed run, a killed Dagster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from aquamind_pipeline import tables
from tests.browser.uis import LOADING_MS, LOCATION, UI, browsing, kept, serving, shown
from tests.farms import wait_for
from tests.test_cli import aquamind

pytestmark = pytest.mark.browser

FAULT = "doubled-transfers"
LAUNCH = """mutation Launch($job: String!, $config: RunConfigData!, $tags: [ExecutionTag!]) {
  launchPipelineExecution(executionParams: {
    selector: {jobName: $job, repositoryName: "__repository__", repositoryLocationName: "aquamind_pipeline"},
    runConfigData: $config, mode: "default", executionMetadata: {tags: $tags}
  }) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message causes { message } }
  }
}"""
PROCESS = """query Started($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  ... on EngineEvent { metadataEntries { label ... on TextMetadataEntry { text } } }
} } } }"""
MONTHS = [
    {"key": "dagster/asset_partition_range_start", "value": "2026-02"},
    {"key": "dagster/asset_partition_range_end", "value": "2026-06"},
]


@pytest.fixture(scope="module")
def spoiled(home: Path) -> Path:
    """A farm with a fault on purpose, built with all its checks."""
    folder = home / "spoiled"
    done = aquamind("build", "--no-database", AQUAMIND_HOME=str(folder), AQUAMIND_FAULTS=FAULT)
    assert done.returncode == 1
    return folder


@pytest.fixture(scope="module")
def ui(spoiled: Path) -> Iterator[UI]:
    with serving(spoiled, "trouble", AQUAMIND_FAULTS=FAULT) as ui:
        yield ui


@pytest.fixture(scope="module")
def page(ui: UI) -> Iterator[Page]:
    with browsing(ui.address) as page:
        yield page


def test_a_failed_check_shows_rows_and_reason(page: Page) -> None:
    shown(page, f"/assets/{tables.STATE_TABLE}?view=checks&checkDetail=ledger", "Eggs = alive + dead", "Failed")
    expect(page.get_by_text("sample").first).to_be_visible()
    kept(page, "failed-check", guide=True)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"as_of": "30.6.2026"}, "as_of"),
        ({"skip_checks": ["no_such_check"]}, "not in enum"),
        ({"database": "postgresql://loader:hunter2@db/farm"}, "never a URL"),
    ],
)
def test_a_wrong_option_is_refused_by_the_server(page: Page, ui: UI, wrong: dict[str, object], message: str) -> None:
    before = ui.runs(page)
    config = {"resources": {"workspace": {"config": wrong}}}
    answer = ui.asked(page, LAUNCH, job="build_lake", config=config, tags=MONTHS)["launchPipelineExecution"]
    assert answer["__typename"] in ("RunConfigValidationInvalid", "PythonError")
    assert message in str(answer)
    assert ui.runs(page) == before


def test_options_are_offered_where_a_run_is_launched(page: Page) -> None:
    """The launchpad begins with the options and their defaults, and says which farm this is."""
    texts = ("skip_checks", "load_anyway", "reload", "Farm tiny-with-doubled-transfers: seed 20261123")
    shown(page, f"{LOCATION}/jobs/load_database/playground", *texts, image="launchpad")


def test_a_killed_run_and_a_killed_dagster(page: Page, ui: UI, spoiled: Path) -> None:
    """SIGKILL of a run: seen while Dagster runs. SIGKILL of Dagster with its run: seen at the next start."""

    def process_of(run: str) -> int | None:
        events = ui.asked(page, PROCESS, run=run)["logsForRun"]["events"]
        entries = [entry for event in events for entry in event.get("metadataEntries", ())]
        return next((int(entry["text"]) for entry in entries if entry["label"] == "pid"), None)

    def status(run: str) -> str:
        return dict(ui.runs(page))[run]

    def started() -> tuple[str, int]:
        launched = ui.asked(page, LAUNCH, job="build_lake", config={}, tags=MONTHS)["launchPipelineExecution"]
        run = launched["run"]["runId"]
        wait_for(lambda: status(run) == "STARTED" and process_of(run), 180)
        process = process_of(run)
        assert process
        return run, process

    killed, process = started()
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: status(killed) == "FAILURE", 90)
    shown(page, f"/runs/{killed}", "Failure")
    again, _ = started()
    ui.kill()

    with serving(spoiled, "trouble-again", AQUAMIND_FAULTS=FAULT) as restarted:
        wait_for(lambda: dict(restarted.runs(page))[again] == "FAILURE", 60)
        page.goto(f"{restarted.address}/runs/{again}")
        expect(page.get_by_text("the process of this run is gone").first).to_be_visible(timeout=LOADING_MS)
        kept(page, "killed-dagster")
