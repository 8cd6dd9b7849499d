"""Figures of tables for Dagster's pages, drawn once for each run that writes a whole table.

A figure has some hundred points from the lake's files. A step does not fail if its figure cannot be drawn: checks
report files that cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.errors import LakeError
from aquamind_pipeline.lake import Lake
from aquamind_pipeline.orchestration.figures import Panel, bars, lines, stacked
from aquamind_pipeline.pipeline.workspace import Workspace
from aquamind_pipeline.schema.definition import TableDefinition
from aquamind_pipeline.simulation.deaths import REASONS
from aquamind_pipeline.simulation.lice import STAGES as LICE_STAGES
from aquamind_pipeline.simulation.treatments import AGAINST_LICE, METHODS

SHOWN_BATCHES = 4
SHOWN_DAYS = 200
"""Number of days on a line. More could not be told apart."""

RING_DAYS, SHOWN_REASONS = 365, 5
"""Days of the picture of one ring, and the reasons of death that it tells apart."""


def figure_metadata(definition: TableDefinition, workspace: Workspace) -> dict[str, Any]:
    """Metadata with the figure of a whole table, if the table has one.

    Nightly runs draw no figures, because drawing would take as long as making their tables.
    """
    if workspace.settings.since is not None:
        return {}
    draw = _FIGURES.get(definition.figure) or (_rows_by_month if definition.name in REGISTRY.events else None)
    if draw is None:
        return {}
    try:
        return {"picture": draw(workspace.lake, definition.name)}
    except (LakeError, pl.exceptions.PolarsError) as error:
        return {"picture": dg.MetadataValue.text(f"no picture: {error}")}


def _lives(lake: Lake, name: str) -> dg.MetadataValue[str]:
    """Fish and mean weight by day, of a few batches between the oldest and the newest."""
    weight = next(c for c in ("weight_g", "avg_weight_g") if c in REGISTRY[name].table.columns)
    rows = lake.scan(name).with_columns(pl.col("population", weight).cast(pl.Float64))
    ids = lake.scan(name).select(pl.col("batch_id").unique().sort()).collect()["batch_id"]
    shown = ids.gather_every(max(1, (ids.len() - 1) // (SHOWN_BATCHES - 1))).head(SHOWN_BATCHES)
    daily = (
        rows.filter(pl.col("batch_id").is_in(shown.to_list()))
        .group_by("batch_id", "date")
        .agg(
            fish=pl.col("population").sum() / 1e6,
            weight=(pl.col("population") * pl.col(weight)).sum() / pl.col("population").sum() / 1e3,
        )
        .sort("date")
        .collect()
    )
    labelled = daily.join(_batch_numbers(lake), on="batch_id", how="left", maintain_order="left")
    panels = {
        title: labelled.pivot("batch", index="date", values=value, sort_columns=True).sort("date").pipe(_thinned)
        for title, value in (("millions of fish", "fish"), ("mean weight, kg", "weight"))
    }
    return lines(panels, "date", [c for c in panels["mean weight, kg"].columns if c != "date"])


def _batch_numbers(lake: Lake) -> pl.DataFrame:
    """The number of each batch, as `FI-2026-001`, by its id: from the plan, which is made before life."""
    return lake.scan("plan_batch").select("batch_id", batch="batch_number").collect()


def _occupancy(lake: Lake, name: str) -> dg.MetadataValue[str]:
    """Number of containers in use by day, as planned."""
    assignments = lake.scan(name)
    begun = assignments.group_by(date="assignment_date").agg(containers=pl.len().cast(pl.Int64))
    ended = assignments.group_by(date="departure_date").agg(containers=-pl.len().cast(pl.Int64))
    days = pl.concat([begun, ended]).group_by("date").agg(pl.col("containers").sum()).sort("date")
    used = days.with_columns(pl.col("containers").cum_sum()).collect()
    return lines({"containers in use, as planned": used}, "date", ["containers"])


def _temperatures(lake: Lake, name: str) -> dg.MetadataValue[str]:
    """Mean water temperature by day, of each geography's tanks and rings."""
    halls = lake.scan("infrastructure_hall").join(
        lake.scan("infrastructure_freshwaterstation").select("geography_id", freshwater_station_id="id"),
        on="freshwater_station_id",
    )
    areas = lake.scan("infrastructure_area").select("geography_id", area_id="id", water=pl.lit("sea"))
    geographies = lake.scan("infrastructure_geography").select("name", geography_id="id")
    containers = lake.scan("infrastructure_container")
    tanks = containers.join(halls.select("geography_id", hall_id="id", water=pl.lit("tanks")), on="hall_id")
    rings = containers.join(areas, on="area_id")
    waters = pl.concat([part.select("geography_id", "water", container_id="id") for part in (tanks, rings)])
    daily = (
        lake.scan(name)
        .join(waters, on="container_id")
        .join(geographies, on="geography_id")
        .group_by("date", site=pl.format("{}, {}", "name", "water"))
        .agg(temperature=pl.col("total_c").sum() / pl.col("readings").sum())
        .collect()
        .pivot("site", index="date", values="temperature", sort_columns=True)
        .sort("date")
        .pipe(_thinned)
    )
    return lines({"mean water temperature, °C": daily}, "date", [c for c in daily.columns if c != "date"])


def _ring_year(lake: Lake, name: str) -> dg.MetadataValue[str]:
    """Lice, treatments, deaths, feed and temperature in the last year of the ring that was deloused most often."""
    treatments = lake.scan("life_treatment").select("assignment_id", "date", "method", "reason").collect()
    against_lice = treatments.filter(pl.col("reason").is_in(AGAINST_LICE))
    often = against_lice.group_by("assignment_id").len().sort("len", "assignment_id", descending=[True, False])
    ring = (
        int(often["assignment_id"][0])
        if often.height
        else lake.scan("life_lice").select(pl.col("assignment_id").min()).collect().item()
    )
    if ring is None:
        return dg.MetadataValue.text("no picture: no ring has fish yet")
    of_ring = pl.col("assignment_id") == ring
    lice = lake.scan("life_lice").filter(of_ring).sort("date").collect(engine="streaming").tail(RING_DAYS)
    life = lake.scan("life_day").filter(of_ring).sort("date").collect(engine="streaming").tail(RING_DAYS)
    done = treatments.filter(of_ring, pl.col("date").is_in(life["date"].implode()))
    marks = {
        METHODS[method].name: done.filter(method=method)["date"].to_list()
        for method in done["method"].unique(maintain_order=True)
    }
    container = lake.scan("infrastructure_container").filter(pl.col("id") == life["container_id"][0])
    number = _batch_numbers(lake).filter(pl.col("batch_id") == life["batch_id"][0])["batch"].item()
    title = f"One ring's year: {container.select('name').collect().item()}, batch {number}"
    panels = [
        Panel("lice per fish", lice.select("date", *LICE_STAGES).rename(lambda column: column.replace("_", " "))),
        Panel("deaths a day", _by_reason(life), bars=True),
        Panel("feed, t a day", life.select("date", feed=pl.col("feed_dg") / 1e7), bars=True),
        Panel("water, °C", life.select("date", temperature="temp_c"), from_zero=False),
    ]
    return stacked(title, panels, marks)


def _by_reason(life: pl.DataFrame) -> pl.DataFrame:
    """Deaths by day, of the most frequent reasons and of all others together: date, and a column for each."""
    first = life.select("date", "reason", deaths=pl.col("deaths") - pl.col("second_deaths"))
    second = life.select("date", reason="second_reason", deaths="second_deaths")
    both = pl.concat([first, second])
    totals = both.group_by("reason").agg(pl.col("deaths").sum()).sort("deaths", "reason", descending=[True, False])
    shown = totals.filter(pl.col("deaths") > 0)["reason"].head(SHOWN_REASONS).to_list()
    columns = {REASONS[reason][0]: pl.col("deaths").filter(pl.col("reason") == reason).sum() for reason in shown}
    others = pl.col("deaths").filter(~pl.col("reason").is_in(shown)).sum()
    return both.group_by("date").agg(**columns, others=others).sort("date")


def _rows_by_month(lake: Lake, name: str) -> dg.MetadataValue[str]:
    """Number of rows of each month, from the footers of the files."""
    months = lake.partitions(name)
    return bars("rows by month", months, [lake.rows(name, month) for month in months])


def _thinned(frame: pl.DataFrame) -> pl.DataFrame:
    """About `SHOWN_DAYS` rows of the frame, evenly spread."""
    return frame.gather_every(max(1, frame.height // SHOWN_DAYS))


_FIGURES: dict[str, Callable[[Lake, str], dg.MetadataValue[str]]] = {
    "occupancy": _occupancy,
    "lives": _lives,
    "temperatures": _temperatures,
    "ring_year": _ring_year,
}
"""Functions that draw a figure, by the name in a definition's `figure`."""

__all__ = ["figure_metadata"]
