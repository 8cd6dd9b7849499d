"""Fish on the way to the sea: the tanks of trucks and well-boats through which the latest transfers went.

A tank of a carrier holds fish for some hours, so its assignment begins and ends on the day of the transfer and has no
daily states.
"""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.apps.batch.workflows import planned_workflows
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan
from aquamind_pipeline.simulation.sites import build_sites

_FIRST_ID = 1_000_000_000
"""Ids of these assignments lie above the ones that the plan counts."""
CARRIERS = ("VESSEL", "TRUCK")


def carriers_of(by_truck: pl.Expr) -> pl.Expr:
    """Carriers that the fish of a tank go through: a well-boat, and a truck before it where no boat reaches."""
    return pl.when(by_truck).then(2).otherwise(1)


def _done(farm: Profile, plan: Plan) -> pl.DataFrame:
    """The transfers by carriers that are done."""
    return planned_workflows(farm, plan).filter(pl.col("is_dynamic") & (pl.col("date") <= farm.as_of))


def carried_assignments(farm: Profile, plan: Plan) -> int:
    """Number of assignments to tanks of carriers."""
    return int(_done(farm, plan).select(carriers_of(pl.col("by_truck")).sum()).item() or 0) * farm.tanks_per_stage


def carried(inputs: Inputs) -> pl.DataFrame:
    """The assignments to tanks of carriers, one for each tank on land and kind of carrier.

    Returns:
        assignment_id, workflow_id, batch_id, stage, source_assignment_id (on land), container_id, carrier (index into
        CARRIERS), by_truck, date, fish, deaths (of fish that were loaded), before (fish on land), weight_g.
    """

    def make() -> pl.DataFrame:
        farm = inputs.farm
        loaded = (
            inputs.whole("life_move")
            .filter(picked=0)
            .group_by("source_assignment_id")
            .agg(
                fish=pl.col("count").sum(),
                deaths=pl.col("deaths").sum(),
                before=pl.col("source_population_before").max(),
                weight_g=pl.col("weight_g").first(),
            )
        )
        on_land = inputs.plan.assignments.select("batch_id", "stage", "position", source_assignment_id="assignment_id")
        number = pl.DataFrame({"carrier": range(len(CARRIERS))})
        stays = (
            _done(farm, inputs.plan)
            .select("workflow_id", "batch_id", "stage", "date", "by_truck")
            .join(on_land, on=["batch_id", "stage"], maintain_order="left_right")
            .join(inputs.plan.batches.select("batch_id", "geography_id"), on="batch_id", maintain_order="left")
            .join(number, how="cross", maintain_order="left_right")
            .filter(pl.col("carrier") < carriers_of(pl.col("by_truck")))
            .join(_tanks(farm), on=["geography_id", "carrier"], maintain_order="left")
            .join(loaded, on="source_assignment_id", how="left", maintain_order="left")
        )
        turn = (pl.col("position") + pl.col("batch_id") * farm.tanks_per_stage) % pl.col("tanks").list.len()
        return stays.select(
            "workflow_id",
            "batch_id",
            "stage",
            "source_assignment_id",
            "carrier",
            "by_truck",
            "date",
            pl.col("fish", "deaths", "before").fill_null(0),
            pl.col("weight_g").fill_null(0.0),
            assignment_id=_FIRST_ID + pl.col("source_assignment_id") * len(CARRIERS) + pl.col("carrier"),
            container_id=pl.col("tanks").list.get(turn),
        )

    return inputs.shared("carried", make)


def _tanks(farm: Profile) -> pl.DataFrame:
    """geography_id, carrier (index into CARRIERS) and the tanks of these carriers, in the order of ids."""
    sites = build_sites(farm.sites)
    carriers = sites.carriers.select("geography_id", "carrier_type", carrier_id="id")
    kinds = pl.DataFrame({"carrier_type": CARRIERS, "carrier": range(len(CARRIERS))})
    return (
        sites.containers.filter(pl.col("carrier_id").is_not_null())
        .select("carrier_id", tank="id")
        .join(carriers, on="carrier_id")
        .join(kinds, on="carrier_type")
        .group_by("geography_id", "carrier")
        .agg(tanks=pl.col("tank").sort())
    )


__all__ = ["CARRIERS", "carried", "carried_assignments"]
