"""Inputs and outputs of AquaMind's real growth engine, as records and states.

`tests/data/oracle/<batch>/` holds what AquaMind's `GrowthAssimilationEngine` (its commit cb41030 of 2026-03-25) read
from a PostgreSQL 15 database and wrote to it: one assignment at a time by date and id, from no earlier states. EDGE
batches were made by hand, FUZZ batches by hand with random values, FI batches by AquaMind's own event engine. Files are
CSV with empty fields for NULL, gzipped; a plain CSV of the same name does as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

import polars as pl

from aquamind_pipeline.growth.records import Records
from tests.helpers.places import DATA

HERE = DATA / "oracle"
STATES = "states_std_chrono_p1.csv"
PARTS = ("weight", "temp", "mortality", "feed", "fcr")


@dataclass(frozen=True)
class Oracle:
    """A batch's records and the states that AquaMind's engine gave it, as text cell by cell."""

    name: str
    records: Records
    until: date
    stages: dict[int, str]
    states: pl.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Self:
        def table(name: str) -> pl.DataFrame:
            plain = folder / f"{name}.csv"
            path = plain if plain.exists() else folder / f"{name}.csv.gz"
            return pl.read_csv(path, infer_schema=False)

        batch = table("inputs/batch").row(0, named=True)
        stages = table("inputs/lifecycle_stages")
        states = table(STATES.removesuffix(".csv"))
        names = {int(i): n for i, n in stages.select("id", "name").iter_rows()}
        return cls(folder.name, _records(batch, stages, table), date.fromisoformat(batch["compute_end"]), names, states)

    def compared(self, ours: pl.DataFrame) -> pl.DataFrame:
        """Our states in the oracle's columns, as text cell by cell."""
        ours = ours.with_columns(
            pl.col("sources").str.json_decode(pl.Struct(dict.fromkeys(PARTS, pl.String))),
            pl.col("confidence_scores").str.json_decode(pl.Struct(dict.fromkeys(PARTS, pl.Float64))),
            lifecycle_stage=pl.col("lifecycle_stage_id").replace_strict(self.stages, return_dtype=pl.String),
            planned_activity_id=pl.lit(None, pl.String),
        )
        parts = [pl.col("sources").struct.field(part).alias(f"src_{part}") for part in PARTS]
        scores = [pl.col("confidence_scores").struct.field(part).alias(f"conf_{part}") for part in PARTS]
        as_text = ours.with_columns(*parts, *scores).select(self.states.columns)
        floats = pl.selectors.starts_with("conf_")
        return as_text.with_columns(
            floats.map_batches(lambda s: pl.Series(s.name, [f"{v:.17g}" for v in s]), return_dtype=pl.String)
        ).cast(pl.String)

    def theirs(self) -> pl.DataFrame:
        floats = pl.selectors.starts_with("conf_")
        return self.states.with_columns(
            floats.map_batches(lambda s: pl.Series(s.name, [f"{float(v):.17g}" for v in s]), return_dtype=pl.String)
        )


def oracles(folder: Path = HERE) -> list[Path]:
    return sorted(path.parent.parent for path in folder.glob("*/inputs/batch.csv*"))


def _records(batch: dict[str, str], stages: pl.DataFrame, table) -> Records:  # type: ignore[no-untyped-def]
    key, number = pl.lit(int(batch["batch_id"]), pl.Int64), pl.Float64
    ids = dict(stages.select("name", pl.col("id").cast(pl.Int64)).iter_rows())

    def by_name(name: str, *columns: str) -> pl.DataFrame:
        return table(f"inputs/{name}").select(pl.col("lifecycle_stage").alias("name"), *columns)

    scenario = (
        stages.join(by_name("tgc_stage_overrides", "tgc_value"), on="name", how="left")
        .join(by_name("mortality_stage_overrides", "daily_rate_percent"), on="name", how="left")
        .join(by_name("stage_constraints", "min_weight_g", "max_weight_g"), on="name", how="left")
    )
    assignments = table("inputs/assignments").select(
        pl.col("assignment_id", "container_id", "population_count").cast(pl.Int64),
        pl.col("avg_weight_g").cast(number),
        pl.col("assignment_date", "departure_date").str.to_date(),
        batch_id=key,
        lifecycle_stage_id=pl.col("lifecycle_stage").replace_strict(ids, return_dtype=pl.Int64),
    )
    day = pl.col("reading_time_utc").str.slice(0, 10).str.to_date()
    readings = table("inputs/temperature_readings").with_columns(pl.col("value").cast(pl.Decimal(12, 4)))
    return Records(
        batches=pl.DataFrame(
            {
                "batch_id": [int(batch["batch_id"])],
                "start_date": [date.fromisoformat(batch["start_date"])],
                "profile_id": [int(batch["temperature_profile_id"])],
                "initial_weight_g": [float(batch["scenario_initial_weight"])],
            }
        ),
        stages=scenario.select(
            pl.col("name"),
            pl.col("order").cast(pl.Int64),
            pl.col("expected_weight_min_g", "expected_weight_max_g").cast(number),
            batch_id=key,
            lifecycle_stage_id=pl.col("id").cast(pl.Int64),
            tgc=pl.coalesce("tgc_value", pl.lit(batch["tgc_value"])).cast(number),
            daily_mortality=pl.coalesce("daily_rate_percent", pl.lit(batch["mortality_rate_percent"])).cast(number)
            / 100,
            weekly=pl.col("daily_rate_percent").is_null() & pl.lit(batch["mortality_frequency"] == "weekly"),
            constraint_min_g=pl.col("min_weight_g").cast(number),
            constraint_max_g=pl.col("max_weight_g").cast(number),
        ),
        assignments=assignments,
        transfers=table("inputs/transfer_actions")
        .filter(pl.col("status") == "COMPLETED")
        .sort(pl.col("app_order").cast(pl.Int64))
        .select(
            pl.col("source_assignment_id", "dest_assignment_id").cast(pl.Int64),
            pl.col("selection_method"),
            date=pl.col("actual_execution_date").str.to_date(),
            count=pl.col("transferred_count").cast(pl.Int64),
            deaths=pl.col("mortality_during_transfer").cast(pl.Int64),
            measured_weight_g=pl.col("measured_avg_weight_g").cast(number),
        ),
        deaths=table("inputs/mortality_events").select(
            pl.col("assignment_id", "count").cast(pl.Int64), date=pl.col("event_date").str.to_date()
        ),
        weighings=pl.concat(
            [
                table("inputs/growth_samples")
                .sort(pl.col("id").cast(pl.Int64))
                .select(
                    pl.col("assignment_id").cast(pl.Int64),
                    date=pl.col("sample_date").str.to_date(),
                    weight_g=pl.col("avg_weight_g").cast(number),
                    kind=pl.lit("growth_sample"),
                ),
                table("inputs/treatments")
                .filter((pl.col("includes_weighing") == "t") & pl.col("avg_weight_g").is_not_null())
                .sort(pl.col("id").cast(pl.Int64))
                .select(
                    pl.col("assignment_id").cast(pl.Int64),
                    date=pl.col("treatment_date").str.to_date(),
                    weight_g=pl.col("avg_weight_g").cast(number),
                    kind=pl.lit("vaccination"),
                ),
            ]
        ),
        temperature=readings.sort(pl.col("id").cast(pl.Int64))
        .group_by("container_id", "parameter", day.alias("date"), maintain_order=True)
        .agg(
            total_c=pl.col("value").sum().cast(number), readings=pl.len(), first_c=pl.col("value").first().cast(number)
        )
        .with_columns(pl.col("container_id").cast(pl.Int64)),
        feed=table("inputs/feeding_daily").select(
            pl.col("container_id").cast(pl.Int64),
            pl.col("feed_kg").cast(number),
            date=pl.col("date").str.to_date(),
        ),
        profiles=table("inputs/temperature_profile").select(
            profile_id=pl.lit(int(batch["temperature_profile_id"]), pl.Int64),
            day_number=pl.col("day_number").cast(pl.Int64),
            temp_c=pl.col("temperature").cast(number),
        ),
    )
