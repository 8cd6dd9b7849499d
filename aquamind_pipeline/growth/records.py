"""What growth assimilation reads: the farm's records in plain frames, whatever they were stored in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

TEMPERATURE = "temperature"
"""Name of the environmental parameter that growth follows, compared without regard to capitals."""


@dataclass(frozen=True)
class Records:
    """Recorded facts of some batches. Dates are days (UTC), weights grams, temperatures °C, feed kg.

    batches: batch_id, start_date, profile_id, initial_weight_g.
    stages: batch_id, lifecycle_stage_id, name, order, tgc (per 1000, or a fraction below 0.01), daily_mortality (a
        share; of a whole week where weekly), weekly, expected_weight_min_g, expected_weight_max_g, and the scenario's
        constraint_min_g, constraint_max_g; a batch without rows has no scenario.
    assignments: assignment_id, batch_id, container_id, lifecycle_stage_id, population_count, avg_weight_g,
        assignment_date, departure_date (exclusive, null while active).
    placements: assignment_id, date, count.
    transfers: source_assignment_id, dest_assignment_id, date, count, deaths, measured_weight_g, selection_method; the
        completed ones, newest workflow first and then by action number, as AquaMind reads them.
    deaths: assignment_id (null where the batch only is known), date, count.
    incomplete: assignment_id, date; days whose deaths were not all recorded.
    weighings: assignment_id, date, weight_g, kind (growth_sample or vaccination); the last of a day and kind counts.
    temperature: container_id, assignment_id (or null), date, parameter, total_c (the sum of readings, with at most 4
        decimals), readings (their number), first_c (the one with the lowest id).
    feed: container_id, assignment_id (or null), date, feed_kg (with at most 4 decimals).
    profiles: profile_id, day_number (from 1), temp_c.
    """

    batches: pl.DataFrame
    stages: pl.DataFrame
    assignments: pl.DataFrame
    placements: pl.DataFrame
    transfers: pl.DataFrame
    deaths: pl.DataFrame
    incomplete: pl.DataFrame
    weighings: pl.DataFrame
    temperature: pl.DataFrame
    feed: pl.DataFrame
    profiles: pl.DataFrame

    def of_batches(self, batch_ids: Sequence[int]) -> Self:
        """The records of some batches, and all of the water they are in; no fish change batch."""
        some = list(batch_ids)
        assignments = self.assignments.filter(pl.col("batch_id").is_in(some))
        stays = assignments["assignment_id"].implode()
        containers = assignments["container_id"].unique().implode()
        kept = {
            "batches": self.batches.filter(pl.col("batch_id").is_in(some)),
            "stages": self.stages.filter(pl.col("batch_id").is_in(some)),
            "assignments": assignments,
            "transfers": self.transfers.filter(
                pl.col("dest_assignment_id").is_in(stays) | pl.col("source_assignment_id").is_in(stays)
            ),
        }
        for name in ("placements", "deaths", "incomplete", "weighings"):
            kept[name] = getattr(self, name).filter(pl.col("assignment_id").is_in(stays))
        for name in ("temperature", "feed"):
            kept[name] = getattr(self, name).filter(pl.col("container_id").is_in(containers))
        return replace(self, **kept)


def from_tables(tables: Mapping[str, pl.LazyFrame], temperature: pl.DataFrame | pl.LazyFrame) -> Records:
    """Records from AquaMind's tables (by table name) and the daily temperature of each stay (`daily_temperature`)."""
    stays = tables["batch_batchcontainerassignment"].select(
        "batch_id",
        "container_id",
        "lifecycle_stage_id",
        "population_count",
        "assignment_date",
        "departure_date",
        pl.col("avg_weight_g").cast(pl.Float64),
        assignment_id="id",
    )
    scenarios = (
        tables["batch_batch"]
        .select("id", "start_date", run_id="pinned_projection_run_id")
        .join(tables["scenario_projection_run"].select("run_id", "scenario_id"), on="run_id")
        .join(tables["scenario"], on="scenario_id")
    )
    models = tables["scenario_tgcmodel"].select("profile_id", tgc_model_id="model_id", base_tgc="tgc_value")
    batches = scenarios.join(models, on="tgc_model_id").select(
        "start_date", "profile_id", batch_id="id", initial_weight_g=pl.col("initial_weight").cast(pl.Float64)
    )
    tgc = tables["scenario_tgc_model_stage"].select("tgc_model_id", name="lifecycle_stage", own_tgc="tgc_value")
    deaths = tables["scenario_mortality_model_stage"].select(
        "mortality_model_id", name="lifecycle_stage", own_percent="daily_rate_percent"
    )
    rates = tables["scenario_mortalitymodel"].select("rate", "frequency", mortality_model_id="model_id")
    own_percent = pl.col("own_percent").cast(pl.Float64)
    stages = (
        scenarios.select("tgc_model_id", "mortality_model_id", batch_id="id")
        .join(models, on="tgc_model_id")
        .join(rates, on="mortality_model_id")
        .join(
            tables["batch_lifecyclestage"].select("name", "order", *_EXPECTED_G, lifecycle_stage_id="id"), how="cross"
        )
        .join(tgc, on=["tgc_model_id", "name"], how="left")
        .join(deaths, on=["mortality_model_id", "name"], how="left")
        .select(
            "batch_id",
            "lifecycle_stage_id",
            "name",
            "order",
            pl.col(_EXPECTED_G).cast(pl.Float64),
            # This catalogue has no scenario constraints; AquaMind's own scripts make none either.
            constraint_min_g=pl.lit(None, pl.Float64),
            constraint_max_g=pl.lit(None, pl.Float64),
            tgc=pl.coalesce(pl.col("own_tgc").cast(pl.Float64), pl.col("base_tgc")),
            daily_mortality=pl.coalesce(own_percent, pl.col("rate")) / 100,
            weekly=own_percent.is_null() & (pl.col("frequency") == "weekly"),
        )
    )
    frames = {
        "batches": batches,
        "stages": stages,
        "assignments": stays,
        "placements": tables["batch_creationaction"].select(
            assignment_id="dest_assignment_id", date="actual_delivery_date", count="egg_count_actual"
        ),
        "transfers": tables["batch_transferaction"]
        .filter(pl.col("status") == "COMPLETED")
        .join(tables["batch_batchtransferworkflow"].select("created_at", workflow_id="id"), on="workflow_id")
        .sort("created_at", "workflow_id", "action_number", descending=[True, True, False])
        .select(
            "source_assignment_id",
            "dest_assignment_id",
            "selection_method",
            date="actual_execution_date",
            count="transferred_count",
            deaths="mortality_during_transfer",
            measured_weight_g=pl.col("measured_avg_weight_g").cast(pl.Float64),
        ),
        "deaths": tables["batch_mortalityevent"].select("assignment_id", "count", date="event_date"),
        "incomplete": pl.LazyFrame(schema={"assignment_id": pl.Int64, "date": pl.Date}),
        "weighings": tables["batch_growthsample"]
        .sort("id")
        .select(
            "assignment_id",
            date="sample_date",
            weight_g=pl.col("avg_weight_g").cast(pl.Float64),
            kind=pl.lit("growth_sample"),
        ),
        "temperature": temperature.lazy(),
        "feed": tables["inventory_feedingevent"]
        .group_by("container_id", assignment_id="batch_assignment_id", date="feeding_date")
        .agg(feed_kg=pl.col("amount_kg").sum().cast(pl.Float64)),
        "profiles": tables["scenario_temperaturereading"].select("profile_id", "day_number", temp_c="temperature"),
    }
    collected = pl.collect_all(frames.values(), engine="streaming")
    return Records(**dict(zip(frames, collected, strict=True)))


def daily_temperature(readings: pl.LazyFrame, parameters: pl.LazyFrame) -> pl.DataFrame:
    """Water temperature of each stay and day, from environmental_environmentalreading: `Records.temperature`.

    Every parameter that is called temperature, however capitalised; sorted by container and date.
    """
    named = parameters.select("id", "name").filter(pl.col("name").str.to_lowercase() == TEMPERATURE).collect()
    # The few parameters as literals let the scan skip what it does not want.
    return (
        readings.filter(pl.col("parameter_id").is_in(named["id"].to_list()))
        .group_by(
            "container_id",
            "parameter_id",
            assignment_id="batch_container_assignment_id",
            date=pl.col("reading_time").dt.date(),
        )
        .agg(
            total_c=pl.col("value").sum().cast(pl.Float64),
            readings=pl.len(),
            first_c=pl.col("value").min_by("id").cast(pl.Float64),
        )
        .with_columns(parameter=pl.col("parameter_id").replace_strict(named["id"], named["name"]))
        .drop("parameter_id")
        .sort("container_id", "date", "assignment_id", "parameter")
        .collect(engine="streaming")
    )


_EXPECTED_G = ("expected_weight_min_g", "expected_weight_max_g")

__all__ = ["Records", "daily_temperature", "from_tables"]
