"""Batches by status, geography and stage, compared with the plan."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.apps.batch.assignments import coming_batches
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.inspection import frame
from aquamind_pipeline.report.model import Check, Section
from aquamind_pipeline.report.sections.bands import band_checks
from aquamind_pipeline.simulation.biology import STAGES
from aquamind_pipeline.simulation.mixing import MIXED_PREFIX
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

_BATCHES = """
SELECT split_part(b.batch_number, '-', 1) AS geography, s.name AS stage, s."order", b.status, count(*) AS batches
FROM batch_batch b JOIN batch_lifecyclestage s ON s.id = b.lifecycle_stage_id
GROUP BY 1, 2, 3, 4 ORDER BY 1, 3
"""


def section(connection: Connection, farm: Profile, plan: Plan) -> Section:
    """Count the batches."""
    counted = frame(connection, _BATCHES)

    def number(where: pl.Expr) -> int:
        return int(counted.filter(where)["batches"].sum())

    status, geography = pl.col("status"), pl.col("geography")
    total, completed = number(pl.lit(True)), number(status == "COMPLETED")
    mixed = geography == MIXED_PREFIX.rstrip("-")
    rows = [
        ["total", total],
        ["completed", completed],
        ["active", number(status == "ACTIVE")],
        ["receiving eggs", number(status == "RECEIVING")],
        ["planned", number(status == "PLANNED")],
        ["cancelled", number(status == "CANCELLED")],
    ]
    rows += [
        [f"geography {name}", number(geography == name)]
        for name in counted.filter(~mixed)["geography"].unique(maintain_order=True)
    ]
    rows.append(["mixed", number(mixed)])
    rows += [
        [f"active in {stage.name}", number((status == "ACTIVE") & (pl.col("stage") == stage.name))] for stage in STAGES
    ]
    harvested = int((plan.batches["harvest_date"] <= farm.as_of).sum())
    begun, coming = number(~status.is_in(["PLANNED", "CANCELLED"])), coming_batches(farm, plan)
    received = number(~mixed & status.is_in(["ACTIVE", "COMPLETED"]))
    checks = [
        Check(
            "batches", begun == plan.batches.height, f"{begun} batches have begun, {plan.batches.height} by the plan"
        ),
        Check("completed", completed == harvested, f"{completed} completed, {harvested} planned"),
        *(
            Check(name.lower(), number(status == name) == planned, f"{number(status == name)}, {planned} by the plan")
            for name, planned in coming.items()
        ),
        *band_checks(farm, {"batches": received, "completed": number(~mixed & (status == "COMPLETED"))}),
    ]
    return Section("Batches", ["what", "batches"], rows, checks)


__all__ = ["section"]
