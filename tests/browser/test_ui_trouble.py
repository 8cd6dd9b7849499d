"""What a user sees when something is wrong: a wrong option, a killed run, a killed Dagster, a missed night."""

from __future__ import annotations

import os
import signal

import dagster as dg
import pytest
from playwright.sync_api import Page, expect

from aquamind_pipeline.orchestration.asset_specs import REPORT
from aquamind_pipeline.orchestration.records import dagster_home
from aquamind_pipeline.settings import Settings
from tests.browser.uis import LOADING_MS, LOCATION, UI, kept, shown
from tests.helpers.farms import wait_for

pytestmark = pytest.mark.browser

LAUNCH = """mutation Launch($job: String!, $config: RunConfigData!, $tags: [ExecutionTag!]) {
  launchPipelineExecution(executionParams: {
    selector: {jobName: $job, repositoryName: "__repository__", repositoryLocationName: "aquamind_pipeline"},
    runConfigData: $config, mode: "default", executionMetadata: {tags: $tags}
  }) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message stack causes { message } }
  }
}"""
PROCESS = """query Started($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  ... on EngineEvent { metadataEntries { label ... on TextMetadataEntry { text } } }
} } } }"""
TAGS = "query Tags($run: ID!) { runOrError(runId: $run) { ... on Run { tags { key value } } } }"
FRESHNESS = """query Freshness($asset: String!) { assetNodeOrError(assetKey: {path: [$asset]}) {
  ... on AssetNode { freshnessStatusInfo { freshnessStatus } } } }"""
NIGHTS_ON = {"AQUAMIND_NIGHTLY": "1", "FRESHNESS_DAEMON_INTERVAL_SECONDS": "1"}
MONTHS = [
    {"key": "dagster/asset_partition_range_start", "value": "2026-02"},
    {"key": "dagster/asset_partition_range_end", "value": "2026-06"},
]


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
    if answer["__typename"] == "PythonError":  # of a value; its dialog shows our words, and nothing else
        assert answer["message"].startswith("WrongOption: ")
        assert (answer["stack"], answer["causes"]) == ([], [])
    assert ui.runs(page) == before


def test_options_are_offered_where_a_run_is_launched(page: Page) -> None:
    """The launchpad begins with the options and their defaults, and says which farm this is."""
    texts = ("as_of: ''", "since: ''", "database: ''", "skip_checks", "load_anyway", "reload")
    farm = "Farm tiny: seed 20261123"
    shown(page, f"{LOCATION}/jobs/load_database/playground", *texts, farm, image="launchpad")


def test_a_killed_run_and_a_killed_dagster(page: Page, ui: UI, farm: Settings) -> None:
    """SIGKILL of a run: seen at once, and the run is started again, once. SIGKILL of Dagster with that run, too: seen
    at the next start, and not tried a third time.
    """

    def process_of(run: str) -> int | None:
        events = ui.asked(page, PROCESS, run=run)["logsForRun"]["events"]
        entries = [entry for event in events for entry in event.get("metadataEntries", ())]
        return next((int(entry["text"]) for entry in entries if entry["label"] == "pid"), None)

    def tags_of(run: str) -> dict[str, str]:
        return {tag["key"]: tag["value"] for tag in ui.asked(page, TAGS, run=run)["runOrError"]["tags"]}

    def started(run: str) -> int:
        wait_for(lambda: ui.status(page, run) == "STARTED" and process_of(run))
        return process_of(run) or 0

    launched = ui.asked(page, LAUNCH, job="build_lake", config={}, tags=MONTHS)["launchPipelineExecution"]
    killed = launched["run"]["runId"]
    os.kill(started(killed), signal.SIGKILL)
    wait_for(lambda: ui.status(page, killed) == "FAILURE")
    wait_for(lambda: ui.runs(page)[0][0] != killed)
    shown(page, f"/runs/{killed}", "Failure", "terminated by signal 9", "Retrying the run")
    kept(page, "killed-run")
    again = ui.runs(page)[0][0]
    started(again)
    ui.kill()

    ui.start(**NIGHTS_ON)
    wait_for(lambda: ui.status(page, again) == "FAILURE")
    page.goto(f"/runs/{again}")
    expect(page.get_by_text("the process of this run is gone").first).to_be_visible(timeout=LOADING_MS)
    kept(page, "killed-dagster")
    wait_for(lambda: tags_of(again).get("dagster/will_retry") == "false")
    assert tags_of(again)["dagster/parent_run_id"] == killed


def test_a_missed_night_is_shown(page: Page, ui: UI, clicked: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An asset whose last materialisation is days ago fails its freshness policy; one of today passes."""
    missed, kept_up = dg.AssetKey(REPORT), dg.AssetKey("postgres_states")
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home(clicked)))
    with dg.DagsterInstance.get() as instance:
        last = instance.get_latest_materialization_event(missed)
        assert last is not None
        instance.store_event(last._replace(timestamp=last.timestamp - 3 * 86400))
    ui.start(**NIGHTS_ON)
    for asset, health, state in ((kept_up, "HEALTHY", "Passing"), (missed, "DEGRADED", "Failed")):
        name = asset.to_user_string()
        wait_for(lambda name=name, health=health: freshness(page, ui, name) == health)  # type: ignore[misc]
        shown(page, f"/assets/{name}?view=overview", "Freshness policy")
        expect(page.get_by_text(state, exact=True).first).to_be_visible(timeout=LOADING_MS)
    kept(page, "overdue", guide=True)


def freshness(page: Page, ui: UI, asset: str) -> str | None:
    """What Dagster's daemon has found out about an asset. An open page does not ask again."""
    node = ui.asked(page, FRESHNESS, asset=asset)["assetNodeOrError"]
    known = node.get("freshnessStatusInfo")
    return known and str(known["freshnessStatus"])
