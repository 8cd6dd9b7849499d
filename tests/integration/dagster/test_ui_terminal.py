"""The terminal of `aquamind ui` while runs fail or die: plain lines, the address of the run's page, no traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers.commands import AQUAMIND, free_ports
from tests.helpers.farms import wait_for
from tests.helpers.places import ROOT

pytestmark = pytest.mark.slow

LAUNCH = """mutation Launch($job: String!, $config: RunConfigData!, $tags: [ExecutionTag!]) {
  launchPipelineExecution(executionParams: {
    selector: {jobName: $job, repositoryName: "__repository__", repositoryLocationName: "aquamind_pipeline"},
    runConfigData: $config, mode: "default", executionMetadata: {tags: $tags}
  }) { ... on LaunchRunSuccess { run { runId } } ... on PythonError { causes { message } } }
}"""
BACKFILL = """mutation Backfill($of: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $of) {
  ... on LaunchBackfillSuccess { backfillId } } }"""
RELOAD = """mutation { reloadRepositoryLocation(repositoryLocationName: "aquamind_pipeline") { __typename } }"""
STATUS = "query Status($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
STOP_AT_ONCE = """mutation Stop($run: String!) {
  terminateRun(runId: $run, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) { __typename } }"""
RUNS = "{ runsOrError { ... on Runs { results { runId tags { key value } } } } }"
STOP = "mutation Stop($run: String!) { terminateRun(runId: $run) { __typename } }"
MONTHS = [
    {"key": "dagster/asset_partition_range_start", "value": "2026-02"},
    {"key": "dagster/asset_partition_range_end", "value": "2026-06"},
]
WRONG = {"resources": {"workspace": {"config": {"as_of": "30.6.2026"}}}}


class Terminal:
    """`aquamind ui` on a farm with doubled transfers, whose profile is the user's own file."""

    def __init__(self, folder: Path) -> None:
        port, pages = free_ports(2)
        self.address = f"http://127.0.0.1:{port}"
        self.profile = folder / "mine.toml"
        self.profile.write_text((ROOT / "aquamind_pipeline/profiles/tiny.toml").read_text())
        self._log = folder / "log"
        options = ("--profile", str(self.profile), "--fault", "doubled-transfers", "--port", str(port))
        variables = {"AQUAMIND_HOME": str(folder), "AQUAMIND_PAGES_URL": f"http://127.0.0.1:{pages}"}
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [AQUAMIND, "ui", *options],
                env=os.environ | variables | {"DAGSTER_HOME": ""},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(lambda: "ready: " in self.text(), self.process)

    def text(self) -> str:
        return self._log.read_text()

    def ask(self, query: str, **variables: object) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        kind = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.address}/graphql", body, kind)  # noqa: S310 - http, our own
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - http, our own
                return next(iter(json.load(answer)["data"].values()))
        except urllib.error.HTTPError as error:  # a refused launch is one
            return next(iter(json.load(error)["data"].values()))

    def launch(self) -> str:
        return str(self.ask(LAUNCH, job="build_lake", config={}, tags=MONTHS)["run"]["runId"])

    def status(self, run: str) -> str:
        return str(self.ask(STATUS, run=run)["status"])

    def tags(self) -> dict[str, dict[str, str]]:
        """The tags of each run."""
        runs = self.ask(RUNS)["results"]
        return {run["runId"]: {tag["key"]: tag["value"] for tag in run["tags"]} for run in runs}

    def process_of(self, run: str) -> int:
        return int(self.tags()[run]["aquamind/process"].rpartition(":")[2])

    def child_of(self, run: str) -> str:
        """The run that Dagster started because this one died; empty if there is none yet."""
        return next((one for one, tags in self.tags().items() if tags.get("dagster/parent_run_id") == run), "")

    def lines_of(self, run: str) -> list[str]:
        """What the terminal says about a run, without the time."""
        found = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in self.text().splitlines() if f" {run[:8]}: " in line]
        return [line.removeprefix(f"build_lake {run[:8]}: ") for line in found]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    if terminal.process.poll() is None:
        terminal.process.send_signal(signal.SIGINT)
        terminal.process.wait()


def test_the_terminal_says_what_failed_and_where_to_look(terminal: Terminal) -> None:
    """A stopped run, a failed check, a wrong option of a backfill, and a profile that becomes wrong."""
    stopped = terminal.launch()
    wait_for(lambda: terminal.status(stopped) == "STARTED" and terminal.lines_of(stopped))
    terminal.ask(STOP, run=stopped)
    wait_for(lambda: terminal.status(stopped) == "CANCELED")
    page = f"{terminal.address}/runs/{stopped}"
    wait_for(lambda: terminal.lines_of(stopped)[-1] == f"the run was stopped, see {page}")
    assert terminal.lines_of(stopped)[-2] == "next: run it again. Finished files are kept"

    failed = terminal.launch()
    wait_for(lambda: terminal.status(failed) == "FAILURE")
    page = f"{terminal.address}/runs/{failed}"
    wait_for(lambda: terminal.lines_of(failed)[-1] == f"error: the run failed, see {page}")
    lines = terminal.lines_of(failed)
    states = "batch_actualdailyassignmentstate"
    assert any(
        line.startswith(f"error: step farm_checks_{states} stopped: failed checks of {states}: ") for line in lines
    )
    assert any(line.startswith(f"FAILED: {states} no_doubling: ") for line in lines)
    assert len([line for line in lines if line.startswith("error: ")]) == 2

    killed = terminal.launch()
    wait_for(lambda: terminal.status(killed) == "STARTED" and terminal.lines_of(killed))
    os.kill(terminal.process_of(killed), signal.SIGKILL)
    page = f"{terminal.address}/runs/{killed}"
    died = "error: the run died: its process was killed (SIGKILL, often for lack of memory)"
    again = "Dagster starts it again within half a minute, once"
    wait_for(lambda: terminal.lines_of(killed)[-1] == f"{died}. Next: {again}, see {page}")
    wait_for(lambda: terminal.child_of(killed))
    retry = terminal.child_of(killed)
    wait_for(lambda: terminal.status(retry) == "STARTED" and terminal.lines_of(retry))
    assert terminal.lines_of(retry)[0].endswith(f", continues run {killed[:8]}")
    terminal.ask(STOP_AT_ONCE, run=retry)
    page = f"{terminal.address}/runs/{retry}"
    go_on = "the run was stopped. Next: run it again, finished files are kept"
    wait_for(lambda: f"{go_on}, see {page}" in terminal.lines_of(retry))

    asset = {"assetSelection": [{"path": ["batch_growthsample"]}], "partitionNames": ["2026-03"]}
    terminal.ask(BACKFILL, of=asset | {"runConfigData": WRONG})
    wait_for(lambda: re.search(r"Backfill failed for \w+: setting as_of .*'30\.6\.2026'", terminal.text()))
    assert re.search(rf"Backfill failed for (\w+): .*, see {terminal.address}/runs/b/\1\n", terminal.text())

    terminal.profile.write_text("sead = 7\n" + terminal.profile.read_text())
    terminal.ask(RELOAD)
    wait_for(lambda: re.search(rf"profile '{re.escape(str(terminal.profile))}': .*sead", terminal.text()))

    terminal.profile.write_text((ROOT / "aquamind_pipeline/profiles/tiny.toml").read_text())
    terminal.ask(RELOAD)
    last = terminal.launch()
    wait_for(lambda: terminal.status(last) == "STARTED" and "aquamind/process" in terminal.tags()[last])
    run = psutil.Process(terminal.process_of(last))
    wait_for(lambda: any("watch_orphans" in " ".join(one.cmdline()) for one in run.children()))
    os.killpg(terminal.process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
    terminal.process.wait()
    wait_for(lambda: not run.is_running())
    assert terminal.lines_of(last)[-1].startswith("the run was stopped, see ")
    assert "Traceback" not in terminal.text()
    assert "Stack Trace" not in terminal.text()
    assert "\x1b" not in terminal.text()  # colours, which a file does not have
