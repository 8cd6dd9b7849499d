"""Inputs and outputs of AquaMind's real projection engines.

`tests/data/oracle/projection/` holds what its scenario engine (`scenario-*`) and its live engine (`live*`) read from a
PostgreSQL 15 database and wrote to it (AquaMind's commit cb41030 of 2026-03-25). Files are CSV with empty fields for
NULL, gzipped; a plain CSV of the same name does as well. Where the engine drew random numbers, `random_draws` has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

from aquamind_pipeline.projection.models import ScenarioModels
from tests.helpers.places import DATA

HERE = DATA / "oracle" / "projection"
Table = Callable[[str], pl.DataFrame]
"""Reads the file of this name."""
_KINDS = ("tgc", "fcr", "mortality")


@dataclass(frozen=True)
class ProjectionOracle:
    """One folder.

    Attributes:
        name: The folder's name.
        models: The scenarios, one for each call of the engine; `scenario_id` is the number of the call.
        luck: The random numbers that the engine drew: scenario_id, day_number, u.
        runs: One row for each call, as text: call, outcome, reasons, random_draws, total_projections, …
        rows: The projections, as text, with the number of their call as `scenario_id`.
    """

    name: str
    models: ScenarioModels
    luck: pl.DataFrame
    runs: pl.DataFrame
    rows: pl.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Self:
        table = reader(folder)
        runs = table("run").with_columns(pl.col("call").cast(pl.Int64))
        calls = runs.select("call", original="scenario_id")
        luck = table("random_draws").select(
            pl.col("call").cast(pl.Int64).alias("scenario_id"),
            pl.col("day_number").cast(pl.Int64),
            pl.col("u").cast(pl.Float64),
        )
        numbered = runs.drop_nulls("run_id").select("run_id", "call")
        rows = table("projections").join(numbered, on="run_id").drop("scenario_id").rename({"call": "scenario_id"})
        return cls(folder.name, _models(table, calls, runs), luck, runs, rows)


def projection_oracles(folder: Path = HERE) -> list[Path]:
    return sorted(path.parent for path in folder.glob("scenario-*/run.csv*"))


def _models(table: Table, calls: pl.DataFrame, runs: pl.DataFrame) -> ScenarioModels:
    changes = table("model_changes").sort(pl.col("read_order").cast(pl.Int64))
    changes = calls.join(changes, left_on="original", right_on="scenario_id", maintain_order="left_right")
    changes = changes.select(
        pl.col("call").alias("scenario_id"),
        pl.col("change_day").cast(pl.Int64),
        *(pl.col(f"new_{kind}_model_id").cast(pl.Int64) for kind in _KINDS),
    ).drop_nulls("change_day")
    scenarios = calls.join(table("scenario"), left_on="original", right_on="scenario_id").select(
        pl.col("call").alias("scenario_id"),
        pl.col("start_date").str.to_date(),
        pl.col("duration_days", "initial_count").cast(pl.Int64),
        pl.col("initial_weight").cast(pl.Float64),
        *(pl.col(f"{kind}_model_id").cast(pl.Int64) for kind in _KINDS),
    )
    return read_models(table, scenarios, _with_reused_engines(changes, runs))


def reader(folder: Path) -> Table:
    """Reads a folder's files, as text."""

    def table(name: str) -> pl.DataFrame:
        plain = folder / f"{name}.csv"
        return pl.read_csv(plain if plain.exists() else folder / f"{name}.csv.gz", infer_schema=False)

    return table


def read_models(table: Table, scenarios: pl.DataFrame, changes: pl.DataFrame) -> ScenarioModels:
    """The models of a folder, with these scenarios and model changes."""
    ids = pl.selectors.ends_with("_id").cast(pl.Int64)
    overrides = "fcr_stage_id", "min_weight_g", "max_weight_g", "fcr_value"
    try:
        bands = table("fcr_overrides").select(overrides)
    except FileNotFoundError:  # the live engine reads none
        bands = pl.DataFrame(schema=dict.fromkeys(overrides, pl.String))
    return ScenarioModels(
        scenarios=scenarios,
        stages=table("lifecycle_stages").select(
            pl.col("id").cast(pl.Int64).alias("lifecycle_stage_id"),
            "name",
            "species_name",
            pl.col("order").cast(pl.Int64),
        ),
        tgc_models=table("tgc").with_columns(ids, pl.col("tgc_value", "exponent_n", "exponent_m").cast(pl.Float64)),
        tgc_stages=table("tgc_stages").with_columns(ids, pl.col("tgc_value").cast(pl.Float64)),
        temperatures=table("profile")
        .drop_nulls("day_number")
        .with_columns(ids, pl.col("day_number").cast(pl.Int64), pl.col("temperature").cast(pl.Float64)),
        fcr_stages=table("fcr_stages")
        .drop_nulls("fcr_stage_id")
        .select(
            pl.col("fcr_stage_id", "fcr_model_id", "duration_days").cast(pl.Int64),
            pl.col("fcr_value").cast(pl.Float64),
            lifecycle_stage_id=pl.col("stage_id").cast(pl.Int64),
        ),
        fcr_overrides=bands.with_columns(
            ids, pl.col("min_weight_g", "max_weight_g").cast(pl.Decimal(10, 2)), pl.col("fcr_value").cast(pl.Float64)
        ),
        mortality_models=table("mortality").with_columns(ids, pl.col("rate").cast(pl.Float64)),
        mortality_stages=table("mortality_stages").with_columns(ids, pl.col("daily_rate_percent").cast(pl.Float64)),
        model_changes=changes,
    )


def _with_reused_engines(changes: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Let an engine that runs a second time begin with the models that its last run ended with.

    The snapshot of such a run shows these models. A change of day 1 has the same effect: of what day 1 brings anyway,
    the last change counts, so its models go first and the others are filled in.
    """
    reused = runs.filter(pl.col("engine_reused") == "t")
    start = reused.select(
        pl.col("call").alias("scenario_id"),
        pl.lit(1, pl.Int64).alias("change_day"),
        *(pl.col(f"snap_{kind}_id").cast(pl.Int64).alias(f"new_{kind}_model_id") for kind in _KINDS),
    )
    first = changes.filter(pl.col("change_day") == 1).unique("scenario_id", keep="last", maintain_order=True)
    both = start.join(first.drop("change_day"), on="scenario_id", how="left")
    both = both.select(
        "scenario_id",
        "change_day",
        *(
            pl.coalesce(f"new_{kind}_model_id_right", f"new_{kind}_model_id").alias(f"new_{kind}_model_id")
            for kind in _KINDS
        ),
    )
    return pl.concat([changes, both])


__all__ = ["HERE", "ProjectionOracle", "Table", "projection_oracles", "read_models", "reader"]
