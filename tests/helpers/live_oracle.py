"""Inputs and outputs of AquaMind's real live projection engine: `tests/data/oracle/projection/live*`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import polars as pl

from aquamind_pipeline.projection.live import LiveInputs, LiveProjection
from tests.helpers.projection_oracle import HERE, Table, read_models, reader

_FLAGS = ("has_planned_harvest", "has_planned_transfer", "needs_planning_attention")


@dataclass(frozen=True)
class LiveOracle:
    """One folder.

    Attributes:
        name: The folder's name.
        inputs: What the engine read.
        calls: Its calls: call, assignment_id, computed_date, today.
        ends: How they ended: call, outcome, reason.
        rows: The whole table of projections after the last call, as text.
        summaries: The summary of each call's assignment right after it, as text. Calls that wrote none are left out.
    """

    name: str
    inputs: LiveInputs
    calls: pl.DataFrame
    ends: pl.DataFrame
    rows: pl.DataFrame
    summaries: pl.DataFrame
    before: pl.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Self:
        table = reader(folder)
        calls = table("calls").with_columns(pl.col("call", "assignment_id").cast(pl.Int64))
        today = pl.col("clock_utc").str.slice(0, 10).str.to_date()
        ends = calls.select("call", "outcome", pl.col("reason").fill_null(""))
        wrote = ends.filter((pl.col("outcome") == "ok") & (pl.col("reason") == ""))
        summaries = table("summary_after_call").with_columns(
            pl.col("call").cast(pl.Int64), pl.col(_FLAGS).replace({"t": "true", "f": "false"})
        )
        return cls(
            folder.name,
            _inputs(table),
            calls.select(
                "call",
                "assignment_id",
                computed_date=pl.coalesce(pl.col("computed_date").str.to_date(), today),
                today=today,
            ),
            ends,
            table("liveforwardprojection"),
            summaries.join(wrote, on="call", how="semi"),
            table("before_liveforwardprojection"),
        )

    def table_after(self, ours: LiveProjection) -> pl.DataFrame:
        """The table of projections after all calls, as text: a later call replaces rows of its computed date."""
        wrote = ours.summaries.select("call", "assignment_id", "computed_date")
        last = wrote.sort("call").unique(["assignment_id", "computed_date"], keep="last")
        names = {"profile_id": "temp_profile_id", "name": "temp_profile_name"}
        new = (
            ours.rows.join(last, on="call", how="semi")
            .join(self.inputs.profiles.rename(names), on="temp_profile_id", how="left")
            .with_columns(temp_bias_clamp_min_c=pl.lit("-2.00"), temp_bias_clamp_max_c=pl.lit("2.00"))
            .cast(pl.String)
            .select(self.rows.columns)
        )
        replaced = last.select("assignment_id", "computed_date").cast(pl.String)
        old = self.before.join(replaced, on=["assignment_id", "computed_date"], how="anti")
        return pl.concat([old.select(self.rows.columns), new])


def live_oracles(folder: Path = HERE) -> list[Path]:
    return sorted(path.parent for path in folder.glob("live*/calls.csv*"))


def _inputs(table: Table) -> LiveInputs:
    scenarios = table("scenario").select(
        pl.col("scenario_id", "batch_id", "duration_days").cast(pl.Int64),
        "name",
        pl.col("created_at_utc").alias("created_at"),
        *(pl.col(f"{kind}_model_id").cast(pl.Int64) for kind in ("tgc", "fcr", "mortality")),
        pl.col("biological_constraints_id").cast(pl.Int64),
        initial_weight=pl.lit(1.0),
    )
    changes = pl.DataFrame(
        schema=dict.fromkeys(
            ("scenario_id", "change_day", "new_tgc_model_id", "new_fcr_model_id", "new_mortality_model_id"), pl.Int64
        )
    )
    ids = pl.selectors.ends_with("_id").cast(pl.Int64)
    number = pl.col("avg_weight_g", "biomass_kg", "temp_c").cast(pl.Decimal(12, 2))
    return LiveInputs(
        models=read_models(table, scenarios, changes),
        profiles=table("profile").select(pl.col("profile_id").cast(pl.Int64), name="profile_name").unique(),
        batches=table("batch").select(pl.col("batch_id", "pinned_projection_run_id").cast(pl.Int64)),
        assignments=table("assignment").select(ids),
        states=table("states").with_columns(
            pl.col("assignment_id", "day_number", "population").cast(pl.Int64), pl.col("date").str.to_date(), number
        ),
        constraints=table("stage_constraints").with_columns(ids, pl.col("max_weight_g").cast(pl.Decimal(10, 2))),
        runs=table("run").select(ids),
        run_weights=table("run_weights").select(
            pl.col("run_id", "day_number").cast(pl.Int64),
            pl.col("projection_date").str.to_date(),
            pl.col("average_weight").cast(pl.Float64),
        ),
        planned_activities=table("planned_activity").with_columns(ids),
    )


__all__ = ["LiveOracle", "live_oracles"]
