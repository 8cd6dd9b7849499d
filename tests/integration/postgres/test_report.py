"""The report on a database that holds another farm, or one of another version."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from pydantic import SecretStr

from aquamind_pipeline import report
from aquamind_pipeline.errors import DatabaseError
from aquamind_pipeline.lake import Manifest
from aquamind_pipeline.postgres.targets import open_target
from aquamind_pipeline.simulation.profile import GENERATOR_VERSION, Profile


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": GENERATOR_VERSION - 1}, f"but this program has generator version {GENERATOR_VERSION}: run `aqua"),
        ({"version": GENERATOR_VERSION + 1}, f"but this program has generator version {GENERATOR_VERSION}: run `aqua"),
        ({"seed": 7}, r"holds profile tiny, seed 7.*, not profile tiny with seed \d+$"),
    ],
)
def test_a_database_with_another_farm_is_refused(
    database: SecretStr, tiny: Profile, change: dict[str, int], message: str
) -> None:
    manifest = Manifest.of(tiny)
    open_target(database).prepare(manifest)
    other = replace(manifest, identity="0123456789abcdef", **change)  # type: ignore[arg-type]
    with psycopg.connect(database.get_secret_value()) as connection:
        connection.execute(
            "UPDATE aquamind_pipeline.farm SET identity = %s, description = %s", (other.identity, other.farm)
        )
    with pytest.raises(DatabaseError, match=message) as caught:
        report.verify(database, tiny)
    assert "\n" not in str(caught.value)
