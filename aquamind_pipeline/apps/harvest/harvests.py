"""Harvests: an event for each ring, and its fish by grade."""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.apps.batch.assignments import LIVED, begun, lived_assignments
from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.schema.columns import INSTALLED, count, identity, numeric, refers, timestamp, varchar
from aquamind_pipeline.schema.definition import ByFormula, Parent, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.biology import ADULT, FILLET_YIELD, GUTTED_YIELD, HARVEST_GRADES
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan


def _rings(inputs: Inputs) -> pl.DataFrame:
    """Rings that have been harvested."""
    geographies = inputs.plan.batches.select("batch_id", "geography_id")
    ended = lived_assignments(inputs).filter((pl.col("stage") == ADULT.order) & pl.col("ended"))
    return ended.join(geographies, on="batch_id", maintain_order="left")


def harvested_rings(farm: Profile, plan: Plan) -> int:
    """Number of rings that have been harvested by as_of."""
    rings = begun(farm, plan).filter(pl.col("stage") == ADULT.order)
    return rings.filter(pl.col("departure_date") <= farm.as_of).height


HARVEST_EVENTS = TableDefinition(
    name="harvest_harvestevent",
    kind=Kind.LEDGER,
    meaning="Harvest of one ring.",
    how="Every ring of a batch is harvested on the batch's harvest day.",
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
    reads=LIVED,
    generate=lambda inputs: _rings(inputs).select(
        "batch_id",
        "assignment_id",
        id="assignment_id",
        event_date=pl.col("departure_date").cast(pl.Datetime("us", "UTC")).dt.offset_by("10h"),
        dest_geography_id="geography_id",
        document_ref=pl.format("HRV-{}-{}", "batch_number", pl.col("position") + 1),
    ),
    expected=ByFormula(harvested_rings),
    lineage={"id": "plan_assignment.assignment_id", "event_date": "plan_assignment.departure_date"},
    rules=(),
)


def harvest_lots(inputs: Inputs) -> pl.DataFrame:
    """Rows of harvest_harvestlot: a ring's lots add up to its fish."""
    rings = _rings(inputs)
    shares = np.array([share for _, share, _ in HARVEST_GRADES])
    weights = np.array([weight for _, _, weight in HARVEST_GRADES]) / sum(s * w for _, s, w in HARVEST_GRADES)
    fish = rings["population"].to_numpy()[:, None]
    upto = np.rint(fish * np.cumsum(shares)).astype(np.int64)
    count = np.diff(upto, axis=1, prepend=0)
    live_kg = count * weights * rings["weight_g"].to_numpy()[:, None] / 1000
    grades = np.arange(1, len(HARVEST_GRADES) + 1)
    event_id = np.repeat(rings["assignment_id"].to_numpy(), grades.size)
    return pl.DataFrame(
        {
            "id": (event_id - 1) * grades.size + np.tile(grades, rings.height),
            "event_id": event_id,
            "product_grade_id": np.tile(grades, rings.height),
            "live_weight_kg": rounded(live_kg.ravel(), 12, 3),
            "gutted_weight_kg": rounded(GUTTED_YIELD * live_kg.ravel(), 12, 3),
            "fillet_weight_kg": rounded(FILLET_YIELD * live_kg.ravel(), 12, 3),
            "unit_count": count.ravel(),
        }
    )


HARVEST_LOTS = TableDefinition(
    name="harvest_harvestlot",
    kind=Kind.CHILD,
    parent=Parent("harvest_harvestevent", "event_id"),
    step="harvest_ledger",
    meaning="Harvested fish of one grade.",
    how="The fish of a ring, shared out to AquaMind's grades.",
    columns=(
        identity("id"),
        refers("event_id", "harvest_harvestevent.id"),
        refers("product_grade_id", "harvest_productgrade.id"),
        numeric("live_weight_kg", 12, 3, range_=(0, None)),
        numeric("gutted_weight_kg", 12, 3, nullable=True, range_=(0, None)),
        numeric("fillet_weight_kg", 12, 3, nullable=True, range_=(0, None)),
        count("unit_count"),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
    ),
    reads=(*LIVED, "harvest_harvestevent"),
    generate=harvest_lots,
    expected=ByFormula(lambda farm, plan: harvested_rings(farm, plan) * len(HARVEST_GRADES)),
    lineage={"unit_count": "life_day.population", "live_weight_kg": "life_day.population life_day.weight_g"},
    rules=(),
)

__all__ = ["HARVEST_EVENTS", "HARVEST_LOTS"]
