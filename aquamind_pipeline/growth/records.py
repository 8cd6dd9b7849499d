"""The records that growth assimilation reads, as frames, whatever they were stored in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Self

import polars as pl

from aquamind_pipeline.growth.record_schema import conform, empty

TEMPERATURE = "temperature"
"""Name of the environmental parameter that growth follows, compared without regard to capitals."""


@dataclass(frozen=True)
class Records:
    """Recorded facts of some batches, one frame for each kind. A frame that is left out is empty.

    Columns, types, units and defaults of each frame are declared in `record_schema.FRAMES`; `docs/growth.md` has them
    as a table. Batches, stages and assignments are the least that states follow from.
    """

    batches: pl.DataFrame = field(default_factory=partial(empty, "batches"))
    stages: pl.DataFrame = field(default_factory=partial(empty, "stages"))
    assignments: pl.DataFrame = field(default_factory=partial(empty, "assignments"))
    placements: pl.DataFrame = field(default_factory=partial(empty, "placements"))
    transfers: pl.DataFrame = field(default_factory=partial(empty, "transfers"))
    deaths: pl.DataFrame = field(default_factory=partial(empty, "deaths"))
    incomplete: pl.DataFrame = field(default_factory=partial(empty, "incomplete"))
    weighings: pl.DataFrame = field(default_factory=partial(empty, "weighings"))
    temperature: pl.DataFrame = field(default_factory=partial(empty, "temperature"))
    feed: pl.DataFrame = field(default_factory=partial(empty, "feed"))
    profiles: pl.DataFrame = field(default_factory=partial(empty, "profiles"))

    def frames(self) -> dict[str, pl.DataFrame]:
        """The frames by name."""
        return {frame.name: getattr(self, frame.name) for frame in fields(self)}

    def conformed(self) -> Self:
        """The records with all declared columns, in the declared types.

        Raises:
            InputError: names the frame and the column that is missing, misspelt or of a wrong type.
        """
        return replace(self, **{name: conform(name, frame) for name, frame in self.frames().items()})

    def of_batches(self, batch_ids: Sequence[int]) -> Self:
        """The records of some batches, with all temperatures and feed of their containers.

        A transfer from or to another batch is kept; the fish of the other batch are not.

        Raises:
            InputError: names the frame and the column that is missing, misspelt or of a wrong type.
        """
        records = self.conformed()
        in_batches = pl.col("batch_id").is_in(list(batch_ids))
        assignments = records.assignments.filter(in_batches)
        assignment_ids = assignments["assignment_id"].implode()
        in_assignments = pl.col("assignment_id").is_in(assignment_ids)
        in_containers = pl.col("container_id").is_in(assignments["container_id"].unique().implode())
        return replace(
            records,
            batches=records.batches.filter(in_batches),
            stages=records.stages.filter(in_batches),
            assignments=assignments,
            placements=records.placements.filter(in_assignments),
            transfers=records.transfers.filter(
                pl.col("dest_assignment_id").is_in(assignment_ids)
                | pl.col("source_assignment_id").is_in(assignment_ids)
            ),
            deaths=records.deaths.filter(in_assignments),
            incomplete=records.incomplete.filter(in_assignments),
            weighings=records.weighings.filter(in_assignments),
            temperature=records.temperature.filter(in_containers),
            feed=records.feed.filter(in_containers),
        )


def unrecorded_deaths(transfers: pl.LazyFrame, events: pl.LazyFrame) -> pl.LazyFrame:
    """Completed transfers, of which `mortality_during_transfer` is 0 where events count the same fish.

    AquaMind writes an event of handling on the source when a transfer is executed. Such fish must not be counted twice.

    Args:
        transfers: batch_transferaction.
        events: batch_mortalityevent.
    """
    key = ["source_assignment_id", "actual_execution_date"]
    lost = pl.col("mortality_during_transfer").cast(pl.Int64)
    done = transfers.filter(pl.col("status") == "COMPLETED").with_columns(lost=lost.sum().over(key))
    recorded = (
        events.filter(pl.col("cause") == "HANDLING")
        .rename({"assignment_id": "source_assignment_id", "event_date": "actual_execution_date"})
        .join(done.filter(pl.col("lost") > 0).select(key).unique(), on=key, how="semi")
        .group_by(key)
        .agg(recorded=pl.col("count").cast(pl.Int64).sum())
    )
    in_events = (pl.col("recorded") >= pl.col("lost")).fill_null(value=False)
    return (
        done.join(recorded, on=key, how="left", maintain_order="left")
        .with_columns(mortality_during_transfer=pl.when(in_events).then(0).otherwise(lost))
        .drop("lost", "recorded")
    )


def from_tables(tables: Mapping[str, pl.LazyFrame], temperature: pl.DataFrame | pl.LazyFrame) -> Records:
    """Records from AquaMind's tables.

    Args:
        tables: AquaMind's tables by name.
        temperature: The daily temperature of each assignment, as `daily_temperature` makes it.
    """
    assignments = tables["batch_batchcontainerassignment"].select(
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
    mortality = tables["scenario_mortality_model_stage"].select(
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
        .join(mortality, on=["mortality_model_id", "name"], how="left")
        .select(
            "batch_id",
            "lifecycle_stage_id",
            "name",
            "order",
            pl.col(_EXPECTED_G).cast(pl.Float64),
            tgc=pl.coalesce(pl.col("own_tgc").cast(pl.Float64), pl.col("base_tgc")),
            daily_mortality=pl.coalesce(own_percent, pl.col("rate")) / 100,
            weekly=own_percent.is_null() & (pl.col("frequency") == "weekly"),
        )
    )
    frames = {
        "batches": batches,
        "stages": stages,
        "assignments": assignments,
        "placements": tables["batch_creationaction"]
        .filter(pl.col("status") == "COMPLETED")
        .select(assignment_id="dest_assignment_id", date="actual_delivery_date", count="egg_count_actual"),
        "transfers": unrecorded_deaths(tables["batch_transferaction"], tables["batch_mortalityevent"])
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
        "weighings": pl.concat(
            [
                tables["batch_growthsample"]
                .sort("id")
                .select(
                    "assignment_id",
                    date="sample_date",
                    weight_g=pl.col("avg_weight_g").cast(pl.Float64),
                    kind=pl.lit("growth_sample"),
                ),
                _vaccinations(tables["health_treatment"], tables["health_individualfishobservation"]),
            ]
        ),
        "temperature": temperature.lazy(),
        "feed": tables["inventory_feedingevent"]
        .group_by("container_id", assignment_id="batch_assignment_id", date="feeding_date")
        .agg(feed_kg=pl.col("amount_kg").sum().cast(pl.Float64)),
        "profiles": tables["scenario_temperaturereading"].select("profile_id", "day_number", temp_c="temperature"),
    }
    collected = pl.collect_all(frames.values(), engine="streaming")
    return Records(**dict(zip(frames, collected, strict=True)))


def _vaccinations(treatments: pl.LazyFrame, fish: pl.LazyFrame) -> pl.LazyFrame:
    """Weighings at vaccinations: the mean weight of the fish of the treatment's sampling event (R12).

    Args:
        treatments: Rows of health_treatment.
        fish: Rows of health_individualfishobservation.
    """
    grams = pl.col("weight_g")
    means = fish.group_by("sampling_event_id").agg(weight_g=grams.sum().cast(pl.Float64) / grams.count())
    return (
        treatments.filter("includes_weighing")
        .join(means, on="sampling_event_id")
        .sort("id")
        .select(
            assignment_id="batch_assignment_id",
            date=pl.col("treatment_date").dt.date(),
            weight_g="weight_g",
            kind=pl.lit("vaccination"),
        )
    )


def daily_temperature(readings: pl.LazyFrame, parameters: pl.LazyFrame) -> pl.DataFrame:
    """Water temperature of each assignment and day, from AquaMind's readings: the frame `Records.temperature`.

    Args:
        readings: Rows of environmental_environmentalreading.
        parameters: Rows of environmental_environmentalparameter. Those called temperature are read, whatever their
            capitals. On a day with readings of `temperature` itself, others are left out: AquaMind reads that one only.

    Returns:
        Sorted by container, date, assignment and parameter.
    """
    wanted = parameters.select("id", "name").filter(pl.col("name").str.to_lowercase() == TEMPERATURE).collect()
    # Ids as literals let the scan skip row groups of other parameters.
    return (
        readings.filter(pl.col("parameter_id").is_in(wanted["id"].to_list()))
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
        .with_columns(parameter=pl.col("parameter_id").replace_strict(wanted["id"], wanted["name"]))
        .with_columns(is_exact=pl.col("parameter") == TEMPERATURE)
        .filter(pl.col("is_exact") | ~pl.col("is_exact").any().over("container_id", "assignment_id", "date"))
        .drop("parameter_id", "is_exact")
        .sort("container_id", "date", "assignment_id", "parameter")
        .collect(engine="streaming")
    )


_EXPECTED_G = ("expected_weight_min_g", "expected_weight_max_g")

__all__ = ["Records", "daily_temperature", "from_tables", "unrecorded_deaths"]
