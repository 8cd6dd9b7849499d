"""How many containers are in use, compared with the plan.

AquaMind's documents mix three meanings: containers with fish now, containers ever used, and days of containers with
fish. The section has all three.
"""

from __future__ import annotations

import polars as pl
from psycopg import sql

from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.pipeline.preview import preview
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.inspection import frame, large_frame
from aquamind_pipeline.report.model import Check, Section
from aquamind_pipeline.report.sums import Sums
from aquamind_pipeline.simulation.profile import Profile

_NOW = """
SELECT (SELECT count(*) FROM infrastructure_hall) AS halls,
  (SELECT count(DISTINCT container_id) FROM batch_batchcontainerassignment WHERE is_active) AS containers
"""
_HOLDING = sql.SQL(
    "SELECT id, hall_id FROM infrastructure_container "
    "WHERE hierarchy_role = 'HOLDING' AND carrier_id IS NULL AND active"
)


def section(connection: Connection, farm: Profile, sums: Sums) -> Section:
    """Compare the use of containers with the plan."""
    halls, now = frame(connection, _NOW).select("halls", "containers").row(0)
    holding = large_frame(connection, _HOLDING, pl.Schema({"id": pl.Int64, "hall_id": pl.Int64}))
    containers = holding.height
    used = sums.use["container_id"].unique()
    halls_used = holding.filter(pl.col("id").is_in(used.to_list()))["hall_id"].drop_nulls().n_unique()
    used_days = int(sums.use["days"].sum())
    first, last = sums.days.select(pl.col("date").min().alias("first"), pl.col("date").max().alias("last")).row(0)
    all_days = containers * ((last - first).days + 1 if first else 0)
    rows = [
        ["containers with fish now, of all that can hold fish", now, containers, _share(now, containers)],
        ["containers ever used", used.len(), containers, _share(used.len(), containers)],
        ["container-days used", used_days, all_days, _share(used_days, all_days)],
        ["halls ever used", halls_used, halls, _share(halls_used, halls)],
    ]
    plan = preview(farm)
    planned = (plan.containers_now, plan.containers_ever, plan.rows[STATES.name], plan.containers)
    counted = (now, used.len(), used_days, containers)
    detail = (
        f"{_share(now, containers):.1%} of containers hold fish now, as planned{sums.note}"
        if counted == planned
        else f"containers now, ever, container-days, containers in all: {counted}, planned {planned}"
    )
    check = Check("utilisation", counted == planned, detail)
    return Section("Container utilisation", ["what", "used", "of", "share"], rows, [check])


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


__all__ = ["section"]
