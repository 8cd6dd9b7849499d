"""Harvests: an event for each ring, and its fish by grade."""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.apps.batch.assignments import LIVED, begun, lived_assignments
from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import count, identity, numeric, refers, timestamp, varchar
from aquamind_pipeline.schema.definition import ByFormula, Parent, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import UNREALISTIC
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import ADULT
from aquamind_pipeline.simulation.harvest_quality import (
    FILLET_RANGE,
    GRADES,
    GUTTED_RANGE,
    SCAR_DAYS,
    grade_shares,
    live_kg,
    yields,
)
from aquamind_pipeline.simulation.mixing import goes_into_mix
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

_FIRST_RING_MINUTE, _LAST_RING_MINUTE, _LATE_MINUTES = 6 * 60, 19 * 60, 20
"""The well-boat empties one ring after the other from 06:00 to 19:00, each up to so many minutes late."""


def _rings(inputs: Inputs) -> pl.DataFrame:
    """Rings that have been harvested, and their fish without those that went into a mixed batch."""
    geographies = inputs.plan.batches.select("batch_id", "geography_id")
    ended = lived_assignments(inputs).filter((pl.col("stage") == ADULT.order) & pl.col("ended"))
    mixed = (
        inputs.whole("life_move")
        .filter(goes_into_mix(pl.col("dest_assignment_id")))
        .group_by(assignment_id="source_assignment_id")
        .agg(mixed=pl.col("count").sum())
    )
    return (
        ended.join(geographies, on="batch_id", maintain_order="left")
        .join(mixed, on="assignment_id", how="left", maintain_order="left")
        .with_columns(population=pl.col("population") - pl.col("mixed").fill_null(0))
    )


def harvested_rings(farm: Profile, plan: Plan) -> int:
    """Number of rings that have been harvested by as_of."""
    rings = begun(farm, plan).filter(pl.col("stage") == ADULT.order)
    return rings.filter(pl.col("departure_date") <= farm.as_of).height


def _event_times(inputs: Inputs, rings: pl.DataFrame) -> pl.Series:
    """When each ring was emptied: one after the other on the batch's day."""
    part = (_LAST_RING_MINUTE - _FIRST_RING_MINUTE) // inputs.farm.rings_per_batch
    late = draws.uniform(draws.stream(inputs.farm.seed, "harvest", "minute"), rings["assignment_id"].to_numpy())
    in_turn = rings["position"].to_numpy() * part + np.floor(late * _LATE_MINUTES)
    # What is left of a ring after a partial harvest is moved in the morning, so this ring comes after the first one.
    early = _LATE_MINUTES + np.floor(late * (_LATE_MINUTES - 1))
    minutes = _FIRST_RING_MINUTE + np.where(rings["mixed"].is_null(), in_turn, early)
    return rings["departure_date"].cast(pl.Datetime("us", "UTC")) + pl.Series(minutes * 60e6).cast(pl.Duration("us"))


def harvest_events(inputs: Inputs) -> pl.DataFrame:
    """Rows of harvest_harvestevent."""
    rings = _rings(inputs)
    return rings.select(
        "batch_id",
        "assignment_id",
        id="assignment_id",
        event_date=_event_times(inputs, rings),
        dest_geography_id="geography_id",
        document_ref=pl.format("HRV-{}-{}", "batch_number", pl.col("position") + 1),
    )


HARVEST_EVENTS = TableDefinition(
    name="harvest_harvestevent",
    kind=Kind.LEDGER,
    meaning="Harvest of one ring.",
    how="Every ring is harvested on the batch's harvest day; one that gives fish to a mixed batch, in part.",
    columns=(
        identity("id"),
        timestamp("event_date"),
        refers("batch_id", "batch_batch.id"),
        refers("assignment_id", "batch_batchcontainerassignment.id"),
        refers("dest_geography_id", "infrastructure_geography.id", nullable=True),
        varchar("dest_subsidiary", 3, nullable=True, fill=pl.lit("LG")),
        varchar("document_ref", 100),
        timestamp("created_at", fill=pl.col("event_date")),
        timestamp("updated_at", fill=pl.col("event_date")),
    ),
    reads=(*LIVED, "life_move"),
    generate=harvest_events,
    expected=ByFormula(harvested_rings),
    lineage={"id": "plan_assignment.assignment_id", "event_date": "plan_assignment.departure_date"},
    rules=(),
)


def _worst_wounds(inputs: Inputs, rings: pl.DataFrame) -> pl.Series:
    """The worst mean score of wounds of each ring in the weeks before its harvest."""
    last = rings.lazy().select("assignment_id", "departure_date")
    days = max(1, SCAR_DAYS // inputs.farm.speed)
    worst = (
        inputs.scan("life_day")
        .filter(pl.col("stage") == ADULT.order)
        .select("assignment_id", "date", "wound")
        .join(last, on="assignment_id")
        .filter(pl.col("date") >= pl.col("departure_date").dt.offset_by(f"-{days}d"))
        .group_by("assignment_id")
        .agg(pl.col("wound").max())
        .collect(engine="streaming")
    )
    return rings.join(worst, on="assignment_id", how="left", maintain_order="left")["wound"].fill_null(0.0)


def harvest_lots(inputs: Inputs) -> pl.DataFrame:
    """Rows of harvest_harvestlot: a ring's lots add up to its fish and to their mass."""
    rings = _rings(inputs)
    seed, ring, batch = inputs.farm.seed, rings["assignment_id"].to_numpy(), rings["batch_id"].to_numpy()
    weight_g, fish = rings["weight_g"].to_numpy(), rings["population"].to_numpy()
    month = rings["departure_date"].dt.month().to_numpy().astype(np.int64)
    shares = grade_shares(seed, batch, ring, month, weight_g, _worst_wounds(inputs, rings).to_numpy())
    upto = np.rint(fish[:, None] * np.cumsum(shares, axis=1)).astype(np.int64)
    upto[:, -1:] = fish[:, None]
    count = np.diff(upto, axis=1, prepend=0)
    live = live_kg(seed, ring, count, fish * weight_g / 1000)
    gutted, fillet = yields(seed, batch, ring, weight_g)
    grades = np.arange(1, len(GRADES) + 1)
    event_id = np.repeat(ring, grades.size)
    return pl.DataFrame(
        {
            "id": (event_id - 1) * grades.size + np.tile(grades, rings.height),
            "event_id": event_id,
            "product_grade_id": np.tile(grades, rings.height),
            "live_weight_kg": rounded(live.ravel(), 12, 3),
            "gutted_weight_kg": rounded((gutted * live).ravel(), 12, 3),
            "fillet_weight_kg": rounded((fillet * live).ravel(), 12, 3),
            "unit_count": count.ravel(),
            "created_at": _event_times(inputs, rings).gather(np.repeat(np.arange(rings.height), grades.size)),
        }
    )


def _yields_fit(inputs: RuleInputs) -> CheckResult:
    """Gutted and fillet weight of each lot are plausible shares of its live weight."""
    live, gutted, fillet = (pl.col(f"{name}_weight_kg").cast(pl.Float64) for name in ("live", "gutted", "fillet"))
    lots = inputs.rows.filter(pl.col("live_weight_kg") > 1)
    fits = (gutted / live).is_between(*GUTTED_RANGE) & (fillet / live).is_between(*FILLET_RANGE)
    return check_result(
        HARVEST_YIELDS.name,
        lots.filter(~fits.fill_null(value=False)),
        f"{lots.height:,} lots with plausible yields",
        f"lots with gutted fish outside {GUTTED_RANGE} or fillet outside {FILLET_RANGE} of the live weight",
    )


HARVEST_YIELDS = Rule(
    "harvest_yields",
    "Gutted and fillet weight of a lot are plausible shares of its live weight.",
    UNREALISTIC,
    _yields_fit,
)


HARVEST_LOTS = TableDefinition(
    name="harvest_harvestlot",
    kind=Kind.CHILD,
    parent=Parent("harvest_harvestevent", "event_id"),
    step="harvest_ledger",
    meaning="Harvested fish of one grade.",
    how="The fish of a ring by grade: most are superior; ulcers, maturation and the season lower the grade.",
    columns=(
        identity("id"),
        refers("event_id", "harvest_harvestevent.id"),
        refers("product_grade_id", "harvest_productgrade.id"),
        numeric("live_weight_kg", 12, 3, range_=(0, None)),
        numeric("gutted_weight_kg", 12, 3, nullable=True, range_=(0, None)),
        numeric("fillet_weight_kg", 12, 3, nullable=True, range_=(0, None)),
        count("unit_count"),
        timestamp("created_at", comment="Time of the harvest (UTC)"),
        timestamp("updated_at", fill=pl.col("created_at")),
    ),
    reads=(*LIVED, "life_move", "harvest_harvestevent"),
    generate=harvest_lots,
    expected=ByFormula(lambda farm, plan: harvested_rings(farm, plan) * len(GRADES)),
    lineage={
        "unit_count": "life_day.population life_day.wound life_move.count",
        "live_weight_kg": "life_day.population life_day.weight_g",
        "created_at": "plan_assignment.departure_date",
    },
    rules=(HARVEST_YIELDS,),
)

__all__ = ["HARVEST_EVENTS", "HARVEST_LOTS"]
