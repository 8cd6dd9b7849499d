"""What AquaMind's screens ask, asked of our rows in its own tables: each endpoint has a sensible answer.

A question repeats what the endpoint computes, in SQL. `docs/endpoints.md` shows the same list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from aquamind_pipeline.lake import Lake
from aquamind_pipeline.settings import Settings
from tests.conftest import new_database
from tests.helpers.database import load_everything
from tests.helpers.endpoints.endpoint import Endpoint
from tests.helpers.endpoints.every import ENDPOINTS
from tests.helpers.golden import RENEW, stale
from tests.helpers.places import ROOT

PAGE = ROOT / "docs" / "endpoints.md"
TABLE = "| Endpoint | What its answer needs |"


@pytest.fixture(scope="module")
def loaded(server: SecretStr, aquamind_template: SecretStr, built: Settings) -> Iterator[SecretStr]:
    """AquaMind's own tables with the farm. Read only."""
    with new_database(server, like=aquamind_template) as url:
        load_everything(url, Lake(built.lake_path))
        yield url


def answer(url: SecretStr, endpoint: Endpoint, settings: Settings) -> list[tuple[object, ...]]:
    with psycopg.connect(url.get_secret_value()) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        return connection.execute(endpoint.question.encode(), {"today": settings.farm.as_of}).fetchall()


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_an_endpoint_has_a_sensible_answer(
    endpoint: Endpoint, loaded: SecretStr, aquamind_template: SecretStr, built: Settings
) -> None:
    """From our rows; without them it has none."""
    assert answer(loaded, endpoint, built) == [(True,)], endpoint.needs
    assert answer(aquamind_template, endpoint, built) != [(True,)], "asks nothing"


_ASKED = {
    "health/lice-counts/summary/": [("licecount", "lice_type_id"), ("licecount", "count_value")],
    "health/lice-counts/summary/?geography=": [("licecount", "container_id"), ("licecount", "assignment_id")],
    "health/lice-counts/trends/?interval=weekly": [("licecount", "lice_type_id")],
    "health/treatments/?outcome=": [("treatment", name) for name in ("treatment_date", "outcome", "duration_days")],
    "health/treatments/?batch=": [("treatment", name) for name in ("batch_id", "container_id", "batch_assignment_id")],
    "health/journal-entries/": [("journalentry", name) for name in ("category", "entry_date")],
    "health/mortality-records/": [("mortalityrecord", name) for name in ("count", "assignment_id", "reason_id")],
    "health/health-sampling-events/": [("healthsamplingevent", "avg_weight_g"), ("individualfishobservation", None)],
    "health/individual-fish-observations/": [("individualfishobservation", name) for name in ("weight_g", "length_cm")],
    "health/fish-parameter-scores/": [("fishparameterscore", name) for name in ("score", "parameter_id")],
    "health/health-parameters/": [("parameterscoredefinition", "parameter_id")],
    "health/health-lab-samples/": [("healthlabsample", name) for name in ("date_sent_to_lab", "sample_date")],
}
"""Tables of the health app and columns whose nulls make an answer senseless. None: the fish of a sampling are gone."""


@pytest.mark.parametrize("path", _ASKED)
def test_a_null_is_no_sensible_answer(path: str, loaded: SecretStr, built: Settings) -> None:
    """One null is enough, also where AquaMind's table would not take it."""
    endpoint = next(one for one in ENDPOINTS if one.path == path)
    with psycopg.connect(loaded.get_secret_value()) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        for name, column in _ASKED[path]:
            table = sql.Identifier(f"health_{name}")
            spoil = (
                sql.SQL("DELETE FROM {} WHERE sampling_event_id = (SELECT min(sampling_event_id) FROM {})").format(
                    table, table
                )
                if column is None
                else sql.SQL("UPDATE {} SET {} = NULL WHERE id = (SELECT min(id) FROM {})").format(
                    table, sql.Identifier(column), table
                )
            )
            with connection.transaction(force_rollback=True):
                connection.execute("SET LOCAL session_replication_role = replica")
                if column is not None:
                    connection.execute(
                        sql.SQL("ALTER TABLE {} ALTER {} DROP NOT NULL").format(table, sql.Identifier(column))
                    )
                assert connection.execute(spoil).rowcount > 0
                answered = connection.execute(endpoint.question.encode(), {"today": built.farm.as_of}).fetchall()
                assert answered != [(True,)], (name, column)


def test_no_question_ignores_nulls() -> None:
    """bool_and over nulls is true. What it asks cannot be null: IS TRUE, EXISTS or IS NOT NULL."""
    asked = re.compile(r"bool_and\((?!\(|EXISTS|\w+(\.\w+)? IS (TRUE|NOT NULL))")
    health = [one for one in ENDPOINTS if one.path.startswith("health/")]
    assert [one.path for one in health if asked.search(one.question)] == []


@pytest.mark.generated
def test_the_page_lists_them() -> None:
    above, _, below = PAGE.read_text("utf-8").partition(TABLE)
    table = "\n".join([TABLE, "|---|---|", *(endpoint.line for endpoint in ENDPOINTS), ""])
    if RENEW:
        PAGE.write_text(above + table)
    assert TABLE + below == table or RENEW, stale(PAGE)
