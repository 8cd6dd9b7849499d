"""Which column came from which: references from the catalogue, and what is carried over or computed, if known."""

from __future__ import annotations

import dagster as dg

from aquamind_pipeline import tables

_READINGS, _STAYS = "environmental_environmentalreading", "batch_batchcontainerassignment"
_LIVED = {"avg_weight_g": "life_day.weight_g", "biomass_kg": "life_day.population life_day.weight_g"}

CARRIED: dict[str, dict[str, str]] = {
    "life_day": {
        "state_id": "plan_assignment.first_state_id",
        "assignment_id": "plan_assignment.assignment_id",
        "batch_id": "plan_assignment.batch_id",
        "container_id": "plan_assignment.container_id",
        "site": "plan_assignment.site",
        "stage": "plan_assignment.stage",
        "date": "plan_assignment.assignment_date plan_assignment.departure_date",
        "population": "plan_batch.eggs",
    },
    "life_move": {
        "batch_id": "plan_assignment.batch_id",
        "source_assignment_id": "plan_assignment.assignment_id",
        "dest_assignment_id": "plan_assignment.assignment_id",
        "date": "plan_assignment.assignment_date",
    },
    "batch_batch": {
        "id": "plan_batch.batch_id",
        "batch_number": "plan_batch.batch_number",
        "start_date": "plan_batch.start_date",
        "expected_end_date": "plan_batch.harvest_date",
    },
    _STAYS: _LIVED
    | {
        "id": "plan_assignment.assignment_id",
        "assignment_date": "plan_assignment.assignment_date",
        "departure_date": "plan_assignment.departure_date",
        "population_count": "life_day.population plan_batch.eggs",
    },
    "batch_creationaction": {"egg_count_actual": "plan_batch.eggs"},
    "batch_transferaction": {
        "transferred_count": "life_move.count",
        "mortality_during_transfer": "life_move.deaths",
        "source_population_before": "life_move.source_population_before",
        "measured_avg_weight_g": "life_move.weight_g",
        "planned_date": "life_move.date",
    },
    "store_cost": {"date": "life_day.date"},
    _READINGS: {
        "id": "plan_assignment.first_reading_id",
        "reading_time": "life_day.date",
        "value": "life_day.temp_c",
    },
    "inventory_feedingevent": {
        "id": "plan_assignment.first_feeding_id",
        "feeding_date": "life_day.date",
        "amount_kg": "life_day.feed_dg",
        "batch_biomass_kg": "life_day.population life_day.weight_g",
        "feed_cost": "life_day.feed_dg store_cost.cost_per_kg",
    },
    "batch_mortalityevent": {
        "event_date": "life_day.date",
        "count": "life_day.deaths",
        "cause": "life_day.cause",
        "biomass_kg": "life_day.deaths life_day.weight_g",
    },
    "batch_growthsample": {
        "id": "plan_assignment.first_sample_id",
        "sample_date": "life_day.date",
        "avg_weight_g": "life_day.weight_g",
    },
    "container_day_temperature": {
        "container_id": f"{_READINGS}.container_id",
        "assignment_id": f"{_READINGS}.batch_container_assignment_id",
        "date": f"{_READINGS}.reading_time",
        "parameter": "environmental_environmentalparameter.name",
        "total_c": f"{_READINGS}.value",
    },
    tables.STATE_TABLE: {
        "id": "plan_assignment.first_state_id",
        "date": f"{_STAYS}.assignment_date {_STAYS}.departure_date",
        "population": f"{_STAYS}.population_count batch_creationaction.egg_count_actual "
        "batch_transferaction.transferred_count batch_mortalityevent.count",
        "avg_weight_g": "batch_growthsample.avg_weight_g batch_transferaction.measured_avg_weight_g "
        "container_day_temperature.total_c scenario_tgc_model_stage.tgc_value",
        "temp_c": "container_day_temperature.total_c container_day_temperature.readings",
        "mortality_count": "batch_mortalityevent.count",
        "feed_kg": "inventory_feedingevent.amount_kg",
    },
}
"""Table -> column -> the columns that it is made of."""


def lineage(name: str) -> dg.TableColumnLineage | None:
    """Where the columns of a table come from; None where nothing is known."""
    table = tables.TABLES.get(name)
    found: dict[str, list[dg.TableColumnDep]] = {}
    if table is not None:
        kept = tables.lake_schema(table)
        for column, (parent, key) in tables.references(table).items():
            if column in kept and parent != name:
                found[column] = [dg.TableColumnDep(parent, key)]
    for column, sources in CARRIED.get(name, {}).items():
        found[column] = [dg.TableColumnDep(*source.split(".")) for source in sources.split()]
    return dg.TableColumnLineage(found) if found else None


__all__ = ["CARRIED", "lineage"]
