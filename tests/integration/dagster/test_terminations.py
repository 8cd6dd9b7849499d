"""A run that is terminated in the middle of a load by the web server's GraphQL, as Dagster's pages do."""

# ruff: noqa: S310 - http to our own server

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline.definitions import LOAD_DATABASE
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.settings import Settings
from tests.helpers.commands import AQUAMIND
from tests.helpers.database import (
    HELD_REBUILDS,
    HOLD_REBUILDS,
    LET_REBUILDS_GO,
    ask,
    definitions,
    load_everything,
    nobody_loads,
    row_counts,
    rows_of,
)
from tests.helpers.farms import wait_for

SMALL = "from aquamind_pipeline.postgres.targets.aquamind import target\ntarget.REBUILD_ROWS = 100\n"
"""The tiny farm has too few rows for indexes to come off."""
LAUNCH = """mutation Launch($job: String!, $tags: [ExecutionTag!]) {
  launchRun(executionParams: {
    selector: {jobName: $job, repositoryName: "__repository__", repositoryLocationName: "aquamind_pipeline"},
    runConfigData: {}, mode: "default", executionMetadata: {tags: $tags}
  }) { __typename ... on LaunchRunSuccess { run { runId } } }
}"""
TERMINATE = "mutation End($run: String!) { terminateRun(runId: $run) { __typename } }"
STATUS = "query Status($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
MONTHS = [
    {"key": "dagster/asset_partition_range_start", "value": "2026-02"},
    {"key": "dagster/asset_partition_range_end", "value": "2026-06"},
]


@contextlib.contextmanager
def pages(settings: Settings, url: SecretStr, folder: Path) -> Iterator[str]:
    """`aquamind ui` for the block, as its address."""
    with socket.socket() as one, socket.socket() as two:
        for probe in (one, two):
            probe.bind(("127.0.0.1", 0))
        port, reports = one.getsockname()[1], two.getsockname()[1]
    (folder / "sitecustomize.py").write_text(SMALL)
    own = {"AQUAMIND_DATABASE_URL": url.get_secret_value(), "AQUAMIND_PAGES_URL": f"http://127.0.0.1:{reports}"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [AQUAMIND, "ui", "--port", str(port)],
            env=os.environ | settings.environment() | own | {"DAGSTER_HOME": "", "PYTHONPATH": str(folder)},
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}"), process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def answers(address: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/server_info", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def asked(address: str, query: str, **variables: object) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        data: dict[str, Any] = json.load(answer)["data"]
        return data


@pytest.mark.slow
def test_a_run_that_is_terminated_during_a_load_leaves_all_indexes(
    migrated: SecretStr, a_copy: Settings, tmp_path: Path
) -> None:
    """The statement that builds an index is cancelled, and all that is off is built again. The next load goes on."""
    before = definitions(migrated)
    (folder := tmp_path / "ui").mkdir()
    with psycopg.connect(migrated.get_secret_value(), autocommit=True) as other, pages(a_copy, migrated, folder) as at:
        other.execute(HOLD_REBUILDS.encode())
        launched = asked(at, LAUNCH, job=LOAD_DATABASE, tags=MONTHS)["launchRun"]
        run = launched["run"]["runId"]
        builders = wait_for(lambda: other.execute(HELD_REBUILDS.encode()).fetchall())
        assert definitions(migrated) != before
        assert asked(at, TERMINATE, run=run)["terminateRun"]["__typename"] == "TerminateRunSuccess"
        wait_for(lambda: not set(other.execute(HELD_REBUILDS.encode()).fetchall()) & set(builders))
        other.execute(LET_REBUILDS_GO.encode())
        wait_for(lambda: asked(at, STATUS, run=run)["runOrError"]["status"] not in ("STARTED", "CANCELING"))
        assert asked(at, STATUS, run=run)["runOrError"]["status"] == "CANCELED"
        wait_for(lambda: nobody_loads(migrated))
        assert definitions(migrated) == before
        assert ask(migrated, "SELECT count(*) FROM aquamind_pipeline.suspended") == [(0,)]
        other.execute("DROP EVENT TRIGGER hold")
    lake = Lake(a_copy.lake_path)
    load_everything(migrated, lake)
    assert row_counts(migrated) == rows_of(lake)
