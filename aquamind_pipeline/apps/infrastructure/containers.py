"""What fish live and travel in: kinds of container, containers, and the carriers whose tanks are containers, too."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.apps.infrastructure.places import areas, stations
from aquamind_pipeline.schema.columns import (
    EMPTY,
    INSTALLED,
    TRUE,
    boolean,
    exactly_one,
    identity,
    index,
    numeric,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.sites import (
    CARRIERS,
    CONTAINER_TYPES,
    GEOGRAPHY,
    HALLS,
    RACKS,
    RINGS_PER_AREA,
    TANKS_PER_HALL,
    build_sites,
)


def tanks(farm: Profile) -> int:
    """Number of trays and tanks in halls."""
    return stations(farm) * HALLS.height * TANKS_PER_HALL


def rings(farm: Profile) -> int:
    """Number of sea rings."""
    return areas(farm) * RINGS_PER_AREA


def _carriers(farm: Profile, count: pl.Expr) -> int:
    """A count over the carriers of all geographies."""
    return int(CARRIERS.select(count.sum()).item()) * GEOGRAPHY.height * farm.sites


TYPES = TableDefinition(
    name="infrastructure_containertype",
    kind=Kind.REFERENCE,
    meaning="Kind of container.",
    how="AquaMind's kinds, and the tanks of carriers.",
    columns=(
        identity("id"),
        varchar("name", 100),
        varchar("category", 20),
        numeric("max_volume_m3", 10, 2),
        text("description", fill=EMPTY),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: build_sites(inputs.farm.sites).container_types,
    expected=ByFormula(lambda farm, plan: CONTAINER_TYPES.height),
    lineage={},
    rules=(),
)

CARRIER_TABLE = TableDefinition(
    name="infrastructure_transportcarrier",
    kind=Kind.REFERENCE,
    meaning="Truck or well-boat that moves fish; its tanks are containers.",
    how="Four trucks and two well-boats for each geography.",
    columns=(
        identity("id"),
        varchar("name", 100),
        varchar("carrier_type", 20, comment="Truck or vessel"),
        refers("geography_id", "infrastructure_geography.id"),
        numeric("capacity_m3", 10, 2, range_=(0, None), comment="Volume of all tanks [m³]"),
        varchar("license_plate", 32, comment="Licence plate of a truck"),
        varchar("imo_number", 20, comment="Number of a vessel at the International Maritime Organization"),
        varchar("captain_contact", 255, comment="Whom to call on board"),
        boolean("active", fill=TRUE),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: build_sites(inputs.farm.sites).carriers,
    expected=ByFormula(lambda farm, plan: _carriers(farm, pl.col("carriers"))),
    lineage={},
    rules=(),
)

CONTAINERS = TableDefinition(
    name="infrastructure_container",
    kind=Kind.REFERENCE,
    meaning="Tray, tank, sea ring, structural rack, or tank of a carrier.",
    how="Ten trays or tanks for each hall, twenty rings for each area, a few racks, and the tanks of carriers.",
    columns=(
        identity("id"),
        varchar("name", 100),
        refers("container_type_id", "infrastructure_containertype.id"),
        refers("hall_id", "infrastructure_hall.id", nullable=True),
        refers("area_id", "infrastructure_area.id", nullable=True),
        refers(
            "carrier_id",
            "infrastructure_transportcarrier.id",
            nullable=True,
            comment="Carrier; null on land and at sea",
        ),
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
    ),
    natural_key=("name", "hall_id", "area_id", "carrier_id"),
    reads=(),
    generate=lambda inputs: build_sites(inputs.farm.sites).containers,
    expected=ByFormula(
        lambda farm, plan: tanks(farm) + rings(farm) + RACKS + _carriers(farm, pl.col("carriers") * pl.col("tanks"))
    ),
    lineage={},
    rules=(),
)

__all__ = ["CARRIER_TABLE", "CONTAINERS", "TYPES", "rings", "tanks"]
