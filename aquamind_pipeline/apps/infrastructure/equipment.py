"""What stands in and beside containers: sensors and feed stores."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.apps.infrastructure.containers import rings, tanks
from aquamind_pipeline.apps.infrastructure.places import areas, stations
from aquamind_pipeline.schema.columns import (
    INSTALLED,
    INSTALLED_DAY,
    NULL,
    TRUE,
    boolean,
    date,
    exactly_one,
    identity,
    index,
    numeric,
    refers,
    timestamp,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.sites import BARGES_PER_AREA, FRESHWATER_SENSORS, HALLS, SEA_SENSORS, build_sites

SENSORS = TableDefinition(
    name="infrastructure_sensor",
    kind=Kind.REFERENCE,
    meaning="Sensor in a container.",
    how="Seven sensors in each tray and tank, four in each ring.",
    columns=(
        identity("id"),
        varchar("name", 100),
        varchar("sensor_type", 20),
        refers("container_id", "infrastructure_container.id"),
        varchar("serial_number", 100),
        varchar("manufacturer", 100, fill=pl.lit("AquaSense")),
        date("installation_date", nullable=True, fill=INSTALLED_DAY),
        date("last_calibration_date", nullable=True, fill=NULL),
        boolean("active", fill=TRUE),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        index("container_id"),
    ),
    natural_key=("name", "container_id"),
    reads=(),
    generate=lambda inputs: build_sites(inputs.farm.sites).sensors,
    expected=ByFormula(lambda farm, plan: tanks(farm) * len(FRESHWATER_SENSORS) + rings(farm) * len(SEA_SENSORS)),
    lineage={},
    rules=(),
)

FEED_STORES = TableDefinition(
    name="infrastructure_feedcontainer",
    kind=Kind.REFERENCE,
    meaning="Silo of a hall or barge of an area.",
    how="A silo for each hall, three barges for each area.",
    columns=(
        identity("id"),
        varchar("name", 100),
        varchar("container_type", 20),
        refers("hall_id", "infrastructure_hall.id", nullable=True),
        refers("area_id", "infrastructure_area.id", nullable=True),
        numeric("capacity_kg", 10, 2, range_=(0, None)),
        boolean("active", fill=TRUE),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        exactly_one("hall_id", "area_id"),
    ),
    natural_key=("name", "hall_id", "area_id"),
    reads=(),
    generate=lambda inputs: build_sites(inputs.farm.sites).feed_containers,
    expected=ByFormula(lambda farm, plan: stations(farm) * HALLS.height + areas(farm) * BARGES_PER_AREA),
    lineage={},
    rules=(),
)

__all__ = ["FEED_STORES", "SENSORS"]
