"""What AquaMind's screens ask, asked of our rows in its own tables: each endpoint has a sensible answer.

A question repeats what the endpoint computes, in SQL. `docs/endpoints.md` shows the same list.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
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


@pytest.mark.generated
def test_the_page_lists_them() -> None:
    above, _, below = PAGE.read_text("utf-8").partition(TABLE)
    table = "\n".join([TABLE, "|---|---|", *(endpoint.line for endpoint in ENDPOINTS), ""])
    if RENEW:
        PAGE.write_text(above + table)
    assert TABLE + below == table or RENEW, stale(PAGE)
