"""AquaMind's infrastructure app: where fish and feed are kept."""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from aquamind_pipeline.tables.columns import (
    EMPTY,
    INSTALLED,
    INSTALLED_DAY,
    NULL,
    TRUE,
    bigint,
    boolean,
    date,
    exactly_one,
    identity,
    index,
    metadata,
    numeric,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)

infrastructure_area = sa.Table(
    "infrastructure_area",
    metadata,
    identity("id"),
    varchar("name", 100),
    refers("geography_id", "infrastructure_geography.id"),
    refers("area_group_id", "infrastructure_areagroup.id", nullable=True),
    numeric("latitude", 9, 6, range_=(-90, 90)),
    numeric("longitude", 9, 6, range_=(-180, 180)),
    numeric("max_biomass", 12, 2),
    boolean("active", fill=TRUE),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    info={"layer": "infrastructure", "natural_key": ("name", "geography_id")},
    comment="Site at sea.",
)

infrastructure_areagroup = sa.Table(
    "infrastructure_areagroup",
    metadata,
    identity("id"),
    varchar("name", 100),
    varchar("code", 32, fill=EMPTY),
    refers("geography_id", "infrastructure_geography.id"),
    refers("parent_id", "infrastructure_areagroup.id", nullable=True),
    boolean("active", fill=TRUE),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    unique("geography_id", "parent_id", "name"),
    info={"layer": "infrastructure", "natural_key": ("name", "geography_id")},
    comment="Group of sea areas, nested.",
)

infrastructure_container = sa.Table(
    "infrastructure_container",
    metadata,
    identity("id"),
    varchar("name", 100),
    refers("container_type_id", "infrastructure_containertype.id"),
    refers("hall_id", "infrastructure_hall.id", nullable=True),
    refers("area_id", "infrastructure_area.id", nullable=True),
    bigint("carrier_id", nullable=True, fill=NULL),
    refers("parent_container_id", "infrastructure_container.id", nullable=True),
    varchar("hierarchy_role", 20),
    numeric("volume_m3", 10, 2, range_=(0, None)),
    numeric("max_biomass_kg", 10, 2, range_=(0, None)),
    boolean("feed_recommendations_enabled", fill=TRUE),
    boolean("active", fill=TRUE),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    exactly_one("hall_id", "area_id", "carrier_id"),
    index("hall_id"),
    index("area_id"),
    info={"layer": "infrastructure", "natural_key": ("name", "hall_id", "area_id")},
    comment="Tray, tank, sea ring or structural rack.",
)

infrastructure_containertype = sa.Table(
    "infrastructure_containertype",
    metadata,
    identity("id"),
    varchar("name", 100),
    varchar("category", 20),
    numeric("max_volume_m3", 10, 2),
    text("description", fill=EMPTY),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    info={"layer": "infrastructure", "natural_key": ("name",)},
    comment="Kind of container.",
)

infrastructure_feedcontainer = sa.Table(
    "infrastructure_feedcontainer",
    metadata,
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
    info={"layer": "infrastructure", "natural_key": ("name", "hall_id", "area_id")},
    comment="Silo of a hall or barge of an area.",
)

infrastructure_freshwaterstation = sa.Table(
    "infrastructure_freshwaterstation",
    metadata,
    identity("id"),
    varchar("name", 100),
    varchar("station_type", 20, fill=pl.lit("FRESHWATER")),
    refers("geography_id", "infrastructure_geography.id"),
    numeric("latitude", 9, 6, range_=(-90, 90)),
    numeric("longitude", 9, 6, range_=(-180, 180)),
    text("description", fill=EMPTY),
    boolean("active", fill=TRUE),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    info={"layer": "infrastructure", "natural_key": ("name", "geography_id")},
    comment="Hatchery on land.",
)

infrastructure_geography = sa.Table(
    "infrastructure_geography",
    metadata,
    identity("id"),
    varchar("name", 100),
    text("description", fill=EMPTY),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    unique("name"),
    info={"layer": "infrastructure", "natural_key": ("name",)},
    comment="Region of the company: Faroe Islands or Scotland.",
)

infrastructure_hall = sa.Table(
    "infrastructure_hall",
    metadata,
    identity("id"),
    varchar("name", 100),
    refers("freshwater_station_id", "infrastructure_freshwaterstation.id"),
    text("description", fill=EMPTY),
    numeric("area_sqm", 10, 2, nullable=True, fill=pl.lit(1000)),
    boolean("active", fill=TRUE),
    timestamp("created_at", fill=INSTALLED),
    timestamp("updated_at", fill=INSTALLED),
    info={"layer": "infrastructure", "natural_key": ("name", "freshwater_station_id")},
    comment="Hall of a station; its letter says which stage it hosts.",
)

infrastructure_sensor = sa.Table(
    "infrastructure_sensor",
    metadata,
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
    info={"layer": "infrastructure", "natural_key": ("name", "container_id")},
    comment="Sensor in a container.",
)
