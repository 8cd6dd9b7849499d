"""Where the company farms: geographies, freshwater stations and their halls, sea areas and their groups."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.schema.columns import (
    EMPTY,
    INSTALLED,
    TRUE,
    boolean,
    identity,
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
from aquamind_pipeline.simulation.sites import AREA_GROUPS, GEOGRAPHY, HALLS, build_sites, geography


def stations(farm: Profile) -> int:
    """Number of freshwater stations."""
    return int(geography(farm.sites)["stations"].sum())


def areas(farm: Profile) -> int:
    """Number of sea areas."""
    return int(geography(farm.sites)["areas"].sum())


GEOGRAPHIES = TableDefinition(
    name="infrastructure_geography",
    kind=Kind.REFERENCE,
    meaning="Region of the company: Faroe Islands or Scotland.",
    how="The two regions of AquaMind's farm.",
    columns=(
        identity("id"),
        varchar("name", 100),
        text("description", fill=EMPTY),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=lambda inputs: build_sites(inputs.farm.sites).geographies,
    expected=ByFormula(lambda farm, plan: GEOGRAPHY.height),
    lineage={},
    rules=(),
)

STATIONS = TableDefinition(
    name="infrastructure_freshwaterstation",
    kind=Kind.REFERENCE,
    meaning="Hatchery on land.",
    how="Numbered by geography, spread around one point of each.",
    columns=(
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
    ),
    natural_key=("name", "geography_id"),
    reads=(),
    generate=lambda inputs: build_sites(inputs.farm.sites).stations,
    expected=ByFormula(lambda farm, plan: stations(farm)),
    lineage={},
    rules=(),
)

HALL_TABLE = TableDefinition(
    name="infrastructure_hall",
    kind=Kind.REFERENCE,
    meaning="Hall of a station; its letter says which stage it hosts.",
    how="Five halls for each station, A for eggs to E for post-smolts.",
    columns=(
        identity("id"),
        varchar("name", 100),
        refers("freshwater_station_id", "infrastructure_freshwaterstation.id"),
        text("description", fill=EMPTY),
        numeric("area_sqm", 10, 2, nullable=True, fill=pl.lit(1000)),
        boolean("active", fill=TRUE),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
    ),
    natural_key=("name", "freshwater_station_id"),
    reads=(),
    generate=lambda inputs: build_sites(inputs.farm.sites).halls,
    expected=ByFormula(lambda farm, plan: stations(farm) * HALLS.height),
    lineage={},
    rules=(),
)

_CODE = pl.col("name").str.to_uppercase().str.replace_all(r"[^A-Z]+", "-").str.slice(0, 32)
"""Short name of a group."""

GROUPS = TableDefinition(
    name="infrastructure_areagroup",
    kind=Kind.REFERENCE,
    meaning="Group of sea areas, nested.",
    how="AquaMind's groups.",
    columns=(
        identity("id"),
        varchar("name", 100),
        varchar("code", 32, fill=_CODE),
        refers("geography_id", "infrastructure_geography.id"),
        refers("parent_id", "infrastructure_areagroup.id", nullable=True),
        boolean("active", fill=TRUE),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        unique("geography_id", "parent_id", "name"),
    ),
    natural_key=("name", "geography_id"),
    reads=(),
    generate=lambda inputs: build_sites(inputs.farm.sites).area_groups,
    expected=ByFormula(lambda farm, plan: AREA_GROUPS.height),
    lineage={},
    rules=(),
)

AREAS = TableDefinition(
    name="infrastructure_area",
    kind=Kind.REFERENCE,
    meaning="Site at sea.",
    how="Numbered by geography, spread around one point of each, in turn through the geography's groups.",
    columns=(
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
    ),
    natural_key=("name", "geography_id"),
    reads=(),
    generate=lambda inputs: build_sites(inputs.farm.sites).areas,
    expected=ByFormula(lambda farm, plan: areas(farm)),
    lineage={},
    rules=(),
)

__all__ = ["AREAS", "GEOGRAPHIES", "GROUPS", "HALL_TABLE", "STATIONS", "areas", "stations"]
