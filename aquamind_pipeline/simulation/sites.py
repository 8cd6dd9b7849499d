"""Geographies, stations, halls, sea areas, containers, carriers, sensors and feed stores (farm-figures a).

Tables are made with cross joins. An id is a row number in this order, so ids are the same for every seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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
        "id": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
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
            "Truck Tanks",
            "Well-Boat Tanks",
        ],
        "category": ["TRAY", "TANK", "TANK", "TANK", "TANK", "PEN", "OTHER", "SILO", "BARGE", "TANK", "TANK"],
        "max_volume_m3": [10, 100, 500, 1_000, 2_000, 50_000, 20, 5_000, 25_000, 40, 250],
    }
)
RING_TYPE_ID, RACK_TYPE_ID = 6, 7

CARRIERS = pl.DataFrame(
    {
        "carrier_type": ["TRUCK", "VESSEL"],
        "label": ["Truck", "Well-Boat"],
        "carriers": [4, 2],
        "capacity_m3": [120.0, 2_500.0],
        "tanks": [3, 10],
        "container_type_id": [10, 11],
    }
)
"""Carriers of each geography and tanks of each carrier. Sizes are those of AquaMind's truck and vessel."""
CARRIER_DENSITY_KG_M3 = 70.0
"""Highest density of fish in a carrier's tank, as in AquaMind's demo fleet."""


def geography(sites: int) -> pl.DataFrame:
    """GEOGRAPHY with the numbers of stations and areas multiplied by `sites`."""
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
RACKS = 10
RING_VOLUME_M3 = 50_000.0
BARGE_CAPACITY_KG = 200_000.0
"""AquaMind's barges hold 50 t. Three of them hold about the feed of one day for a batch of full-grown fish
(farm-figures b.1). Commercial feed barges hold 200 to 1,000 t."""

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
"""Area groups and how many areas each holds (farm-figures a.2)."""


def _numbered(count: pl.Expr, name: str) -> pl.Expr:
    """The numbers 1 to `count`, as a list column."""
    return pl.int_ranges(1, count + 1).alias(name)


def _each(frame: pl.DataFrame, name: str, values: Sequence[int | str]) -> pl.DataFrame:
    """Repeat every row once for each value, in order, with the value in the column `name`."""
    return frame.join(pl.DataFrame({name: values}), how="cross", maintain_order="left_right")


def _two_digits(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).str.zfill(2)


def _with_id(frame: pl.DataFrame, first: int = 1) -> pl.DataFrame:
    """Number the rows from `first` on, in the column `id`."""
    return frame.with_row_index("id", offset=first).cast({"id": pl.Int64})


@dataclass(frozen=True)
class Sites:
    """The farm's infrastructure, in AquaMind's columns. It is the same for every seed.

    Attributes:
        geographies: Geographies.
        stations: Freshwater stations.
        halls: Halls of the stations.
        area_groups: Groups of sea areas.
        areas: Sea areas.
        container_types: Kinds of containers.
        containers: Tanks, rings, racks, and tanks of carriers.
        holding: The containers that fish live in: tanks and rings.
        carriers: Trucks and well-boats.
        sensors: Sensors in tanks and rings.
        feed_containers: Silos of halls and barges of areas.
    """

    geographies: pl.DataFrame
    stations: pl.DataFrame
    halls: pl.DataFrame
    area_groups: pl.DataFrame
    areas: pl.DataFrame
    container_types: pl.DataFrame
    containers: pl.DataFrame
    holding: pl.DataFrame
    carriers: pl.DataFrame
    sensors: pl.DataFrame
    feed_containers: pl.DataFrame


@lru_cache(maxsize=2)
def build_sites(sites: int = 1) -> Sites:
    """Make the infrastructure of a farm.

    Args:
        sites: `Profile.sites`.
    """
    places = geography(sites)
    stations = _stations(places)
    halls = _halls(stations)
    areas = _areas(places, sites)
    tanks = _tanks(halls)
    holding = pl.concat([tanks, _rings(areas, first_id=tanks.height + 1)], how="diagonal")
    racks = _racks(halls, first_id=holding.height + 1)
    carriers = _carriers(places, sites)
    carried = _carrier_tanks(carriers, first_id=holding.height + racks.height + 1)
    containers = _under_racks(pl.concat([holding, racks, carried], how="diagonal"), racks).select(
        "id",
        "name",
        "container_type_id",
        "hall_id",
        "area_id",
        "carrier_id",
        "parent_container_id",
        "hierarchy_role",
        "volume_m3",
        "max_biomass_kg",
    )
    return Sites(
        geographies=GEOGRAPHY.select(id="geography_id", name="geography"),
        stations=stations.select("id", "name", "geography_id", "latitude", "longitude"),
        halls=halls.select("id", "name", "freshwater_station_id"),
        area_groups=AREA_GROUPS.select(
            "id",
            "name",
            "geography_id",
            parent_id=pl.col("parent").replace_strict(AREA_GROUPS["name"], AREA_GROUPS["id"]),
        ),
        areas=areas.select("id", "name", "geography_id", "area_group_id", "latitude", "longitude", "max_biomass"),
        container_types=CONTAINER_TYPES,
        containers=containers,
        holding=containers.filter(pl.col("id") <= holding.height),
        carriers=carriers.select(
            "id",
            "name",
            "carrier_type",
            "geography_id",
            "capacity_m3",
            "license_plate",
            "imo_number",
            "captain_contact",
        ),
        sensors=_sensors(holding),
        feed_containers=_feed_containers(halls, areas),
    )


def _position(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Add latitude and longitude.

    AquaMind has one point per geography. Here each site lies up to 0.4 degrees from that point, so that a map shows the
    sites apart.
    """
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
        .with_columns(name=pl.col("prefix") + "-FW-" + _two_digits("n"))
        .pipe(_with_id)
    )
    return _position(stations, "station")


def _halls(stations: pl.DataFrame) -> pl.DataFrame:
    return (
        stations.select("geography_id", "geography", "n", freshwater_station_id="id", station="name")
        .join(HALLS, how="cross", maintain_order="left_right")
        .with_columns(name=pl.col("station") + "-Hall-" + pl.col("letter"))
        .pipe(_with_id)
    )


def _areas(places: pl.DataFrame, sites: int) -> pl.DataFrame:
    groups = AREA_GROUPS.filter(pl.col("areas") > 0).with_columns(pl.col("areas") * sites)
    # The groups of a geography take turns, so that areas with neighbouring numbers lie in different groups.
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
            name=pl.col("prefix") + "-SEA-" + _two_digits("n"),
            max_biomass=pl.lit(RINGS_PER_AREA * RING_VOLUME_M3 * RING_DENSITY_KG_M3),
        )
        .pipe(_with_id)
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
            name=pl.col("station") + "-" + pl.col("letter") + "-C" + _two_digits("tank"),
            max_biomass_kg=pl.col("volume_m3") * pl.col("density_kg_m3"),
            hierarchy_role=pl.lit("HOLDING"),
        )
        .pipe(_with_id)
    )


def _rings(areas: pl.DataFrame, first_id: int) -> pl.DataFrame:
    return (
        _each(areas, "ring", range(1, RINGS_PER_AREA + 1))
        .select(
            "geography_id",
            area_id="id",
            name=pl.col("name") + "-Ring-" + _two_digits("ring"),
            container_type_id=pl.lit(RING_TYPE_ID, pl.Int64),
            volume_m3=pl.lit(RING_VOLUME_M3),
            max_biomass_kg=pl.lit(RING_VOLUME_M3 * RING_DENSITY_KG_M3),
            hierarchy_role=pl.lit("HOLDING"),
        )
        .pipe(_with_id, first_id)
    )


def _racks(halls: pl.DataFrame, first_id: int) -> pl.DataFrame:
    """Racks for five trays: two in Hall A of each of the first 2 Faroese and first 3 Scottish stations."""
    return (
        _each(halls.filter((pl.col("letter") == "A") & (pl.col("n") <= pl.col("geography_id") + 1)), "rack", (1, 2))
        .select(
            "geography_id",
            "rack",
            hall_id="id",
            name=pl.col("station") + "-A-R" + _two_digits("rack"),
            container_type_id=pl.lit(RACK_TYPE_ID, pl.Int64),
            volume_m3=pl.lit(20.0),
            max_biomass_kg=pl.lit(0.0),
            hierarchy_role=pl.lit("STRUCTURAL"),
        )
        .pipe(_with_id, first_id)
    )


def _carriers(places: pl.DataFrame, sites: int) -> pl.DataFrame:
    """Trucks and well-boats of each geography, with invented plates, IMO numbers and contacts."""
    truck = pl.col("carrier_type") == "TRUCK"
    return (
        places.select("geography_id", "prefix")
        .join(CARRIERS, how="cross", maintain_order="left_right")
        .with_columns(_numbered(pl.col("carriers") * sites, "n"))
        .explode("n")
        .with_columns(name=pl.format("{}-{}-{}", "prefix", "label", _two_digits("n")))
        .pipe(_with_id)
        .with_columns(
            license_plate=pl.when(truck).then(pl.format("{}-T{}", "prefix", _two_digits("n"))).otherwise(pl.lit("")),
            imo_number=pl.when(truck)
            .then(pl.lit(""))
            .otherwise(pl.format("97{}", pl.col("id").cast(pl.String).str.zfill(5))),
            captain_contact=pl.format("Driver or captain of {}", "name"),
        )
    )


def _carrier_tanks(carriers: pl.DataFrame, first_id: int) -> pl.DataFrame:
    """Tanks of each carrier. The tanks of a carrier have equal volumes."""
    volume_m3 = pl.col("capacity_m3") / pl.col("tanks")
    return (
        carriers.with_columns(_numbered(pl.col("tanks"), "number"))
        .explode("number")
        .select(
            "geography_id",
            "container_type_id",
            carrier_id="id",
            name=pl.format("{}-Tank-{}", "name", _two_digits("number")),
            volume_m3=volume_m3,
            max_biomass_kg=volume_m3 * CARRIER_DENSITY_KG_M3,
            hierarchy_role=pl.lit("HOLDING"),
        )
        .pipe(_with_id, first_id)
    )


def _under_racks(containers: pl.DataFrame, racks: pl.DataFrame) -> pl.DataFrame:
    """Add parent_container_id: the rack of each tray that has one."""
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
        .pipe(_with_id)
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
    return pl.concat([silos, barges], how="diagonal").pipe(_with_id)


__all__ = [
    "AREA_GROUPS",
    "BARGES_PER_AREA",
    "CARRIERS",
    "CONTAINER_TYPES",
    "FRESHWATER_SENSORS",
    "GEOGRAPHY",
    "HALLS",
    "RACKS",
    "SEA_SENSORS",
    "Sites",
    "build_sites",
    "geography",
]
