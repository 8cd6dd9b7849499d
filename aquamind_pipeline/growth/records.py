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
    stages: batch_id, lifecycle_stage_id, tgc (per 1000), daily_mortality (a share), expected_weight_min_g.
    assignments: assignment_id, batch_id, container_id, lifecycle_stage_id, population_count, avg_weight_g,
        assignment_date, departure_date (exclusive, null while active).
    placements: assignment_id, date, count.
    transfers: source_assignment_id, dest_assignment_id, date, count, deaths, measured_weight_g, selection_method.
    deaths: assignment_id, date, count.
    weighings: assignment_id, date, weight_g, kind (growth_sample or vaccination).
    temperature: container_id, assignment_id, date, mean_c, readings.
    feed: container_id, assignment_id, date, feed_kg.
    profiles: profile_id, day_number (from 1), temp_c.
    """

    batches: pl.DataFrame
    stages: pl.DataFrame
    assignments: pl.DataFrame
    placements: pl.DataFrame
    transfers: pl.DataFrame
    deaths: pl.DataFrame
    weighings: pl.DataFrame
    temperature: pl.DataFrame
    feed: pl.DataFrame
    profiles: pl.DataFrame

    def of_batches(self, batch_ids: Sequence[int]) -> Self:
        """The records of some batches only; nothing of theirs is lost, since no fish change batch."""
        assignments = self.assignments.filter(pl.col("batch_id").is_in(list(batch_ids)))
        mine = pl.col("assignment_id").is_in(assignments["assignment_id"].implode())
        kept = {
            "batches": self.batches.filter(pl.col("batch_id").is_in(list(batch_ids))),
            "stages": self.stages.filter(pl.col("batch_id").is_in(list(batch_ids))),
            "assignments": assignments,
            "transfers": self.transfers.filter(
                pl.col("dest_assignment_id").is_in(assignments["assignment_id"].implode())
                | pl.col("source_assignment_id").is_in(assignments["assignment_id"].implode())
            ),
        }
        for name in ("placements", "deaths", "weighings", "temperature", "feed"):
            kept[name] = getattr(self, name).filter(mine)
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
        "start_date", "profile_id", batch_id="id", initial_weight_g=pl.lit(None, pl.Float64)
    )
    tables_of_stages = {
        "tgc": tables["scenario_tgc_model_stage"].select("tgc_model_id", name="lifecycle_stage", own_tgc="tgc_value"),
        "deaths": tables["scenario_mortality_model_stage"].select(
            "mortality_model_id", name="lifecycle_stage", own_percent="daily_rate_percent"
        ),
    }
    stages = (
        scenarios.select("tgc_model_id", "mortality_model_id", batch_id="id")
        .join(models, on="tgc_model_id")
        .join(tables["scenario_mortalitymodel"].select("rate", mortality_model_id="model_id"), on="mortality_model_id")
        .join(
            tables["batch_lifecyclestage"].select("name", "expected_weight_min_g", lifecycle_stage_id="id"), how="cross"
        )
        .join(tables_of_stages["tgc"], on=["tgc_model_id", "name"], how="left")
        .join(tables_of_stages["deaths"], on=["mortality_model_id", "name"], how="left")
        .select(
            "batch_id",
            "lifecycle_stage_id",
            pl.col("expected_weight_min_g").cast(pl.Float64),
            tgc=pl.coalesce(pl.col("own_tgc").cast(pl.Float64), pl.col("base_tgc")),
            daily_mortality=pl.coalesce("own_percent", "rate").cast(pl.Float64) / 100,
        )
    )
    frames = {
        "batches": batches,
        "stages": stages,
        "assignments": stays,
        "placements": tables["batch_creationaction"].select(
            assignment_id="dest_assignment_id", date="expected_delivery_date", count="egg_count_actual"
        ),
        "transfers": tables["batch_transferaction"].select(
            "source_assignment_id",
            "dest_assignment_id",
            "selection_method",
            date="planned_date",
            count="transferred_count",
            deaths="mortality_during_transfer",
            measured_weight_g=pl.col("measured_avg_weight_g").cast(pl.Float64),
        ),
        "deaths": tables["batch_mortalityevent"].select("assignment_id", "count", date="event_date"),
        "weighings": tables["batch_growthsample"].select(
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
    """Mean water temperature of each stay and day, from environmental_environmentalreading.

    Columns: container_id, assignment_id, date, mean_c, readings; sorted by container and date.
    """
    named = parameters.filter(pl.col("name").str.to_lowercase() == TEMPERATURE)
    # The few parameters as literals let the scan skip what it does not want.
    ids = named.select("id").collect()["id"].to_list()
    return (
        readings.filter(pl.col("parameter_id").is_in(ids))
        .group_by("container_id", assignment_id="batch_container_assignment_id", date=pl.col("reading_time").dt.date())
        .agg(mean_c=pl.col("value").sum().cast(pl.Float64) / pl.len(), readings=pl.len())
        .sort("container_id", "date", "assignment_id")
        .collect(engine="streaming")
    )


__all__ = ["Records", "daily_temperature", "from_tables"]
