"""Geographies, stations, halls, sea areas, containers, sensors and feed stores (reference a: every count and name).

Small tables are made with cross joins; ids are row numbers in the order of the names, so they never move.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import RING_DENSITY_KG_M3, TANK_DENSITY_KG_M3

GEOGRAPHY = pl.DataFrame(
    {
        "geography_id": [1, 2],
        "geography": ["Faroe Islands", "Scotland"],
        "prefix": ["FI", "S"],
        "stations": [12, 10],
        "areas": [22, 20],
        "station_latitude": [62.0, 57.5],
        "station_longitude": [-7.0, -4.5],
        "area_latitude": [61.5, 57.0],
        "area_longitude": [-6.5, -5.0],
    }
)

CONTAINER_TYPES = pl.DataFrame(
    {
        "id": [1, 2, 3, 4, 5, 6, 7, 8, 9],
        "name": [
            "Incubation Trays",
            "Small Tanks - Fry",
            "Medium Tanks - Parr",
            "Large Tanks - Smolt",
            "Pre-Transfer Tanks - Post-Smolt",
            "Sea Rings",
            "Incubation Rack",
            "Feed Silo",
            "Feed Barge",
        ],
        "category": ["TRAY", "TANK", "TANK", "TANK", "TANK", "PEN", "OTHER", "SILO", "BARGE"],
        "max_volume_m3": [10, 100, 500, 1_000, 2_000, 50_000, 20, 5_000, 25_000],
    }
)
RING_TYPE_ID, RACK_TYPE_ID = 6, 7


def geography(sites: int) -> pl.DataFrame:
    """GEOGRAPHY with `sites` times as many stations and areas."""
    return GEOGRAPHY.with_columns(pl.col("stations", "areas") * sites)


HALLS = pl.DataFrame(
    {
        "letter": ["A", "B", "C", "D", "E"],
        "container_type_id": [1, 2, 3, 4, 5],
        "volume_m3": [10.0, 100.0, 500.0, 1_000.0, 2_000.0],
        "silo_kg": [5_000.0, 10_000.0, 15_000.0, 20_000.0, 30_000.0],
    }
).with_columns(density_kg_m3=pl.col("letter").replace_strict(TANK_DENSITY_KG_M3))

TANKS_PER_HALL, RINGS_PER_AREA, BARGES_PER_AREA = 10, 20, 3
RING_VOLUME_M3 = 50_000.0
BARGE_CAPACITY_KG = 200_000.0
"""AquaMind's barges hold 50 t, less than three of them feed in a day at the end of a batch (reference b.1); feed barges
of the trade carry 200 to 1,000 t."""

FRESHWATER_SENSORS = ("Temperature", "Dissolved Oxygen", "pH", "CO2", "NO2", "NO3", "NH4")
SEA_SENSORS = ("Temperature", "Dissolved Oxygen", "pH", "Salinity")

AREA_GROUPS = (
    pl.DataFrame(
        {
            "name": [
                "Faroe Islands",
                "North",
                "South",
                "West",
                "Scotland",
                "LOCH FYNE",
                "LEWIS",
                "HARRIS",
                "BENBECULA",
                "SKYE and MAINLAND",
                "STRIVEN,ARRAN,MULL,GIGHA",
                "LEWIS North",
                "LEWIS South",
            ],
            "geography_id": [1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2],
            "parent": [None, *["Faroe Islands"] * 3, None, *["Scotland"] * 6, "LEWIS", "LEWIS"],
            "areas": [0, 7, 4, 11, 0, 6, 0, 3, 2, 2, 4, 2, 1],
        }
    )
    .with_row_index("id", offset=1)
    .cast({"id": pl.Int64, "geography_id": pl.Int64})
)
"""Area groups and how many areas each holds (reference a.2)."""


def _numbered(count: pl.Expr, name: str) -> pl.Expr:
    return pl.int_ranges(1, count + 1).alias(name)


def _each(frame: pl.DataFrame, name: str, values: Sequence[int | str]) -> pl.DataFrame:
    """Every row once for each value, in order."""
    return frame.join(pl.DataFrame({name: values}), how="cross", maintain_order="left_right")


def _nn(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).str.zfill(2)


def infrastructure(sites: int = 1) -> dict[str, pl.DataFrame]:
    """All infrastructure tables in AquaMind's names and columns; the same for every seed.

    `sites`: how many times as many stations and sea areas as AquaMind's farm has (`Profile.sites`).
    """
    places = geography(sites)
    stations = _stations(places)
    halls = _halls(stations)
    areas = _areas(places, sites)
    tanks = _tanks(halls)
    holding = pl.concat([tanks, _rings(areas, first_id=tanks.height + 1)], how="diagonal")
    racks = _racks(halls, first_id=holding.height + 1)
    containers = _under_racks(pl.concat([holding, racks], how="diagonal"), racks)
    return {
        "infrastructure_geography": GEOGRAPHY.select(id="geography_id", name="geography"),
        "infrastructure_freshwaterstation": stations.select("id", "name", "geography_id", "latitude", "longitude"),
        "infrastructure_hall": halls.select("id", "name", "freshwater_station_id"),
        "infrastructure_areagroup": AREA_GROUPS.select(
            "id",
            "name",
            "geography_id",
            parent_id=pl.col("parent").replace_strict(AREA_GROUPS["name"], AREA_GROUPS["id"]),
        ),
        "infrastructure_area": areas.select(
            "id", "name", "geography_id", "area_group_id", "latitude", "longitude", "max_biomass"
        ),
        "infrastructure_containertype": CONTAINER_TYPES,
        "infrastructure_container": containers.select(
            "id",
            "name",
            "container_type_id",
            "hall_id",
            "area_id",
            "parent_container_id",
            "hierarchy_role",
            "volume_m3",
            "max_biomass_kg",
        ),
        "infrastructure_sensor": _sensors(holding),
        "infrastructure_feedcontainer": _feed_containers(halls, areas),
    }


def _position(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Coordinates spread by up to 0.4 degrees around AquaMind's one point per geography, so that maps show sites."""
    key = draws.stream(0, kind, "position")
    ids = frame["id"].to_numpy()
    return frame.with_columns(
        latitude=pl.col(f"{kind}_latitude") + pl.Series(0.8 * (draws.uniform(key, ids, 0) - 0.5)),
        longitude=pl.col(f"{kind}_longitude") + pl.Series(0.8 * (draws.uniform(key, ids, 1) - 0.5)),
    ).with_columns(pl.col("latitude", "longitude").round(6))


def _stations(places: pl.DataFrame) -> pl.DataFrame:
    stations = (
        places.with_columns(_numbered(pl.col("stations"), "n"))
        .explode("n")
        .with_columns(name=pl.col("prefix") + "-FW-" + _nn("n"))
        .with_row_index("id", offset=1)
        .cast({"id": pl.Int64})
    )
    return _position(stations, "station")


def _halls(stations: pl.DataFrame) -> pl.DataFrame:
    return (
        stations.select("geography_id", "geography", "n", freshwater_station_id="id", station="name")
        .join(HALLS, how="cross", maintain_order="left_right")
        .with_columns(name=pl.col("station") + "-Hall-" + pl.col("letter"))
        .with_row_index("id", offset=1)
        .cast({"id": pl.Int64})
    )


def _areas(places: pl.DataFrame, sites: int) -> pl.DataFrame:
    groups = AREA_GROUPS.filter(pl.col("areas") > 0).with_columns(pl.col("areas") * sites)
    # Round-robin through the groups of a geography, so that neighbouring numbers lie in different groups.
    group_of_area = (
        groups.with_columns(_numbered(pl.col("areas"), "turn"))
        .explode("turn")
        .sort("geography_id", "turn", "id")
        .with_columns(n=pl.int_range(1, pl.len() + 1).over("geography_id"))
        .select("geography_id", "n", area_group_id="id")
    )
    areas = (
        places.rename({"areas": "count"})
        .with_columns(_numbered(pl.col("count"), "n"))
        .explode("n")
        .join(group_of_area, on=["geography_id", "n"], how="left", maintain_order="left")
        .with_columns(
            name=pl.col("prefix") + "-SEA-" + _nn("n"),
            max_biomass=pl.lit(RINGS_PER_AREA * RING_VOLUME_M3 * RING_DENSITY_KG_M3),
        )
        .with_row_index("id", offset=1)
        .cast({"id": pl.Int64})
    )
    return _position(areas, "area")


def _tanks(halls: pl.DataFrame) -> pl.DataFrame:
    return (
        _each(halls, "tank", range(1, TANKS_PER_HALL + 1))
        .select(
            "container_type_id",
            "volume_m3",
            "letter",
            "geography_id",
            "freshwater_station_id",
            "station",
            "tank",
            hall_id="id",
            name=pl.col("station") + "-" + pl.col("letter") + "-C" + _nn("tank"),
            max_biomass_kg=pl.col("volume_m3") * pl.col("density_kg_m3"),
            hierarchy_role=pl.lit("HOLDING"),
        )
        .with_row_index("id", offset=1)
        .cast({"id": pl.Int64})
    )


def _rings(areas: pl.DataFrame, first_id: int) -> pl.DataFrame:
    return (
        _each(areas, "ring", range(1, RINGS_PER_AREA + 1))
        .select(
            "geography_id",
            area_id="id",
            name=pl.col("name") + "-Ring-" + _nn("ring"),
            container_type_id=pl.lit(RING_TYPE_ID, pl.Int64),
            volume_m3=pl.lit(RING_VOLUME_M3),
            max_biomass_kg=pl.lit(RING_VOLUME_M3 * RING_DENSITY_KG_M3),
            hierarchy_role=pl.lit("HOLDING"),
        )
        .with_row_index("id", offset=first_id)
        .cast({"id": pl.Int64})
    )


def _racks(halls: pl.DataFrame, first_id: int) -> pl.DataFrame:
    """Structural racks: two in Hall A of the first 2 Faroese and 3 Scottish stations, five trays in each."""
    return (
        _each(halls.filter((pl.col("letter") == "A") & (pl.col("n") <= pl.col("geography_id") + 1)), "rack", (1, 2))
        .select(
            "geography_id",
            "rack",
            hall_id="id",
            name=pl.col("station") + "-A-R" + _nn("rack"),
            container_type_id=pl.lit(RACK_TYPE_ID, pl.Int64),
            volume_m3=pl.lit(20.0),
            max_biomass_kg=pl.lit(0.0),
            hierarchy_role=pl.lit("STRUCTURAL"),
        )
        .with_row_index("id", offset=first_id)
        .cast({"id": pl.Int64})
    )


def _under_racks(containers: pl.DataFrame, racks: pl.DataFrame) -> pl.DataFrame:
    parents = racks.select("hall_id", "rack", parent_container_id="id")
    return (
        containers.drop("rack")
        .with_columns(rack=(pl.col("tank") - 1) // 5 + 1)
        .join(parents, on=["hall_id", "rack"], how="left", maintain_order="left")
    )


def _sensors(holding: pl.DataFrame) -> pl.DataFrame:
    containers = holding.select(container_id="id", container="name", at_sea=pl.col("area_id").is_not_null())
    kinds = ((containers.filter(~pl.col("at_sea")), FRESHWATER_SENSORS), (containers.filter("at_sea"), SEA_SENSORS))
    return (
        pl.concat([_each(frame, "sensor_type", sensors) for frame, sensors in kinds])
        .select(
            "sensor_type",
            "container_id",
            name=pl.col("container") + "-" + pl.col("sensor_type").str.replace_all(" ", ""),
            serial_number=pl.format(
                "SN-{}-{}", pl.col("container_id"), pl.col("sensor_type").str.slice(0, 3).str.to_uppercase()
            ),
        )
        .with_row_index("id", offset=1)
        .cast({"id": pl.Int64})
    )


def _feed_containers(halls: pl.DataFrame, areas: pl.DataFrame) -> pl.DataFrame:
    silos = halls.select(
        name=pl.col("station") + "-" + pl.col("letter") + "-Silo",
        container_type=pl.lit("SILO"),
        hall_id="id",
        capacity_kg="silo_kg",
    )
    barges = _each(areas, "barge", range(1, BARGES_PER_AREA + 1)).select(
        name=pl.format("{}-Barge-{}", pl.col("name"), pl.col("barge")),
        container_type=pl.lit("BARGE"),
        area_id="id",
        capacity_kg=pl.lit(BARGE_CAPACITY_KG),
    )
    return pl.concat([silos, barges], how="diagonal").with_row_index("id", offset=1).cast({"id": pl.Int64})


__all__ = [
    "AREA_GROUPS",
    "BARGES_PER_AREA",
    "CONTAINER_TYPES",
    "FRESHWATER_SENSORS",
    "GEOGRAPHY",
    "HALLS",
    "SEA_SENSORS",
    "geography",
    "infrastructure",
]
