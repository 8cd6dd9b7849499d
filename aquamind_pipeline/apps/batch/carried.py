"""Fish on the way to the sea: the tanks of trucks and well-boats through which the latest transfers went.

A tank of a carrier holds far fewer fish than one on land, so it makes many trips. Each load is an assignment that
begins and ends on the day of the transfer and has no daily states.
"""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.apps.batch.workflows import planned_workflows
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.simulation import sites
from aquamind_pipeline.simulation.biology import FRESHWATER
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

FIRST_LOAD_ID = 1_000_000_000
"""Ids of these assignments lie above the ones that the plan counts."""
_LOADS = 10_000
"""Ids of loads that a tank on land has for each kind of carrier."""
CARRIERS = ("VESSEL", "TRUCK")
_PLANNED_G, _PLANNED_FILL = 450.0, 0.5
"""Weight of a fish [g] and share of the highest biomass of a carrier's tank by which loads are planned. The fish may be
more or heavier than planned, so a full tank is never planned."""


def carriers_of(by_truck: pl.Expr) -> pl.Expr:
    """Carriers that the fish of a tank go through: a well-boat, and a truck before it where no boat reaches."""
    return pl.when(by_truck).then(2).otherwise(1)


def _loads(farm: Profile, plan: Plan) -> pl.DataFrame:
    """Loads of each tank on land and carrier, of the transfers that are done.

    Returns:
        workflow_id, batch_id, stage, date, by_truck, carrier (index into CARRIERS), loads (of each tank on land).
    """
    kinds = sites.CARRIERS.select(
        carrier=pl.col("carrier_type").replace_strict(CARRIERS, range(len(CARRIERS)), return_dtype=pl.Int64),
        load_kg=pl.col("capacity_m3") / pl.col("tanks") * sites.CARRIER_DENSITY_KG_M3 * _PLANNED_FILL,
    ).sort("carrier")
    fish = pl.DataFrame(
        {
            "batch_id": plan.batches["batch_id"],
            "planned_kg": [
                farm.fish_per_ring(eggs) * farm.rings_per_batch / farm.tanks_per_stage * _PLANNED_G / 1000
                for eggs in plan.batches["eggs"]
            ],
        }
    )
    done = planned_workflows(farm, plan).filter(pl.col("is_dynamic") & (pl.col("date") <= farm.as_of))
    return (
        done.select("workflow_id", "batch_id", "stage", "date", "by_truck")
        .join(fish, on="batch_id", maintain_order="left")
        .join(kinds, how="cross", maintain_order="left_right")
        .filter(pl.col("carrier") < carriers_of(pl.col("by_truck")))
        .with_columns(loads=(pl.col("planned_kg") / pl.col("load_kg")).ceil().cast(pl.Int64))
        .drop("planned_kg", "load_kg")
    )


def carried_assignments(farm: Profile, plan: Plan) -> int:
    """Number of assignments to tanks of carriers."""
    return int(_loads(farm, plan)["loads"].sum()) * farm.tanks_per_stage


def most_actions(farm: Profile) -> int:
    """Most actions that a transfer by carriers has: a load for each, and one more where loads and rings overlap."""
    most_kg = farm.fish_per_ring(farm.eggs[1]) * farm.rings_per_batch * _PLANNED_G / 1000
    tank_kg = sites.CARRIERS["capacity_m3"] / sites.CARRIERS["tanks"] * sites.CARRIER_DENSITY_KG_M3 * _PLANNED_FILL
    loads = int((most_kg / tank_kg).ceil().sum()) + len(CARRIERS) * farm.tanks_per_stage
    return 2 * loads + farm.tanks_per_stage + farm.rings_per_batch


def carried(inputs: Inputs) -> pl.DataFrame:
    """The assignments to tanks of carriers, one for each load of each tank on land and kind of carrier.

    Returns:
        assignment_id, workflow_id, batch_id, stage, source_assignment_id (on land), container_id, carrier (index into
        CARRIERS), by_truck, date, fish, upto (fish of the tank on land in this load and those before it), deaths (of
        fish that were loaded), before (fish on land), weight_g, sorted by tank on land, carrier and load.
    """

    def make() -> pl.DataFrame:
        farm = inputs.farm
        loaded = (
            inputs.whole("life_move")
            .filter(picked=0)
            .group_by("source_assignment_id")
            .agg(
                all_fish=pl.col("count").sum(),
                all_deaths=pl.col("deaths").sum(),
                first_before=pl.col("source_population_before").max(),
                weight_g=pl.col("weight_g").first(),
            )
        )
        on_land = inputs.plan.assignments.filter(stage=FRESHWATER[-1].order).select(
            "batch_id", "position", source_assignment_id="assignment_id"
        )
        stays = (
            _loads(farm, inputs.plan)
            .join(on_land, on="batch_id", maintain_order="left_right")
            .join(inputs.plan.batches.select("batch_id", "geography_id"), on="batch_id", maintain_order="left")
            .join(_tanks(farm), on=["geography_id", "carrier"], maintain_order="left")
            .join(loaded, on="source_assignment_id", how="left", maintain_order="left")
            .with_columns(pl.col("all_fish", "all_deaths", "first_before").fill_null(0))
            .with_columns(load=pl.int_ranges("loads"))
            .explode("load")
            .sort("source_assignment_id", "carrier", "load")
        )
        load, loads, fish = pl.col("load"), pl.col("loads"), pl.col("all_fish")
        turn = (load + pl.col("position") * loads + pl.col("batch_id") * farm.tanks_per_stage) % pl.col(
            "tanks"
        ).list.len()
        share = fish // loads + (load < fish % loads).cast(pl.Int64)
        deaths = pl.when(load == 0).then("all_deaths").otherwise(0)
        return (
            stays.with_columns(fish=share, deaths=deaths)
            .with_columns(upto=pl.col("fish").cum_sum().over("source_assignment_id", "carrier"))
            .select(
                "workflow_id",
                "batch_id",
                "stage",
                "source_assignment_id",
                "carrier",
                "by_truck",
                "date",
                "fish",
                "upto",
                "deaths",
                pl.col("weight_g").fill_null(0.0),
                before=pl.col("first_before")
                - (pl.col("upto") - pl.col("fish"))
                - pl.when(load == 0).then(0).otherwise("all_deaths"),
                assignment_id=FIRST_LOAD_ID
                + (pl.col("source_assignment_id") * len(CARRIERS) + pl.col("carrier")) * _LOADS
                + load,
                container_id=pl.col("tanks").list.get(turn),
            )
        )

    return inputs.shared("carried", make)


def overlaps(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    """How many fish of a tank on land are in a part of it by one division, and in a part by another.

    Imagine the fish of a tank in one line. Each division cuts the line into parts.

    Args:
        first: source_assignment_id, upto (end of each part), and columns to keep.
        second: The same, with other columns.

    Returns:
        source_assignment_id, the columns of both, and count, in the order of the line.
    """
    key, end = "source_assignment_id", "upto"
    ends = pl.concat([first.select(key, end), second.select(key, end)]).unique().filter(pl.col(end) > 0).sort(end)
    cut = ends.with_columns(count=pl.col(end) - pl.col(end).shift(1).over(key, order_by=end).fill_null(0))
    for parts in (first, second):
        last = parts.unique([key, end], keep="first", maintain_order=True).sort(end)
        cut = cut.join_asof(last, on=end, by=key, strategy="forward", check_sortedness=False)
    return cut.sort(key, end).drop(end)


def _tanks(farm: Profile) -> pl.DataFrame:
    """geography_id, carrier (index into CARRIERS) and the tanks of these carriers, in the order of ids."""
    built = sites.build_sites(farm.sites)
    carriers = built.carriers.select("geography_id", "carrier_type", carrier_id="id")
    kinds = pl.DataFrame({"carrier_type": CARRIERS, "carrier": range(len(CARRIERS))})
    return (
        built.containers.filter(pl.col("carrier_id").is_not_null())
        .select("carrier_id", tank="id")
        .join(carriers, on="carrier_id")
        .join(kinds, on="carrier_type")
        .group_by("geography_id", "carrier")
        .agg(tanks=pl.col("tank").sort())
    )


__all__ = ["CARRIERS", "FIRST_LOAD_ID", "carried", "carried_assignments", "most_actions", "overlaps"]
