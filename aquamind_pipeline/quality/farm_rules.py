"""Rules on the farm as a whole: conservation, no doubling, capacity, bands, feed stock.

The rules read AquaMind's tables, so they also detect mistakes in how life was recorded. Only `recovers_life` and
`harvest_weight` read life itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch import daily_states
from aquamind_pipeline.apps.health import sampling
from aquamind_pipeline.apps.inventory import feeding
from aquamind_pipeline.apps.scenario.models import MORTALITY_MODEL_ID
from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.months import first_day, month_key
from aquamind_pipeline.quality import farm_months, realism, truth
from aquamind_pipeline.quality.health_rules import FASTED, TREATMENTS_WORK
from aquamind_pipeline.quality.realism import Comparison
from aquamind_pipeline.quality.truth import weighing_error
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import ASSIGNMENTS, MISLEADING, UNREALISTIC
from aquamind_pipeline.simulation.biology import ADULT, WEIGHT_VARIATION
from aquamind_pipeline.simulation.deaths import hazard_bounds
from aquamind_pipeline.simulation.mixing import goes_into_mix, is_mixed
from aquamind_pipeline.simulation.profile import Profile


def delivered_eggs(placements: pl.LazyFrame, assignments: pl.LazyFrame) -> pl.LazyFrame:
    """Eggs that came: batch_id, date, eggs.

    Args:
        placements: batch_creationaction.
        assignments: batch_batchcontainerassignment.
    """
    return (
        placements.filter(pl.col("actual_delivery_date").is_not_null())
        .join(assignments.select("batch_id", dest_assignment_id="id"), on="dest_assignment_id")
        .group_by("batch_id", date="actual_delivery_date")
        .agg(eggs=pl.col("egg_count_actual").cast(pl.Int64).sum())
    )


def no_doubling(states: pl.LazyFrame, placements: pl.LazyFrame, assignments: pl.LazyFrame) -> CheckResult:
    """No batch has more fish than on the day before and eggs that came, also not on days of transfers (Issue #112,
    growth-rules R29).
    """
    daily = with_day_before(
        states.group_by("batch_id", "date")
        .agg(fish=pl.col("population").cast(pl.Int64).sum(), stage=pl.col("lifecycle_stage_id").max())
        .join(delivered_eggs(placements, assignments), on=["batch_id", "date"], how="left")
        .collect()
    )
    grown = daily.filter("gains").select("batch_id", "date", "fish_before", "fish", "transition")
    transitions = int(daily["transition"].sum())
    return check_result(
        "no_doubling",
        grown,
        f"{transitions} transitions of {daily['batch_id'].n_unique()} batches; no batch gains fish",
        "days on which a batch has more fish than the day before",
    )


def with_day_before(daily: pl.DataFrame) -> pl.DataFrame:
    """Compare the fish of each batch with the day before.

    Args:
        daily: batch_id, date, fish, stage (its id; the later one if the batch is in two), eggs (that came on the day;
            may be null), one row per batch and day.

    Returns:
        `daily`, sorted by batch and date, with fish_before, transition (whether the stage differs from the day before)
        and gains (whether the batch has more fish than on the day before and eggs that came). All are null on a batch's
        first day.
    """
    fish, stage = pl.col("fish"), pl.col("stage")
    came = pl.col("eggs").fill_null(0)
    return (
        daily.sort("batch_id", "date")
        .with_columns(pl.col("fish", "stage").shift(1).over("batch_id").name.suffix("_before"))
        .with_columns(transition=stage != pl.col("stage_before"), gains=fish > pl.col("fish_before") + came)
        .drop("stage_before")
    )


def ledger(
    states: pl.LazyFrame,
    placements: pl.LazyFrame,
    deaths: pl.LazyFrame,
    transfers: pl.LazyFrame,
    assignments: pl.LazyFrame,
    lots: pl.LazyFrame,
    events: pl.LazyFrame,
) -> CheckResult:
    """Eggs and fish of other batches = alive + dead + gone, exactly, for every batch and day with fish.

    Fish are gone that were harvested, or went into a mixed batch.

    Args:
        states: batch_actualdailyassignmentstate.
        placements: batch_creationaction.
        deaths: batch_mortalityevent.
        transfers: batch_transferaction.
        assignments: batch_batchcontainerassignment.
        lots: harvest_harvestlot.
        events: harvest_harvestevent.
    """
    batch_of = assignments.select("batch_id", assignment_id="id")
    eggs = delivered_eggs(placements, assignments)
    done = transfers.filter(pl.col("status") == "COMPLETED")
    between = (
        done.select("source_assignment_id", "dest_assignment_id", "transferred_count", date="actual_execution_date")
        .join(batch_of, left_on="source_assignment_id", right_on="assignment_id", how="left")
        .join(batch_of, left_on="dest_assignment_id", right_on="assignment_id", how="left", suffix="_to")
        .filter(pl.col("batch_id").ne_missing(pl.col("batch_id_to")) & pl.col("batch_id_to").is_not_null())
    )
    fish = pl.col("transferred_count").cast(pl.Int64)
    harvested_fish = lots.group_by("event_id").agg(gone=pl.col("unit_count").cast(pl.Int64).sum())
    # Fish that come from another batch count as gone before they came, so that one sum is enough.
    gone = (
        pl.concat(
            [
                between.select("batch_id", "date", gone=fish),
                between.select("date", batch_id="batch_id_to", gone=-fish).select("batch_id", "date", "gone"),
                events.select("batch_id", event_id="id", date=pl.col("event_date").dt.date())
                .join(harvested_fish, on="event_id")
                .select("batch_id", "date", "gone"),
            ]
        )
        .group_by("batch_id", "date")
        .agg(pl.col("gone").sum())
    )
    died = (
        pl.concat(
            [
                deaths.select("batch_id", date="event_date", dead=pl.col("count").cast(pl.Int64)),
                daily_states.unrecorded_deaths(transfers, deaths)
                .join(batch_of, left_on="source_assignment_id", right_on="assignment_id")
                .select(
                    "batch_id", date="actual_execution_date", dead=pl.col("mortality_during_transfer").cast(pl.Int64)
                ),
            ]
        )
        .group_by("batch_id", "date")
        .agg(pl.col("dead").sum())
    )
    daily = (
        states.group_by("batch_id", "date")
        .agg(alive=pl.col("population").cast(pl.Int64).sum())
        .join(died, on=["batch_id", "date"], how="left")
        .join(gone, on=["batch_id", "date"], how="left")
        .join(eggs, on=["batch_id", "date"], how="left")
        .sort("batch_id", "date")
        .with_columns(pl.col("dead", "gone", "eggs").fill_null(0).cum_sum().over("batch_id"))
        .with_columns(lost=pl.col("eggs") - pl.col("alive") - pl.col("dead") - pl.col("gone"))
        .collect()
    )
    wrong = daily.filter(pl.col("lost").ne_missing(0))
    return check_result(
        "ledger",
        wrong,
        f"eggs = alive + dead + gone on {daily.height:,} batch-days",
        "batch-days on which eggs ≠ alive + dead + gone",
    )


def last_count(states: pl.LazyFrame, assignments: pl.LazyFrame) -> CheckResult:
    """An assignment has the count of its last state: the fish that live there now, or those that left it.

    Assignments of less than a day, such as those of trucks, have no state, and neither have trays that wait for eggs.

    Args:
        states: batch_actualdailyassignmentstate.
        assignments: batch_batchcontainerassignment.
    """
    last = states.group_by(id="assignment_id").agg(last=pl.col("population").get(pl.col("date").arg_max()))
    lasts = pl.col("departure_date").is_null() | (pl.col("departure_date") > pl.col("assignment_date"))
    waits = ~pl.col("is_active") & pl.col("departure_date").is_null() & (pl.col("population_count") == 0)
    both = (
        assignments.filter(lasts)
        .join(last, on="id", how="left")
        .filter(~waits | pl.col("last").is_not_null())
        .select("id", "is_active", "population_count", "last")
        .collect()
    )
    wrong = both.filter(pl.col("population_count").ne_missing(pl.col("last"))).sort("id")
    return check_result(
        "last_count", wrong, f"{both.height:,} assignments count the fish of their last day", "assignments miscount"
    )


def _mixed_away(transfers: pl.LazyFrame) -> pl.LazyFrame:
    """assignment_id and mixed: fish of each ring that went into a mixed batch.

    Args:
        transfers: batch_transferaction.
    """
    into = transfers.filter("allow_mixed", pl.col("status") == "COMPLETED").select("dest_assignment_id").unique()
    return (
        transfers.join(into, on="dest_assignment_id", how="semi")
        .group_by(assignment_id="source_assignment_id")
        .agg(mixed=pl.col("transferred_count").cast(pl.Int64).sum())
    )


def harvested(lots: pl.LazyFrame, events: pl.LazyFrame, states: pl.LazyFrame, transfers: pl.LazyFrame) -> CheckResult:
    """A ring's harvest lots have exactly the fish that were alive on its last day and went into no mixed batch."""
    last = states.group_by("assignment_id").agg(alive=pl.col("population").sort_by("date").last())
    rings = (
        lots.group_by("event_id")
        .agg(fish=pl.col("unit_count").sum())
        .join(events.select("assignment_id", event_id="id"), on="event_id", how="full", coalesce=True)
        .join(last, on="assignment_id", how="left")
        .join(_mixed_away(transfers), on="assignment_id", how="left")
        .with_columns(pl.col("mixed").fill_null(0))
        .collect()
    )
    wrong = rings.filter((pl.col("fish") + pl.col("mixed")).ne_missing(pl.col("alive").cast(pl.Int64)))
    return check_result(
        "harvested",
        wrong,
        f"{rings.height} rings harvested, every fish in a lot",
        "rings whose lots have more or fewer fish than were alive",
    )


def harvest_weight(lots: pl.LazyFrame, events: pl.LazyFrame, life: pl.LazyFrame, moves: pl.LazyFrame) -> CheckResult:
    """A ring's harvest lots weigh what its harvested fish weighed on their last day, to the rounding of the lots."""
    mixed = moves.filter(goes_into_mix(pl.col("dest_assignment_id"))).group_by(assignment_id="source_assignment_id")
    at_sea = life.filter(pl.col("stage") == ADULT.order)
    last = at_sea.group_by("assignment_id").agg(
        kg=(pl.col("population") * pl.col("weight_g") / 1000).max_by("date"), fish=pl.col("population").max_by("date")
    )
    rings = (
        lots.group_by("event_id")
        .agg(lots_kg=pl.col("live_weight_kg").cast(pl.Float64).sum(), lots=pl.len())
        .join(events.select("assignment_id", event_id="id"), on="event_id")
        .join(last, on="assignment_id", how="left")
        .join(mixed.agg(mixed=pl.col("count").sum()), on="assignment_id", how="left")
        .with_columns(kg=pl.col("kg") * (1 - pl.col("mixed").fill_null(0) / pl.col("fish")))
        .collect(engine="streaming")
    )
    difference = (pl.col("lots_kg") - pl.col("kg")).abs()
    wrong = rings.filter((difference > 0.001 * pl.col("lots") + 1e-9 * pl.col("kg")).fill_null(value=True))
    return check_result(
        "harvest_weight",
        wrong,
        f"{rings.height} rings harvested, whose lots weigh what the fish weighed",
        "rings whose lots weigh more or less than the fish did",
    )


def double_booking(states: pl.LazyFrame) -> CheckResult:
    """A container has one assignment at a time, and so one batch."""
    days = states.group_by("container_id", "date").agg(batches=pl.col("batch_id").n_unique(), rows=pl.len()).collect()
    return check_result(
        "double_booking",
        days.filter((pl.col("batches") > 1) | (pl.col("rows") > 1)),
        f"{days.height:,} container-days with one batch each",
        "container-days with more than one batch",
    )


def capacity(states: pl.LazyFrame, containers: pl.LazyFrame, fewest_weighed: int) -> CheckResult:
    """No container holds more than its max_biomass_kg, plus the error of weighing."""
    error = weighing_error(fewest_weighed)
    full = (
        states.group_by("container_id", "date")
        .agg(biomass_kg=pl.col("biomass_kg").sum())
        .join(containers.select("name", "max_biomass_kg", container_id="id"), on="container_id")
        .filter(pl.col("biomass_kg") > pl.col("max_biomass_kg") * (1 + error))
        .collect()
    )
    return check_result(
        "capacity",
        full,
        f"no container above its max_biomass_kg plus the error of weighing ({error:.0%})",
        f"container-days above max_biomass_kg plus the error of weighing ({error:.0%})",
    )


def one_site(
    assignments: pl.LazyFrame,
    containers: pl.LazyFrame,
    halls: pl.LazyFrame,
    areas: pl.LazyFrame,
    stations: pl.LazyFrame,
) -> CheckResult:
    """A batch lives in one geography, in one hall in each freshwater stage, and in one area at sea."""
    geography = pl.concat(
        [
            halls.join(stations.select("geography_id", freshwater_station_id="id"), on="freshwater_station_id").select(
                "geography_id", hall_id="id", area_id=pl.lit(None, pl.Int64)
            ),
            areas.select("geography_id", hall_id=pl.lit(None, pl.Int64), area_id="id"),
        ]
    )
    sites = (
        assignments.join(containers.select("hall_id", "area_id", container_id="id"), on="container_id")
        .join(geography, on=["hall_id", "area_id"], nulls_equal=True)
        .select("batch_id", "lifecycle_stage_id", "geography_id", site=pl.struct("hall_id", "area_id"))
    )
    split = (
        pl.concat(
            [
                sites.group_by("batch_id", "lifecycle_stage_id").agg(sites=pl.col("site").n_unique()),
                sites.group_by("batch_id")
                .agg(sites=pl.col("geography_id").n_unique())
                .with_columns(lifecycle_stage_id=pl.lit(None, pl.Int64))
                .select("batch_id", "lifecycle_stage_id", "sites"),
            ]
        )
        .filter(pl.col("sites") > 1)
        .collect()
    )
    return check_result(
        "one_site",
        split,
        "every batch has one hall per stage, one area and one geography",
        "batches in several halls, areas or geographies",
    )


def weight_continuity(states: pl.LazyFrame, fewest_weighed: int, speed: int = 1) -> CheckResult:
    """A batch's mean weight changes in a day no more than growth and sampling allow, also on days of transfers.

    The rule compares cube roots of weights, because their growth is linear: 0.05 a day is TGC 3.25 at 15 °C. The
    relative error of a cube root is a third of the error of the weight (`weighing_error`).
    """
    error = weighing_error(fewest_weighed) / 3
    weight = pl.col("avg_weight_g").cast(pl.Float64)
    root = ((weight * pl.col("population")).sum() / pl.col("population").sum()).cbrt()
    daily = (
        states.filter(pl.col("population") > 0)
        .group_by("batch_id", "date")
        .agg(root=root)
        .sort("batch_id", "date")
        .with_columns(before=pl.col("root").shift(1).over("batch_id"))
        .with_columns(change=pl.col("root") - pl.col("before"))
        .collect()
    )
    jumps = daily.filter(
        (pl.col("change") > 0.05 * speed + error * pl.col("before")) | (pl.col("change") < -error * pl.col("before"))
    )
    return check_result(
        "weight_continuity",
        jumps,
        f"{daily.height:,} batch-days without a jump in weight",
        "batch-days with a jump in weight",
    )


def feed_stock(
    purchases: pl.LazyFrame,
    stock: pl.LazyFrame,
    fed: pl.LazyFrame,
    containers: pl.LazyFrame,
    feed_containers: pl.LazyFrame,
) -> CheckResult:
    """In every hall and area and on every day, the feed bought so far is at least the feed eaten so far.

    Args:
        purchases: inventory_feedpurchase.
        stock: inventory_feedcontainerstock.
        fed: inventory_feedingevent.
        containers: infrastructure_container.
        feed_containers: infrastructure_feedcontainer.
    """
    site = ["hall_id", "area_id"]
    # Millions of feedings are grouped by hall or area, so both are replaced by one number.
    sites = pl.concat([containers.select(site), feed_containers.select(site)]).unique().sort(site)
    numbered = sites.with_row_index("place").collect().lazy()
    container, store = (
        places.join(numbered, on=site, nulls_equal=True).select("id", "place")
        for places in (containers, feed_containers)
    )
    bought = (
        stock.join(
            purchases.select("purchase_date", "quantity_kg", feed_purchase_id="id"),
            on="feed_purchase_id",
            suffix="_bought",
        )
        .join(store, left_on="feed_container_id", right_on="id")
        .group_by("place", date="purchase_date")
        .agg(kg=pl.col("quantity_kg_bought").cast(pl.Float64).sum())
    )
    eaten = (
        fed.join(container, left_on="container_id", right_on="id")
        .group_by("place", date="feeding_date")
        .agg(kg=-pl.col("amount_kg").sum().cast(pl.Float64))
    )
    # A delivery arrives after the day's meals, so it counts from the next day on.
    changes = (
        pl.concat([bought.with_columns(date=pl.col("date").dt.offset_by("1d")), eaten])
        .group_by("place", "date")
        .agg(kg=pl.col("kg").sum())
    )
    level = (
        changes.sort("place", "date")
        .with_columns(left_kg=pl.col("kg").cum_sum().over("place"))
        .join(numbered, on="place")
        .select(*site, "date", "kg", "left_kg")
        .collect(engine="streaming")
    )
    negative = level.filter(pl.col("left_kg") < -0.01)
    return check_result(
        "feed_stock",
        negative,
        f"{level.height:,} store-days, none with a negative stock",
        "store-days on which more feed was eaten than bought",
    )


def bands(profile_bands: Iterable[tuple[str, tuple[int, int]]], counts: Mapping[str, int]) -> CheckResult:
    """The farm's counts lie in the profile's bands.

    Args:
        profile_bands: Name of each count, and its smallest and largest value.
        counts: The farm's counts by name.
    """
    rows = [
        {"count": name, "found": counts.get(name, 0), "least": low, "most": high} for name, (low, high) in profile_bands
    ]
    if not rows:
        return CheckResult("bands", passed=True, detail="the profile has no bands")
    frame = pl.DataFrame(rows)
    wrong = frame.filter(~pl.col("found").is_between("least", "most"))
    within = ", ".join(f"{row['count']} {row['found']:,}" for row in rows)
    return check_result("bands", wrong, f"within bands: {within}", "counts outside the profile's bands")


def samplings_weigh(
    samplings: pl.LazyFrame, states: pl.LazyFrame, assignments: pl.LazyFrame, farm: Profile
) -> CheckResult:
    """The mean weight of a health sampling is that of the day's state, but for the errors of weighing.

    Args:
        samplings: health_healthsamplingevent.
        states: batch_actualdailyassignmentstate.
        assignments: batch_batchcontainerassignment; samplings of others are not compared.
        farm: The farm. Without growth samples its states may be far from the fish.
    """
    if farm.samples_per_week == 0:
        return CheckResult("samplings_weigh", passed=True, detail="the farm takes no growth samples to compare with")
    allowed = 6.0 * max(WEIGHT_VARIATION) / pl.col("fish").sqrt() + weighing_error(farm.fewest_weighed)
    compared = (
        samplings.select(
            "id",
            "assignment_id",
            date="sampling_date",
            fish="calculated_sample_size",
            sampled_g=pl.col("avg_weight_g").cast(pl.Float64),
        )
        .join(assignments.select(assignment_id="id"), on="assignment_id", how="semi")
        .join(
            states.select("assignment_id", "date", state_g=pl.col("avg_weight_g").cast(pl.Float64)),
            on=["assignment_id", "date"],
            how="left",
        )
        .with_columns(error=(pl.col("sampled_g") / pl.col("state_g") - 1.0).abs(), allowed=allowed)
        .sort("id")
        .collect()
    )
    return check_result(
        "samplings_weigh",
        compared.filter((pl.col("error") <= pl.col("allowed")).ne_missing(pl.lit(True))),
        f"{compared.height:,} health samplings weigh what the day's state says",
        "health samplings whose mean weight is not that of the day's state",
    )


FCR = (0.7, 1.5)
"""Plausible kilograms of feed per kilogram of growth over a stage. Farms report about 1.0 to 1.3 (Tacon & Metian 2008,
Aquaculture 285, 146-158; Torrissen et al. 2011, Reviews in Fisheries Science 19, 257-278), less in fresh water."""
TGC = (1.5, 4.5)
"""Plausible thermal growth coefficient x 1000 over a stage. Farms report about 2.0 to 4.0 (Thorarensen & Farrell 2011,
Aquaculture 312, 1-14)."""


def stages_lived(states: pl.LazyFrame) -> pl.DataFrame:
    """Summarise the states of each batch by stage, up to the last state. The columns are those of `by_stage`."""
    return by_stage(batch_days(states))


def batch_days(states: pl.LazyFrame) -> pl.DataFrame:
    """Sums over the containers of each batch on each day: the columns that `by_stage` needs, and unfed (containers
    without feed).
    """
    fish, grams = pl.col("population"), pl.col("avg_weight_g").cast(pl.Float64)
    return (
        states.group_by("batch_id", "date", stage="lifecycle_stage_id")
        .agg(
            containers=pl.len(),
            fish=fish.cast(pl.Int64).sum(),
            died=pl.col("mortality_count").cast(pl.Int64).sum(),
            weight_g=(grams * fish).sum() / fish.sum(),
            feed_kg=pl.col("feed_kg").cast(pl.Float64).sum(),
            unfed=(pl.col("feed_kg").fill_null(0) == 0).sum(),
            temp_c=pl.col("temp_c").cast(pl.Float64).mean(),
        )
        .collect()
    )


def by_stage(daily: pl.DataFrame) -> pl.DataFrame:
    """Summarise the days of each batch by stage.

    Args:
        daily: batch_id, date, stage, containers, fish, died, weight_g, feed_kg, temp_c.

    Returns:
        batch_id, stage, days, containers, first_fish, last_fish, alive (share of the fish that did not die),
        first_g, last_g, feed_kg, gain_kg (growth of the
        living fish), degree_days.
    """
    return (
        daily.sort("batch_id", "date")
        .with_columns(gained_g=pl.col("weight_g") - pl.col("weight_g").shift(1).over("batch_id", "stage"))
        .group_by("batch_id", "stage", maintain_order=True)
        .agg(
            days=pl.len(),
            containers=pl.col("containers").max(),
            first_fish=(pl.col("fish") + pl.col("died")).first(),
            last_fish=pl.col("fish").last(),
            alive=(pl.col("fish") / (pl.col("fish") + pl.col("died"))).fill_nan(0.0).product(),
            first_g=pl.col("weight_g").first(),
            last_g=pl.col("weight_g").last(),
            feed_kg=pl.col("feed_kg").sum(),
            gain_kg=(pl.col("fish") * pl.col("gained_g")).sum() / 1000,
            degree_days=pl.col("temp_c").sum(),
        )
    )


Bounds = Callable[[int, Ints, Ints, Floats], tuple[Floats, Floats]]
"""Function of a stage's order, days, containers and daily rate: the smallest and largest plausible chance of death in
that stage, as multiples of the daily rate (`hazard_bounds`)."""


def survival(lived: pl.DataFrame, daily_rates: pl.DataFrame, bounds: Bounds) -> CheckResult:
    """In each stage of a batch, the share of fish that survive follows from the daily rate, within bounds.

    Args:
        lived: From `stages_lived`.
        daily_rates: stage, daily_rate (share of fish that dies in a day).
        bounds: The bounds of the chance of death.
    """
    wrong = (
        survived(lived, daily_rates, bounds)
        .filter(~pl.col("survival").is_between("least", "most"))
        .select("batch_id", "stage", "days", "survival", "by_rate", "least", "most")
    )
    return check_result(
        "survival",
        wrong,
        f"{lived.height} stages of batches, each with deaths that background, handling and illness explain",
        "stages with more or fewer deaths than background, handling and illness explain",
    )


def survived(lived: pl.DataFrame, daily_rates: pl.DataFrame, bounds: Bounds) -> pl.DataFrame:
    """Compare the survival in each stage with the daily rate.

    The bounds multiply the chance of death, so they are exponents of the survival. In each container rounding adds or
    removes at most one fish.

    Args:
        lived: From `stages_lived`.
        daily_rates: stage, daily_rate (share of fish that dies in a day).
        bounds: The bounds of the chance of death.

    Returns:
        `lived` with survival (a share), by_rate (survival if the daily rate were exact), least and most (bounds of the
        survival).
    """
    parts = []
    for (stage,), group in lived.join(daily_rates, on="stage").partition_by("stage", as_dict=True).items():
        low, high = bounds(
            int(str(stage)), group["days"].to_numpy(), group["containers"].to_numpy(), group["daily_rate"].to_numpy()
        )
        parts.append(group.with_columns(low=pl.Series(low), high=pl.Series(high)))
    if not parts:
        return lived.with_columns(survival=1.0, by_rate=1.0, least=1.0, most=1.0)
    by_rate, rounding = (1 - pl.col("daily_rate")) ** pl.col("days"), pl.col("containers") / pl.col("first_fish")
    return (
        pl.concat(parts)
        .with_columns(survival="alive", by_rate=by_rate)
        .with_columns(
            least=pl.col("by_rate") ** pl.col("high") - rounding, most=pl.col("by_rate") ** pl.col("low") + rounding
        )
        .drop("low", "high")
        .sort("batch_id", "stage")
    )


def feed_conversion(lived: pl.DataFrame, speed: int = 1) -> CheckResult:
    """Feed per growth over a stage lies in the published range."""
    low, high = FCR
    fed = settled(lived, speed).filter(pl.col("feed_kg") > 0).with_columns(fcr=pl.col("feed_kg") / pl.col("gain_kg"))
    wrong = fed.filter(~pl.col("fcr").is_between(low, high)).select("batch_id", "stage", "feed_kg", "gain_kg", "fcr")
    within = f"{fed.height} stages of batches, {_span(fed, 'fcr', 'FCR')}"
    return check_result("feed_conversion", wrong, within, f"stages with an FCR outside {low:g} to {high:g}")


def growth_rate(lived: pl.DataFrame, speed: int = 1) -> CheckResult:
    """The thermal growth coefficient over a stage lies in the published range."""
    low, high = TGC
    grown = (
        settled(lived, speed)
        .filter(pl.col("feed_kg") > 0)
        .with_columns(tgc=1000 * (pl.col("last_g").cbrt() - pl.col("first_g").cbrt()) / pl.col("degree_days") / speed)
    )
    wrong = grown.filter(~pl.col("tgc").is_between(low, high)).select("batch_id", "stage", "first_g", "last_g", "tgc")
    within = f"{grown.height} stages of batches, {_span(grown, 'tgc', 'TGC x 1000')}"
    return check_result("growth_rate", wrong, within, f"stages with a TGC x 1000 outside {low:g} to {high:g}")


def settled(lived: pl.DataFrame, speed: int) -> pl.DataFrame:
    """Stages of at least 60 days of real fish, but for mixed batches, which have one ring.

    Ratios of the others depend too much on single weighings.
    """
    return lived.filter(pl.col("days") * speed >= 60, ~is_mixed(pl.col("batch_id")))


def _span(frame: pl.DataFrame, column: str, label: str) -> str:
    """Text for people: the smallest and the largest value of a column."""
    low, high = frame.select(least=pl.col(column).min(), most=pl.col(column).max()).row(0)
    return f"{label} {low:.2f} to {high:.2f}" if frame.height else f"no {label} yet"


STATES, FEEDINGS, SAMPLINGS = daily_states.STATES.name, feeding.FEEDINGS.name, sampling.SAMPLINGS.name
_CREATIONS, _TRANSFERS, _DEATHS = "batch_creationaction", "batch_transferaction", "batch_mortalityevent"
_LOTS, _HARVESTS = "harvest_harvestlot", "harvest_harvestevent"
_CONTAINERS, _HALLS, _AREAS, _STATIONS = (
    "infrastructure_container",
    "infrastructure_hall",
    "infrastructure_area",
    "infrastructure_freshwaterstation",
)
_STAGES, _RATES = "batch_lifecyclestage", "scenario_mortality_model_stage"
_PURCHASES, _STOCK, _STORES = "inventory_feedpurchase", "inventory_feedcontainerstock", "infrastructure_feedcontainer"
_BATCHES, _LIFE, _MOVES = "batch_batch", "life_day", "life_move"


def _states(inputs: RuleInputs) -> pl.LazyFrame:
    """The states to check. A nightly run reads its few states once and keeps them in memory for all rules."""
    states = inputs.scan(STATES)
    if inputs.since is None:
        return states
    numbers_and_dates = states.drop(pl.selectors.string(), pl.selectors.nested())
    return inputs.shared("states", lambda: numbers_and_dates.collect()).lazy()


@dataclass(frozen=True)
class _Lived:
    """What is kept of the batches' days.

    Attributes:
        stages: From `by_stage`.
        months: From `farm_months.farm_months`, without lice.
        unfed: Share of the days of rings at sea without feed.
    """

    stages: pl.DataFrame
    months: pl.DataFrame
    unfed: float


def _summed(inputs: RuleInputs) -> _Lived:
    def make() -> _Lived:
        daily = batch_days(_states(inputs))
        at_sea = daily.filter(pl.col("stage") == ADULT.order)
        days = at_sea.select("batch_id", "date", "stage", population="fish", deaths="died")
        unfed = at_sea.select(pl.col("unfed").sum() / pl.col("containers").sum()).item()
        return _Lived(by_stage(daily), farm_months.farm_months(days), float("nan") if unfed is None else float(unfed))

    return inputs.shared("batch days", make)


def _lived(inputs: RuleInputs) -> pl.DataFrame:
    return _summed(inputs).stages


def _daily_rates(inputs: RuleInputs) -> pl.DataFrame:
    """stage, daily_rate (a share)."""
    stages = inputs.whole(_STAGES).select("name", stage="id")
    usual = inputs.whole(_RATES).filter(mortality_model_id=MORTALITY_MODEL_ID)
    rates = usual.join(stages, left_on="lifecycle_stage", right_on="name")
    return rates.select("stage", daily_rate=pl.col("daily_rate_percent").cast(pl.Float64) / 100)


def state_errors(inputs: RuleInputs) -> pl.DataFrame:
    """Errors of the states (`truth.errors`); in a nightly run, of the states of its months."""

    def make() -> pl.DataFrame:
        if inputs.since is None:
            return truth.errors(inputs.scan(STATES), inputs.scan(_LIFE), inputs.farm.speed)
        first = first_day(inputs.since)
        month_before = month_key(first - timedelta(days=1))  # has the last weighing before the nightly run's months
        months = {name: [month for month in inputs.months(name) if month >= month_before] for name in (STATES, _LIFE)}
        if inputs.farm.samples_per_week == 0:  # growth leaves the model since the batch began
            months[_LIFE] = inputs.months(_LIFE)
        states, life = (inputs.scan(name, chosen) for name, chosen in months.items())
        errors = truth.errors(states, life, inputs.farm.speed)
        return errors.filter(pl.col("date") >= first)

    return inputs.shared("state errors", make)


def _bands(inputs: RuleInputs) -> CheckResult:
    farm = inputs.farm
    if farm.as_of != farm.default_as_of:
        return CheckResult("bands", passed=True, detail=f"the profile's bands apply to {farm.default_as_of} only")
    status = inputs.scan(_BATCHES).filter(~is_mixed(pl.col("id"))).select("status").collect()["status"]
    counts = {
        "batches": int(status.is_in(["ACTIVE", "COMPLETED"]).sum()),
        "completed": int((status == "COMPLETED").sum()),
    }
    for name, _ in farm.bands:
        if name not in counts:
            counts[name] = int(inputs.scan(name).select(pl.len()).collect().item())
    return bands(farm.bands, counts)


def compared_with_real_farms(inputs: RuleInputs) -> Comparison:
    """The farm's figures beside those of real farms."""

    def make() -> Comparison:
        lived = _summed(inputs)
        return realism.compare(realism.found(inputs, lived.stages, lived.months, lived.unfed))

    return inputs.shared("compared with real farms", make)


def _rule(
    name: str,
    text: str,
    check: Callable[[RuleInputs], CheckResult],
    *reads: str,
    why: str = MISLEADING,
    blocks: bool = True,
    about: str = STATES,
    all_batches: bool = False,
) -> Rule:
    return Rule(name, text, why, check, blocks=blocks, reads=reads, about=about, all_batches=all_batches)


RECOVERS_LIFE = _rule(
    "recovers_life",
    "States, which are computed from records, have exactly the living fish and nearly their weight.",
    lambda inputs: truth.recovers_life(state_errors(inputs), inputs.farm.fewest_weighed),
    _LIFE,
)
REALISTIC = _rule(
    "realistic",
    "Deaths, lice, survival, feed, growth, condition and harvest are like those of real farms (docs/realism.md).",
    lambda inputs: realism.realistic(compared_with_real_farms(inputs)),
    *realism.READS,
    why=UNREALISTIC,
    blocks=False,
    all_batches=True,
)
FARM_RULES = (
    _rule(
        "no_doubling",
        "No batch has more fish than on the day before and eggs that came, also not at a transition (Issue #112).",
        lambda inputs: no_doubling(_states(inputs), inputs.scan(_CREATIONS), inputs.scan(ASSIGNMENTS)),
        _CREATIONS,
        ASSIGNMENTS,
    ),
    _rule(
        "ledger",
        "Eggs and fish of other batches = alive + dead + gone, exactly, for every batch and day.",
        lambda inputs: ledger(
            _states(inputs),
            inputs.scan(_CREATIONS),
            inputs.scan(_DEATHS),
            inputs.scan(_TRANSFERS),
            inputs.scan(ASSIGNMENTS),
            inputs.scan(_LOTS),
            inputs.scan(_HARVESTS),
        ),
        _CREATIONS,
        _DEATHS,
        _TRANSFERS,
        ASSIGNMENTS,
        _LOTS,
        _HARVESTS,
    ),
    _rule(
        "last_count",
        "An assignment counts the fish of its last state: those that live there, or those that left it.",
        lambda inputs: last_count(_states(inputs), inputs.scan(ASSIGNMENTS)),
        ASSIGNMENTS,
    ),
    _rule(
        "harvested",
        "A ring's harvest lots have exactly the fish that were alive on its last day and went into no mixed batch.",
        lambda inputs: harvested(inputs.scan(_LOTS), inputs.scan(_HARVESTS), _states(inputs), inputs.scan(_TRANSFERS)),
        _LOTS,
        _HARVESTS,
        _TRANSFERS,
    ),
    _rule(
        "harvest_weight",
        "A ring's harvest lots weigh what its harvested fish weighed on their last day.",
        lambda inputs: harvest_weight(
            inputs.scan(_LOTS), inputs.scan(_HARVESTS), inputs.scan(_LIFE), inputs.scan(_MOVES)
        ),
        _LOTS,
        _HARVESTS,
        _LIFE,
        _MOVES,
    ),
    _rule(
        "double_booking",
        "A container holds one batch at a time.",
        lambda inputs: double_booking(_states(inputs)),
    ),
    _rule(
        "capacity",
        "No container holds more than its max_biomass_kg, plus the error of weighing.",
        lambda inputs: capacity(_states(inputs), inputs.scan(_CONTAINERS), inputs.farm.fewest_weighed),
        _CONTAINERS,
    ),
    _rule(
        "one_site",
        "Each batch has one hall in each freshwater stage, one sea area and one geography.",
        lambda inputs: one_site(
            inputs.scan(ASSIGNMENTS), *(inputs.scan(name) for name in (_CONTAINERS, _HALLS, _AREAS, _STATIONS))
        ),
        ASSIGNMENTS,
        _CONTAINERS,
        _HALLS,
        _AREAS,
        _STATIONS,
    ),
    _rule(
        "weight_continuity",
        "A batch's mean weight changes in a day no more than growth and sampling allow.",
        lambda inputs: weight_continuity(_states(inputs), inputs.farm.fewest_weighed, inputs.farm.speed),
    ),
    _rule(
        "survival",
        "In each stage of a batch, background, handling, treatments and episodes explain the number of deaths.",
        lambda inputs: survival(_lived(inputs), _daily_rates(inputs), hazard_bounds),
        _STAGES,
        _RATES,
    ),
    _rule(
        "feed_conversion",
        "Feed per growth over a stage lies in the published range.",
        lambda inputs: feed_conversion(_lived(inputs), inputs.farm.speed),
        why=UNREALISTIC,
        blocks=False,
    ),
    _rule(
        "growth_rate",
        "The thermal growth coefficient (TGC) over a stage lies in the published range.",
        lambda inputs: growth_rate(_lived(inputs), inputs.farm.speed),
        why=UNREALISTIC,
        blocks=False,
    ),
    _rule(
        "bands",
        "The farm's counts lie in the profile's bands, on the profile's own `as_of`.",
        _bands,
        *(name for name in REGISTRY.aquamind if name != STATES),
        why="The profile promises a farm of this size.",
        all_batches=True,
    ),
    RECOVERS_LIFE,
    REALISTIC,
    _rule(
        "samplings_weigh",
        "The mean weight of a health sampling is that of the day's state, but for the errors of weighing.",
        lambda inputs: samplings_weigh(inputs.scan(SAMPLINGS), _states(inputs), inputs.scan(ASSIGNMENTS), inputs.farm),
        SAMPLINGS,
        ASSIGNMENTS,
    ),
    _rule(
        "feed_stock",
        "No hall or area uses more feed than it has bought.",
        lambda inputs: feed_stock(
            inputs.scan(_PURCHASES),
            inputs.scan(_STOCK),
            inputs.scan(FEEDINGS),
            inputs.scan(_CONTAINERS),
            inputs.scan(_STORES),
        ),
        _PURCHASES,
        _STOCK,
        _CONTAINERS,
        _STORES,
        about=FEEDINGS,
    ),
    TREATMENTS_WORK,
    FASTED,
)
"""Rules on the farm as a whole. Each is shown with the table in its `about`."""

__all__ = [
    "FARM_RULES",
    "REALISTIC",
    "RECOVERS_LIFE",
    "bands",
    "batch_days",
    "by_stage",
    "capacity",
    "compared_with_real_farms",
    "double_booking",
    "feed_conversion",
    "feed_stock",
    "growth_rate",
    "harvest_weight",
    "harvested",
    "last_count",
    "ledger",
    "no_doubling",
    "one_site",
    "samplings_weigh",
    "settled",
    "stages_lived",
    "state_errors",
    "survival",
    "survived",
    "weight_continuity",
    "with_day_before",
]
