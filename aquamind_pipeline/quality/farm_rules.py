"""Rules on the farm as a whole: conservation, no doubling, capacity, bands, feed stock.

They read AquaMind's own tables, so they also catch a mistake in how life was recorded. Only `recovers_life` reads life.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

import polars as pl

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch import daily_states
from aquamind_pipeline.apps.inventory import feeding
from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.months import first_day, month_key
from aquamind_pipeline.quality import truth
from aquamind_pipeline.quality.truth import weighing_error
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import ASSIGNMENTS, MISLEADING, UNREALISTIC
from aquamind_pipeline.simulation.life import hazard_bounds


def no_doubling(states: pl.LazyFrame) -> CheckResult:
    """No batch ever has more fish than the day before, transfer or not (AquaMind's Issue #112, rule R29)."""
    daily = with_day_before(
        states.group_by("batch_id", "date")
        .agg(fish=pl.col("population").sum(), stage=pl.col("lifecycle_stage_id").max())
        .collect()
    )
    grown = daily.filter("gains").select("batch_id", "date", "fish_before", "fish", "transition")
    transitions = int(daily["transition"].sum())
    return check_result(
        "no_doubling",
        grown,
        f"{transitions} transitions of {daily['batch_id'].n_unique()} batches, none gains a fish",
        "days on which a batch has more fish than the day before",
    )


def with_day_before(daily: pl.DataFrame) -> pl.DataFrame:
    """Compare the fish of each batch with the day before.

    Args:
        daily: batch_id, date, fish, stage (its id; the last one if the batch is in two); one row a batch and day.

    Returns:
        `daily`, sorted by batch and date, with fish_before, transition (whether the stage is another than on the day
        before), gains (whether the batch has more fish than on the day before). All are null on a batch's first day.
    """
    fish, stage = pl.col("fish"), pl.col("stage")
    return (
        daily.sort("batch_id", "date")
        .with_columns(pl.col("fish", "stage").shift(1).over("batch_id").name.suffix("_before"))
        .with_columns(transition=stage != pl.col("stage_before"), gains=fish > pl.col("fish_before"))
        .drop("stage_before")
    )


def ledger(
    states: pl.LazyFrame,
    placements: pl.LazyFrame,
    deaths: pl.LazyFrame,
    transfers: pl.LazyFrame,
    assignments: pl.LazyFrame,
) -> CheckResult:
    """Eggs = alive + dead, for every batch and day with fish: to the fish.

    Args:
        states: batch_actualdailyassignmentstate.
        placements: batch_creationaction.
        deaths: batch_mortalityevent.
        transfers: batch_transferaction.
        assignments: batch_batchcontainerassignment.
    """
    batch_of = assignments.select("batch_id", assignment_id="id")
    eggs = (
        placements.join(batch_of, left_on="dest_assignment_id", right_on="assignment_id")
        .group_by("batch_id")
        .agg(eggs=pl.col("egg_count_actual").sum())
    )
    lost = (
        pl.concat(
            [
                deaths.select("batch_id", date="event_date", dead=pl.col("count").cast(pl.Int64)),
                transfers.join(batch_of, left_on="source_assignment_id", right_on="assignment_id").select(
                    "batch_id", date="planned_date", dead=pl.col("mortality_during_transfer").cast(pl.Int64)
                ),
            ]
        )
        .group_by("batch_id", "date")
        .agg(pl.col("dead").sum())
    )
    daily = (
        states.group_by("batch_id", "date")
        .agg(alive=pl.col("population").cast(pl.Int64).sum())
        .join(lost, on=["batch_id", "date"], how="left")
        .sort("batch_id", "date")
        .with_columns(dead=pl.col("dead").fill_null(0).cum_sum().over("batch_id"))
        .join(eggs, on="batch_id", how="left")
        .with_columns(lost=pl.col("eggs") - pl.col("alive") - pl.col("dead"))
        .collect()
    )
    wrong = daily.filter(pl.col("lost").ne_missing(0))
    return check_result(
        "ledger", wrong, f"{daily.height:,} batch-days balance to the fish", "batch-days on which eggs ≠ alive + dead"
    )


def harvested(lots: pl.LazyFrame, events: pl.LazyFrame, states: pl.LazyFrame) -> CheckResult:
    """The fish in a ring's lots are the fish alive on its last day."""
    last = states.group_by("assignment_id").agg(alive=pl.col("population").sort_by("date").last())
    rings = (
        lots.group_by("event_id")
        .agg(fish=pl.col("unit_count").sum())
        .join(events.select("assignment_id", event_id="id"), on="event_id", how="full", coalesce=True)
        .join(last, on="assignment_id", how="left")
        .collect()
    )
    wrong = rings.filter(pl.col("fish").ne_missing(pl.col("alive")))
    return check_result(
        "harvested", wrong, f"{rings.height} rings harvested, every fish in a lot", "rings whose lots are not its fish"
    )


def double_booking(states: pl.LazyFrame) -> CheckResult:
    """A container holds one assignment, and so one batch, at a time."""
    days = states.group_by("container_id", "date").agg(batches=pl.col("batch_id").n_unique(), rows=pl.len()).collect()
    return check_result(
        "double_booking",
        days.filter((pl.col("batches") > 1) | (pl.col("rows") > 1)),
        f"{days.height:,} container-days, one batch each",
        "container-days with more than one batch",
    )


def capacity(states: pl.LazyFrame, containers: pl.LazyFrame, fish_per_sample: int) -> CheckResult:
    """No container holds more than its max_biomass_kg and what weighing may be off by."""
    error = weighing_error(fish_per_sample)
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
        f"no container above its max_biomass_kg and the error of weighing ({error:.0%})",
        "container-days above max_biomass_kg and the error of weighing",
    )


def one_site(
    assignments: pl.LazyFrame,
    containers: pl.LazyFrame,
    halls: pl.LazyFrame,
    areas: pl.LazyFrame,
    stations: pl.LazyFrame,
) -> CheckResult:
    """A batch stays in one geography, has one hall for each freshwater stage and one area at sea."""
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
        "one_site", split, "one hall per stage, one area, one geography for every batch", "batches spread over sites"
    )


def weight_continuity(states: pl.LazyFrame, fish_per_sample: int, speed: int = 1) -> CheckResult:
    """A batch's mean weight (by fish) moves no further in a day than growth and sampling allow, also over transfers.

    Measured in the cube root of weight, in which growth is linear: 0.05 a day is TGC 3.25 at 15 °C. The root may be off
    by a third of what the weight may be (`weighing_error`).
    """
    noise = weighing_error(fish_per_sample) / 3
    weight = pl.col("avg_weight_g").cast(pl.Float64)
    root = ((weight * pl.col("population")).sum() / pl.col("population").sum()).cbrt()
    daily = (
        states.filter(pl.col("population") > 0)
        .group_by("batch_id", "date")
        .agg(root=root)
        .sort("batch_id", "date")
        .with_columns(before=pl.col("root").shift(1).over("batch_id"))
        .with_columns(moved=pl.col("root") - pl.col("before"))
        .collect()
    )
    jumps = daily.filter(
        (pl.col("moved") > 0.05 * speed + noise * pl.col("before")) | (pl.col("moved") < -noise * pl.col("before"))
    )
    return check_result(
        "weight_continuity", jumps, f"{daily.height:,} batch-days without a jump", "batch-days with a jump in weight"
    )


def feed_stock(
    purchases: pl.LazyFrame,
    stock: pl.LazyFrame,
    fed: pl.LazyFrame,
    containers: pl.LazyFrame,
    feed_containers: pl.LazyFrame,
) -> CheckResult:
    """Feed bought so far is never less than feed eaten, in any store on any day. `fed` is inventory_feedingevent."""
    site = ["hall_id", "area_id"]
    # By one number for a hall or area, as millions of feedings are grouped by it.
    sites = pl.concat([containers.select(site), feed_containers.select(site)]).unique().sort(site)
    every = sites.with_row_index("place").collect().lazy()
    container, store = (
        places.join(every, on=site, nulls_equal=True).select("id", "place") for places in (containers, feed_containers)
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
    # Deliveries of a day come after that day's meals, so they count from the next day on.
    moves = (
        pl.concat([bought.with_columns(date=pl.col("date").dt.offset_by("1d")), eaten])
        .group_by("place", "date")
        .agg(kg=pl.col("kg").sum())
    )
    level = (
        moves.sort("place", "date")
        .with_columns(left_kg=pl.col("kg").cum_sum().over("place"))
        .join(every, on="place")
        .select(*site, "date", "kg", "left_kg")
        .collect(engine="streaming")
    )
    empty = level.filter(pl.col("left_kg") < -0.01)
    return check_result(
        "feed_stock", empty, f"{level.height:,} store-days, none below zero", "store-days with less than no feed"
    )


def bands(profile_bands: Iterable[tuple[str, tuple[int, int]]], counts: Mapping[str, int]) -> CheckResult:
    """The farm's counts lie in the profile's bands (which hold at its own as_of)."""
    rows = [
        {"count": name, "found": counts.get(name, 0), "least": low, "most": high} for name, (low, high) in profile_bands
    ]
    if not rows:
        return CheckResult("bands", passed=True, detail="the profile sets none")
    frame = pl.DataFrame(rows)
    wrong = frame.filter(~pl.col("found").is_between("least", "most"))
    within = ", ".join(f"{row['count']} {row['found']:,}" for row in rows)
    return check_result("bands", wrong, f"within bands: {within}", "counts outside the profile's bands")


FCR = (0.7, 1.5)
"""Kilograms of feed per kilogram of growth over a stage: farms report about 1.0 to 1.3 (Tacon & Metian 2008,
Aquaculture 285, 146-158; Torrissen et al. 2011, Reviews in Fisheries Science 19, 257-278), less in fresh water."""
TGC = (1.5, 4.5)
"""Thermal growth coefficient x 1000 over a stage: farms see about 2.0 to 4.0 (Thorarensen & Farrell 2011, Aquaculture
312, 1-14)."""


def stages_lived(states: pl.LazyFrame) -> pl.DataFrame:
    """Every batch's stages, as far as lived, from its states: the columns of `by_stage`."""
    fish, grams = pl.col("population"), pl.col("avg_weight_g").cast(pl.Float64)
    daily = (
        states.group_by("batch_id", "date", stage="lifecycle_stage_id")
        .agg(
            containers=pl.len(),
            fish=fish.cast(pl.Int64).sum(),
            died=pl.col("mortality_count").cast(pl.Int64).sum(),
            weight_g=(grams * fish).sum() / fish.sum(),
            feed_kg=pl.col("feed_kg").cast(pl.Float64).sum(),
            temp_c=pl.col("temp_c").cast(pl.Float64).mean(),
        )
        .collect()
    )
    return by_stage(daily)


def by_stage(daily: pl.DataFrame) -> pl.DataFrame:
    """A batch's days summed up by stage: batch_id, stage, days, containers, first_fish, last_fish, first_g, last_g,
    feed_kg, gain_kg (growth of the fish that were there), degree_days.

    daily: batch_id, date, stage, containers, fish, died, weight_g, feed_kg, temp_c.
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
            first_g=pl.col("weight_g").first(),
            last_g=pl.col("weight_g").last(),
            feed_kg=pl.col("feed_kg").sum(),
            gain_kg=(pl.col("fish") * pl.col("gained_g")).sum() / 1000,
            degree_days=pl.col("temp_c").sum(),
        )
    )


Bounds = Callable[[int, Ints, Ints], tuple[Floats, Floats]]
"""Least and most hazard, as a multiple of the daily rate's, over a stage (its order) by days and containers."""


def survival(lived: pl.DataFrame, daily_rates: pl.DataFrame, bounds: Bounds) -> CheckResult:
    """As many fish die in each stage of a batch as its daily rate gives, within the bounds of that stage and batch.

    Args:
        lived: Of `stages_lived`.
        daily_rates: stage, daily_rate (share of fish that dies in a day).
        bounds: How far the rate may be from what is lived.
    """
    wrong = (
        survived(lived, daily_rates, bounds)
        .filter(~pl.col("survival").is_between("least", "most"))
        .select("batch_id", "stage", "days", "survival", "by_rate", "least", "most")
    )
    held = f"{lived.height} stages of batches, each with the deaths that its rate, handling and outbreaks give"
    return check_result("survival", wrong, held, "stages whose survival is not what rate, handling and outbreaks give")


def survived(lived: pl.DataFrame, daily_rates: pl.DataFrame, bounds: Bounds) -> pl.DataFrame:
    """`lived` with survival (a share), by_rate (what the daily rate gives), and the least and most that may be.

    Bounds are of the hazard, which adds up day by day; a fish in each container may be rounded either way.
    """
    parts = []
    for (stage,), some in lived.join(daily_rates, on="stage").partition_by("stage", as_dict=True).items():
        low, high = bounds(int(str(stage)), some["days"].to_numpy(), some["containers"].to_numpy())
        parts.append(some.with_columns(low=pl.Series(low), high=pl.Series(high)))
    if not parts:
        return lived.with_columns(survival=1.0, by_rate=1.0, least=1.0, most=1.0)
    by_rate, rounding = (1 - pl.col("daily_rate")) ** pl.col("days"), pl.col("containers") / pl.col("first_fish")
    return (
        pl.concat(parts)
        .with_columns(survival=pl.col("last_fish") / pl.col("first_fish"), by_rate=by_rate)
        .with_columns(
            least=pl.col("by_rate") ** pl.col("high") - rounding, most=pl.col("by_rate") ** pl.col("low") + rounding
        )
        .drop("low", "high")
        .sort("batch_id", "stage")
    )


def feed_conversion(lived: pl.DataFrame, speed: int = 1) -> CheckResult:
    """Feed per growth over a stage lies in the range that farms publish."""
    low, high = FCR
    fed = settled(lived, speed).filter(pl.col("feed_kg") > 0).with_columns(fcr=pl.col("feed_kg") / pl.col("gain_kg"))
    wrong = fed.filter(~pl.col("fcr").is_between(low, high)).select("batch_id", "stage", "feed_kg", "gain_kg", "fcr")
    held = f"{fed.height} stages of batches with FCR {_span(fed, 'fcr')}"
    return check_result("feed_conversion", wrong, held, f"stages with an FCR outside {low:g} to {high:g}")


def growth_rate(lived: pl.DataFrame, speed: int = 1) -> CheckResult:
    """The thermal growth coefficient over a stage lies in the range that farms publish."""
    low, high = TGC
    grown = (
        settled(lived, speed)
        .filter(pl.col("feed_kg") > 0)
        .with_columns(tgc=1000 * (pl.col("last_g").cbrt() - pl.col("first_g").cbrt()) / pl.col("degree_days") / speed)
    )
    wrong = grown.filter(~pl.col("tgc").is_between(low, high)).select("batch_id", "stage", "first_g", "last_g", "tgc")
    held = f"{grown.height} stages of batches with TGC x 1000 {_span(grown, 'tgc')}"
    return check_result("growth_rate", wrong, held, f"stages with a TGC x 1000 outside {low:g} to {high:g}")


def settled(lived: pl.DataFrame, speed: int) -> pl.DataFrame:
    """Stages lived long enough for a mean to mean something: 60 days of real time."""
    return lived.filter(pl.col("days") * speed >= 60)


def _span(frame: pl.DataFrame, column: str) -> str:
    low, high = frame.select(least=pl.col(column).min(), most=pl.col(column).max()).row(0)
    return f"{low:.2f} to {high:.2f}" if frame.height else "of none yet"


STATES, FEEDINGS = daily_states.STATES.name, feeding.FEEDINGS.name
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
_BATCHES, _LIFE = "batch_batch", "life_day"


def _states(inputs: RuleInputs) -> pl.LazyFrame:
    """The states that the rules look at. A nightly run has few enough to read them once for all rules."""
    states = inputs.scan(STATES)
    if inputs.since is None:
        return states
    plain = states.drop(pl.selectors.string(), pl.selectors.nested())
    return inputs.shared("states", lambda: plain.collect()).lazy()


def _lived(inputs: RuleInputs) -> pl.DataFrame:
    return inputs.shared("lived", lambda: stages_lived(_states(inputs)))


def _daily_rates(inputs: RuleInputs) -> pl.DataFrame:
    """stage, daily_rate (a share)."""
    stages = inputs.whole(_STAGES).select("name", stage="id")
    rates = inputs.whole(_RATES).join(stages, left_on="lifecycle_stage", right_on="name")
    return rates.select("stage", daily_rate=pl.col("daily_rate_percent").cast(pl.Float64) / 100)


def state_errors(inputs: RuleInputs) -> pl.DataFrame:
    """How far each state is from life (`truth.errors`); in a nightly run, each state of its months."""

    def make() -> pl.DataFrame:
        if inputs.since is None:
            return truth.errors(inputs.scan(STATES), inputs.scan(_LIFE))
        first = first_day(inputs.since)
        near = month_key(first - timedelta(days=1))  # where the last weighing is
        later = {name: [month for month in inputs.months(name) if month >= near] for name in (STATES, _LIFE)}
        every = truth.errors(*(inputs.scan(name, months) for name, months in later.items()))
        return every.filter(pl.col("date") >= first)

    return inputs.shared("state errors", make)


def _bands(inputs: RuleInputs) -> CheckResult:
    farm = inputs.farm
    if farm.as_of != farm.default_as_of:
        return CheckResult("bands", passed=True, detail=f"the profile's bands hold on {farm.default_as_of} only")
    status = inputs.scan(_BATCHES).select("status").collect()["status"]
    counts = {"batches": status.len(), "completed": int((status == "COMPLETED").sum())}
    for name, _ in farm.bands:
        if name not in counts:
            counts[name] = int(inputs.scan(name).select(pl.len()).collect().item())
    return bands(farm.bands, counts)


def _rule(
    name: str,
    text: str,
    check: Callable[[RuleInputs], CheckResult],
    *reads: str,
    why: str = MISLEADING,
    blocks: bool = True,
    about: str = STATES,
) -> Rule:
    return Rule(name, text, why, check, blocks=blocks, reads=reads, about=about)


RECOVERS_LIFE = _rule(
    "recovers_life",
    "States computed from records alone have the fish that lived, and weights near theirs.",
    lambda inputs: truth.recovers_life(state_errors(inputs), inputs.farm.fish_per_sample),
    _LIFE,
)
FARM_RULES = (
    _rule(
        "no_doubling",
        "No batch has more fish than the day before, at any transition (Issue #112).",
        lambda inputs: no_doubling(_states(inputs)),
    ),
    _rule(
        "ledger",
        "Eggs = alive + dead for every batch and day, to the fish.",
        lambda inputs: ledger(
            _states(inputs),
            inputs.scan(_CREATIONS),
            inputs.scan(_DEATHS),
            inputs.scan(_TRANSFERS),
            inputs.scan(ASSIGNMENTS),
        ),
        _CREATIONS,
        _DEATHS,
        _TRANSFERS,
        ASSIGNMENTS,
    ),
    _rule(
        "harvested",
        "The fish in a ring's lots are the fish alive on its last day.",
        lambda inputs: harvested(inputs.scan(_LOTS), inputs.scan(_HARVESTS), _states(inputs)),
        _LOTS,
        _HARVESTS,
    ),
    _rule(
        "double_booking",
        "A container holds one batch at a time.",
        lambda inputs: double_booking(_states(inputs)),
    ),
    _rule(
        "capacity",
        "No container holds more than its max_biomass_kg.",
        lambda inputs: capacity(_states(inputs), inputs.scan(_CONTAINERS), inputs.farm.fish_per_sample),
        _CONTAINERS,
    ),
    _rule(
        "one_site",
        "One hall for each freshwater stage, one sea area, one geography for each batch.",
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
        "Weight moves no further in a day than growth and sampling allow.",
        lambda inputs: weight_continuity(_states(inputs), inputs.farm.fish_per_sample, inputs.farm.speed),
    ),
    _rule(
        "survival",
        "In each stage of a batch as many fish die as its rate, handling and outbreaks give.",
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
        "TGC over a stage lies in the published range.",
        lambda inputs: growth_rate(_lived(inputs), inputs.farm.speed),
        why=UNREALISTIC,
        blocks=False,
    ),
    _rule(
        "bands",
        "The farm's volumes lie in the profile's bands (on the profile's own day).",
        _bands,
        *(name for name in REGISTRY.aquamind if name != STATES),
        why="It is what was ordered.",
    ),
    RECOVERS_LIFE,
    _rule(
        "feed_stock",
        "No store ever gave out more feed than it had.",
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
)
"""Rules on the farm as a whole, each shown with the table that it is about."""

__all__ = [
    "FARM_RULES",
    "RECOVERS_LIFE",
    "bands",
    "by_stage",
    "capacity",
    "double_booking",
    "feed_conversion",
    "feed_stock",
    "growth_rate",
    "harvested",
    "ledger",
    "no_doubling",
    "one_site",
    "settled",
    "stages_lived",
    "state_errors",
    "survival",
    "survived",
    "weight_continuity",
    "with_day_before",
]
