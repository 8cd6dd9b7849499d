"""No column stays empty that AquaMind fills: a new one must be filled, or named here with why."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import polars.selectors as cs
import pytest
import sqlalchemy as sa

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.schema.columns import EMPTY, NULL
from aquamind_pipeline.schema.frames import complete
from aquamind_pipeline.schema.kinds import Kind
from tests.contract.drawn import made

MAY_BE_EMPTY = ("notes", "description", "cancellation_reason", "measured_notes", "resolution_notes")
"""Texts that people write only if there is something to say, in every table."""
MAY_STAY_EMPTY = {
    "auth_user.first_name": "the user is a program",
    "auth_user.last_name": "the user is a program",
    "auth_user.email": "the user is a program",
    "auth_user.last_login": "nobody logs in as the program",
    "users_userprofile.phone": "the user is a program",
    "users_userprofile.profile_picture": "the user is a program",
    "users_userprofile.job_title": "the user is a program",
    "users_userprofile.department": "the user is a program",
    "health_vaccinationtype.manufacturer": "kinds of vaccine have several makers",
    "infrastructure_transportcarrier.license_plate": "a well-boat has none",
    "infrastructure_transportcarrier.imo_number": "a truck has none",
    "infrastructure_sensor.last_calibration_date": "rows of infrastructure do not change, and calibrations go on",
    "batch_batchtransferworkflow.estimated_total_biomass_kg": "progress is measured by fish",
    "batch_batchtransferworkflow.finance_transaction_id": "belongs to finance, which is not filled",
    "batch_creationworkflow.egg_production_id": "eggs are bought",
    "scenario_scenariomodelchange.new_fcr_model_id": "changes are of mortality",
    "scenario_scenariomodelchange.new_tgc_model_id": "a profile of another month would shift the seasons",
    "planning_plannedactivity.container_id": "activities are about whole batches",
    "batch_actualdailyassignmentstate.planned_activity_id": "AquaMind's engine leaves it empty",
    "batch_growthsample.notes": "nothing unusual is written down",
    "environmental_environmentalreading.recorded_by_id": "sensors record readings",
    "inventory_feedingevent.recorded_by_id": "feeders record meals",
    "health_healthlabsample.attachment": "reports of laboratories are not kept",
    "health_healthlabsample.notes": "nothing unusual is written down",
    "health_healthsamplingevent.notes": "nothing unusual is written down",
}
"""Columns that are null in every row, or the empty text in some, and why."""


def empty_by_definition(name: str) -> set[str]:
    """Columns of a table whose every value is null or the empty text."""
    return {
        column.name
        for column in REGISTRY.table(name).columns
        if isinstance(fill := column.info.get("fill"), pl.Expr) and (fill.meta.eq(NULL) or fill.meta.eq(EMPTY))
    }


def empty_in_rows(name: str) -> set[str]:
    """Columns of a table that is kept whole with a null in every row, or the empty text in one at least."""
    table = REGISTRY.table(name)
    rows = complete(made(load_profile("tiny")).scan(name), table).collect()
    texts = {column.name for column in table.columns if isinstance(column.type, sa.String)}
    return {one.name for one in rows if one.null_count() == one.len() or (one.name in texts and (one == "").any())}


@pytest.mark.parametrize("name", REGISTRY.aquamind)
def test_what_is_empty_is_meant_to_be(name: str) -> None:
    empty = empty_by_definition(name) | (set() if REGISTRY[name].is_monthly else empty_in_rows(name))
    unexplained = {one for one in empty if one not in MAY_BE_EMPTY and f"{name}.{one}" not in MAY_STAY_EMPTY}
    assert not unexplained, f"{REGISTRY[name].place}: fill {unexplained}, or say in MAY_STAY_EMPTY why they are empty"


def test_nothing_is_excused_that_is_filled() -> None:
    for excused in MAY_STAY_EMPTY:
        name, column = excused.split(".")
        empty = empty_by_definition(name) | (set() if REGISTRY[name].is_monthly else empty_in_rows(name))
        assert column in empty, f"{excused} is filled: take it out of MAY_STAY_EMPTY"


def test_the_weekly_mortality_is_that_of_seven_days() -> None:
    """AquaMind computes it of the daily rate when it saves a row."""
    table = REGISTRY.table("scenario_mortality_model_stage")
    rows = complete(made(load_profile("tiny")).scan(table.name), table).collect()
    daily = rows["daily_rate_percent"].cast(pl.Float64) / 100
    weekly = ((1 - (1 - daily).pow(7)) * 100).round(3)
    assert (rows["weekly_rate_percent"].cast(pl.Float64) - weekly).abs().max() == pytest.approx(0, abs=1e-9)
    assert weekly.min() > daily.min() * 100


@pytest.mark.parametrize("name", [name for name in REGISTRY.aquamind if REGISTRY[name].kind is not Kind.REFERENCE])
def test_what_happens_is_not_older_than_the_farm(name: str) -> None:
    """Only what was there before any fish has dates long before the farm's first day: feed is bought weeks ahead."""
    farm = load_profile("tiny")
    rows = complete(made(farm).scan(name), REGISTRY.table(name))
    dates = rows.select(cs.temporal() - cs.time()).select(pl.all().cast(pl.Date).min()).collect()
    assert not {
        column: first
        for column, (first,) in dates.to_dict().items()
        if first and first < farm.epoch - timedelta(days=60)
    }
