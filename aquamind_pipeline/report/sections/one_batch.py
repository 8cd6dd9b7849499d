"""The oldest batch, stage by stage, and its harvest."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from aquamind_pipeline.apps.batch.mixing import COMPONENTS
from aquamind_pipeline.apps.harvest.harvests import HARVEST_LOTS
from aquamind_pipeline.postgres.connection import Connection
from aquamind_pipeline.postgres.inspection import frame
from aquamind_pipeline.report.model import Check, Section

_OLDEST = """
SELECT id, batch_number, status, start_date FROM batch_batch
WHERE status NOT IN ('PLANNED', 'CANCELLED') ORDER BY start_date, id LIMIT 1
"""
_STAGES = """
WITH daily AS (
    SELECT lifecycle_stage_id AS stage, date, sum(population) AS fish, sum(biomass_kg) AS biomass_kg,
      sum(mortality_count) AS dead, sum(feed_kg) AS feed_kg, count(*) AS containers,
      sum(avg_weight_g * population) / nullif(sum(population), 0) AS weight_g
    FROM batch_actualdailyassignmentstate WHERE batch_id = %(id)s GROUP BY 1, 2
)
SELECT s.name, count(*) AS days, max(containers)::int AS containers,
  (array_agg(fish ORDER BY date))[1]::bigint AS first,
  (array_agg(fish ORDER BY date DESC))[1]::bigint AS last, sum(dead)::bigint AS dead,
  (array_agg(weight_g ORDER BY date DESC))[1]::float8 AS weight_g, sum(feed_kg)::float8 AS feed_kg,
  (array_agg(biomass_kg ORDER BY date DESC))[1]::float8 AS biomass_kg
FROM daily d JOIN batch_lifecyclestage s ON s.id = d.stage GROUP BY s.name, s."order" ORDER BY s."order"
"""
_HARVEST = """
WITH last AS (SELECT max(event_date)::date AS day FROM harvest_harvestevent WHERE batch_id = %(id)s)
SELECT count(DISTINCT e.id) AS rings, coalesce(sum(l.unit_count), 0)::bigint AS fish,
  coalesce(sum(l.live_weight_kg), 0)::float8 AS kg
FROM harvest_harvestevent e JOIN harvest_harvestlot l ON l.event_id = e.id
WHERE e.batch_id = %(id)s AND e.event_date::date = (SELECT day FROM last)
"""
_MIXED = """
SELECT coalesce(sum(c.population_count), 0)::bigint AS fish
FROM batch_batchmixeventcomponent c JOIN batch_batchmixevent e ON e.id = c.mix_event_id
WHERE c.source_batch_id = %(id)s AND e.mixed_at::date = (
  SELECT max(event_date)::date FROM harvest_harvestevent WHERE batch_id = %(id)s)
"""
_COLUMNS = [
    "stage",
    "days",
    "containers",
    "fish at first",
    "fish at last",
    "dead",
    "weight at last (g)",
    "feed (kg)",
    "biomass at last (kg)",
]


def section(connection: Connection, tables: Collection[str]) -> Section:
    """Follow the batch that started first.

    Args:
        connection: The database, showing our rows only.
        tables: Tables that the database has. Without those of harvests, the harvest is not checked.
    """
    oldest = frame(connection, _OLDEST)
    if oldest.is_empty():
        return Section("One batch", _COLUMNS, [], [Check("one batch", False, "there is no batch")])
    batch = oldest.row(0, named=True)
    stages = frame(connection, _STAGES, {"id": batch["id"]})
    detail = f"{batch['batch_number']}, {batch['status'].lower()}, started {batch['start_date']}"
    checks = [Check("one batch", stages.height > 0, detail)]
    if batch["status"] == "COMPLETED" and HARVEST_LOTS.name in tables:
        harvest = frame(connection, _HARVEST, {"id": batch["id"]}).row(0, named=True)
        has_mixes = COMPONENTS.name in tables
        mixed = frame(connection, _MIXED, {"id": batch["id"]}).item() if has_mixes else 0
        alive = int(stages["last"][-1]) if stages.height else 0
        checks.append(
            Check(
                "harvest",
                harvest["fish"] + mixed == alive,
                f"{harvest['fish']:,} fish ({harvest['kg'] / 1000:,.0f} t) harvested from {harvest['rings']} rings, "
                + (f"{mixed:,} into a mixed batch, " if mixed else "")
                + f"{alive:,} alive on the last day",
            )
        )
    rounded = stages.with_columns(pl.col("weight_g", "feed_kg", "biomass_kg").round(1))
    return Section(f"One batch: {batch['batch_number']}", _COLUMNS, [list(row) for row in rounded.rows()], checks)


__all__ = ["section"]
