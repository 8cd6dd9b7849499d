"""Lice counts, treatments, mortality records and the journal, compared with life."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

import polars as pl
import pytest

from aquamind_pipeline.apps.batch.assignments import ASSIGNMENTS as ASSIGNED
from aquamind_pipeline.apps.batch.transfers import TRANSFER_ACTIONS, TRANSFER_WORKFLOWS
from aquamind_pipeline.apps.farm.life import LIFE_LICE, LIFE_TREATMENTS
from aquamind_pipeline.apps.health.catalogue import LICE, LICE_TYPE, REASON_ID, SALMON_LOUSE, mortality_reasons
from aquamind_pipeline.apps.health.journal import JOURNAL
from aquamind_pipeline.apps.health.lice_counts import FEMALE, LICE_COUNTS, SESSILE
from aquamind_pipeline.apps.health.mortality_records import MANY, RECORDS
from aquamind_pipeline.apps.health.treatments import ONCE, TITLES, TREATMENTS, mixed_tanks
from aquamind_pipeline.pipeline.memory import MemoryTables
from aquamind_pipeline.profiles import load_profile
from aquamind_pipeline.quality.health_rules import fasted, treatments_work
from aquamind_pipeline.schema.rules import RuleInputs
from aquamind_pipeline.simulation import lice
from aquamind_pipeline.simulation.deaths import REASONS
from aquamind_pipeline.simulation.treatments import METHODS, VACCINE
from tests.helpers.farms import Made


@cache
def tiny() -> Made:
    return Made(load_profile("tiny"))


def counts() -> pl.DataFrame:
    return tiny().frame(LICE_COUNTS.name).with_columns(date=pl.col("count_date").dt.date())


def test_counts_are_those_that_decided_on_treatments() -> None:
    truth = lice.counts(tiny().profile.seed, tiny().frame(LIFE_LICE.name))
    kind, value = pl.col("lice_type_id"), pl.col("count_value").cast(pl.Int64)
    entered = (
        counts()
        .group_by("assignment_id", "date")
        .agg(
            adult_female=value.filter(kind == FEMALE).sum(),
            sessile=value.filter(kind.is_in(SESSILE)).sum(),
            every=value.sum(),
        )
    )
    both = truth.with_columns(every=pl.sum_horizontal(lice.STAGES)).join(
        entered, on=["assignment_id", "date"], suffix="_entered"
    )
    assert both.height == truth.height == entered.height > 100
    for name in ("adult_female", "sessile", "every"):
        assert (both[name] == both[f"{name}_entered"]).all()


def test_a_count_without_lice_is_one_row_with_no_adult_female() -> None:
    nothing = counts().filter(pl.col("count_value") == 0)
    assert nothing.height > 10
    assert nothing["lice_type_id"].unique().to_list() == [FEMALE]
    alone = counts().group_by("assignment_id", "date").agg(pl.len(), least=pl.col("count_value").min())
    assert (alone.filter(least=0)["len"] == 1).all()


def test_lice_are_counted_in_the_local_morning() -> None:
    local = counts()["count_date"].dt.convert_time_zone("Atlantic/Faroe")
    assert local.dt.hour().is_between(8, 11).all()
    assert (local.dt.date() == counts()["date"]).all()


def test_all_kinds_of_lice_are_found() -> None:
    found = set(counts()["lice_type_id"])
    never = {LICE[number - 1] for number in LICE_TYPE.values() if number not in found}
    assert {species for species, _, _ in never} <= {SALMON_LOUSE, "Caligus elongatus", "Unknown"}
    assert len(found) == 10


def test_treatments_are_those_of_life() -> None:
    rows, truth = tiny().frame(TREATMENTS.name), tiny().frame(LIFE_TREATMENTS.name)
    both = rows.with_columns(date=pl.col("treatment_date").dt.date()).join(
        truth, left_on=["batch_assignment_id", "date"], right_on=["assignment_id", "date"]
    )
    assert both.height == rows.height == truth.height
    for number, method in enumerate(METHODS):
        some = both.filter(pl.col("method") == number)
        assert set(some["treatment_type"]) <= {method.kind}
        assert some["description"].str.starts_with(f"{TITLES[number]}: ").all()
    assert (both["withholding_period_days"] == both["withholding_days"]).all()


def test_vaccinations_are_weighings() -> None:
    rows = tiny().frame(TREATMENTS.name)
    vaccinated = pl.col("treatment_type") == "vaccination"
    assert rows.filter(vaccinated).select(
        (pl.col("sampling_event_id") == pl.col("id")).all(), pl.col("includes_weighing").all()
    ).row(0) == (True, True)
    assert (
        rows.filter(vaccinated)
        .group_by("batch_id")
        .agg(pl.col("vaccination_type_id").n_unique())["vaccination_type_id"]
        .to_list()
        == [1] * rows.filter(vaccinated)["batch_id"].n_unique()
    )
    others = rows.filter(~vaccinated)
    assert others.select(pl.col("sampling_event_id").is_null().all(), (~pl.col("includes_weighing")).all()).row(0) == (
        True,
        True,
    )


def test_outcomes_follow_from_what_was_removed() -> None:
    rows, truth = tiny().frame(TREATMENTS.name), tiny().frame(LIFE_TREATMENTS.name)
    both = rows.with_columns(date=pl.col("treatment_date").dt.date()).join(
        truth, left_on=["batch_assignment_id", "date"], right_on=["assignment_id", "date"]
    )
    deloused = both.filter(pl.col("reason") == 0)
    removed = deloused.group_by("outcome").agg(pl.col("adult_female_removed").min().alias("least"))
    least = dict(removed.iter_rows())
    assert least["successful"] >= 0.75
    assert 0.5 <= least["partial"] < 0.75


def test_each_treatment_has_an_entry_of_its_batch_and_week() -> None:
    rows = tiny().frame(TREATMENTS.name)
    entries = tiny().frame(JOURNAL.name)
    both = rows.join(entries, left_on="journal_entry_id", right_on="id", suffix="_entry")
    assert both.height == rows.height
    assert (both["batch_id"] == both["batch_id_entry"]).all()
    after = (both["treatment_date"].dt.date() - both["entry_date"].dt.date()).dt.total_days()
    assert after.is_between(0, 6).all()
    assert (both["category"] == "vaccination").equals(both["treatment_type"] == "vaccination")


def test_entries_close_as_the_farm_goes_on() -> None:
    profile = load_profile("tiny")
    early = Made(profile.model_copy(update={"as_of": profile.as_of - timedelta(days=30)})).frame(JOURNAL.name)
    late = tiny().frame(JOURNAL.name)
    opened = early.filter(~pl.col("resolution_status"))
    assert opened.height
    closed = opened.join(late, on="id", suffix="_late")
    assert closed["resolution_status_late"].all()
    assert (closed["resolution_notes"] == "").all()
    assert (closed["resolution_notes_late"] != "").all()
    assert (closed["updated_at_late"] > closed["entry_date"]).all()


def test_records_are_about_many_deaths_of_their_week() -> None:
    records = tiny().frame(RECORDS.name)
    assert records.height
    assert (records["event_date"].dt.weekday() == 7).all()
    times = records["notes"].str.extract(r"; ([\d.]+) times").cast(pl.Float64)
    assert (times >= MANY).all()


def test_each_reason_of_death_has_a_row_below_the_group_of_its_cause() -> None:
    rows = mortality_reasons()
    assert len(set(REASON_ID)) == len(REASONS)
    parents = dict(rows.select("id", "parent_id").iter_rows())
    by_cause: dict[str, set[int | None]] = {}
    for number, (_, cause) in enumerate(REASONS):
        by_cause.setdefault(cause, set()).add(parents[REASON_ID[number]])
    assert all(len(groups) == 1 for groups in by_cause.values())
    assert parents[REASON_ID[0]] is None
    assert rows.filter(id=REASON_ID[0])["name"].item() == "UNKNOWN"


def test_treatments_that_leave_adult_females_are_seen() -> None:
    treatments, found = tiny().frame(TREATMENTS.name).lazy(), tiny().frame(LICE_COUNTS.name)
    assert treatments_work(treatments, found.lazy(), tiny().profile.speed).passed
    worst = found.with_columns(count_value=pl.col("count_value").max().over("assignment_id", "lice_type_id"))
    assert not treatments_work(treatments, worst.lazy(), tiny().profile.speed).passed


def test_sessile_lice_that_go_with_a_method_that_spares_them_are_seen() -> None:
    rows = tiny().frame(TREATMENTS.name)
    thermal = rows.filter(pl.col("description").str.starts_with(TITLES[0]))
    found = counts().join(
        thermal.select(assignment_id="batch_assignment_id", date=pl.col("treatment_date").dt.date()),
        on=["assignment_id", "date"],
        how="left",
        coalesce=False,
    )
    gone = pl.col("date_right").is_not_null() & pl.col("lice_type_id").is_in(SESSILE)
    assert not treatments_work(rows.lazy(), found.filter(~gone).lazy(), tiny().profile.speed).passed


@pytest.mark.parametrize(("days", "passed"), [(0, True), (1, False), (2, False), (3, True)])
@pytest.mark.parametrize("what", ["treatment", "source of a grading", "destination of a grading", "move"])
def test_a_meal_on_a_day_without_feed_is_seen(what: str, days: int, *, passed: bool) -> None:
    """Two days without feed: 3 and 4 March. Fish that move on 5 March leave after the 4th."""
    day = date(2025, 3, 4)
    treatment = pl.LazyFrame(
        {"batch_assignment_id": [7], "description": ["Thermal delousing: lice. 9 fish. No feed for 2 days."]}
    ).with_columns(treatment_date=pl.datetime(2025, 3, 4, 6, time_zone="UTC"))
    left = pl.LazyFrame({"id": [7], "departure_date": [day + timedelta(days=1)], "lifecycle_stage_id": [5]})
    sides = (7, 8) if what.startswith("source") else (8, 7)
    graded = pl.LazyFrame(
        {
            "source_assignment_id": [sides[0]] * 2,
            "dest_assignment_id": [sides[1]] * 2,
            "actual_execution_date": [day, None],
            "selection_method": ["LARGEST", "SMALLEST"],
            "workflow_id": [1, 1],
        }
    )
    workflows = pl.LazyFrame({"id": [1], "workflow_type": ["CONTAINER_REDISTRIBUTION"]})
    meals = pl.LazyFrame({"id": [1], "batch_id": [1], "batch_assignment_id": [7], "container_id": [1]}).with_columns(
        feeding_date=pl.date(2025, 3, 2 + days)
    )
    found = fasted(
        treatment if what == "treatment" else treatment.clear(),
        left if what == "move" else left.clear(),
        graded if "grading" in what else graded.clear(),
        workflows,
        meals,
    )
    assert found.passed is passed
    average = graded.with_columns(selection_method=pl.lit("AVERAGE"))
    assert fasted(treatment.clear(), left.clear(), average, workflows, meals).passed


@pytest.mark.parametrize("speed", [2, 3, 10])
def test_a_meal_on_the_day_of_a_grading_is_seen_at_any_speed(speed: int) -> None:
    rows = tiny().frame("batch_transferaction")
    graded = rows.filter(pl.col("actual_execution_date").is_not_null(), pl.col("selection_method") != "AVERAGE")
    none = tiny().frame(ASSIGNED.name).clear().lazy()
    treatments = tiny().frame(TREATMENTS.name).clear().lazy()
    meals = graded.select(
        "id",
        batch_id=pl.lit(1),
        container_id=pl.lit(1),
        batch_assignment_id="dest_assignment_id",
        feeding_date="actual_execution_date",
    )
    assert meals.height > 3
    workflows = tiny().scan(TRANSFER_WORKFLOWS.name)
    assert fasted(treatments, none, rows.lazy(), workflows, meals.lazy(), speed).wrong == meals.height
    assert fasted(treatments, none, rows.lazy(), workflows, meals.clear().lazy(), speed).passed


def test_a_meal_on_the_day_of_an_emergency_is_seen() -> None:
    """Neither the fish that stay nor those that come are fed on the day of an emergency."""
    made = tiny()
    actions = made.frame(TRANSFER_ACTIONS.name).filter(pl.col("actual_execution_date").is_not_null())
    workflows = made.frame(TRANSFER_WORKFLOWS.name)
    within = workflows.filter(workflow_type="EMERGENCY_CASCADE").select(workflow_id="id")
    moved = actions.join(within, on="workflow_id", how="semi")
    none = made.frame(TREATMENTS.name).clear().lazy()
    left = made.frame("batch_batchcontainerassignment").clear().lazy()
    for side in ("source_assignment_id", "dest_assignment_id"):
        meal = moved.head(1).select(
            "id",
            batch_id=pl.lit(1),
            batch_assignment_id=side,
            container_id=pl.lit(1),
            feeding_date="actual_execution_date",
        )
        assert not fasted(none, left, actions.lazy(), workflows.lazy(), meal.lazy(), made.profile.speed).passed
    meals = made.scan("inventory_feedingevent")
    assert fasted(none, left, actions.lazy(), workflows.lazy(), meals, made.profile.speed).passed


def test_baths_of_eggs_are_worded_for_eggs() -> None:
    """Eggs have no skin and fins. The journal says the same."""
    made = Made(load_profile("tiny").model_copy(update={"batches_per_geography": 8, "stagger_days": 8, "seed": 3}))
    stages = made.frame("batch_batchcontainerassignment").select("lifecycle_stage_id", batch_assignment_id="id")
    baths = (
        made.frame(TREATMENTS.name)
        .filter(pl.col("description").str.starts_with("Bronopol"))
        .join(stages, on="batch_assignment_id")
    )
    eggs, fish = (baths.filter(one) for one in (pl.col("lifecycle_stage_id") == 1, pl.col("lifecycle_stage_id") > 1))
    assert eggs.height > 0
    assert fish.height > 0
    assert eggs["description"].str.contains(r"^Bronopol bath: fungus on dead eggs\. \d+ eggs and alevins of ").all()
    assert fish["description"].str.contains(r"^Bronopol bath: score \d\.\d of skin and fins\. \d+ fish of ").all()
    entries = made.frame(JOURNAL.name).filter(pl.col("id").is_in(eggs["journal_entry_id"].implode()))
    assert entries.height > 0
    assert (entries["description"] == "Bronopol bath begins: fungus on dead eggs.").all()
    assert not entries["resolution_notes"].str.contains("fish").any()


def test_a_vaccination_has_one_weight_that_of_its_sampling() -> None:
    weights = tiny().frame("health_healthsamplingevent").select("avg_weight_g", sampling_event_id="id")
    given = (
        tiny()
        .frame(TREATMENTS.name)
        .filter(pl.col("vaccination_type_id").is_not_null())
        .join(weights, on="sampling_event_id")
    )
    assert given.height > 0
    said = given["description"].str.extract_all(r"[\d.]+ g\b")
    expected = given.select(pl.concat_list(pl.format("{} g", "avg_weight_g"))).to_series()
    assert said.to_list() == expected.to_list()
    assert given["description"].str.contains("(mean of the weighed fish)", literal=True).all()


def test_smolts_are_vaccinated_once_in_life() -> None:
    given = tiny().frame(LIFE_TREATMENTS.name).filter(pl.col("method") == VACCINE)
    assert given["assignment_id"].is_unique().all()


def test_a_grading_between_vaccinated_and_other_tanks_is_seen() -> None:
    """No grading of the farm is one; a vaccination that is earlier than the grading of its tank makes it one."""
    assert mixed(timedelta(0)) == 0
    assert mixed(timedelta(days=60)) > 0


def mixed(earlier: timedelta) -> int:
    """Tanks mixed by gradings, if the vaccinations of every second tank are so much earlier."""
    inputs = RuleInputs(TREATMENTS, ONCE, tiny().farm, MemoryTables(tiny().farm), shared={}, own={})
    given = tiny().frame(TREATMENTS.name).filter(pl.col("vaccination_type_id").is_not_null())
    moved = pl.when(pl.col("batch_assignment_id") % 2 == 0).then(pl.col("treatment_date") - earlier)
    return mixed_tanks(inputs, given.with_columns(treatment_date=moved.otherwise("treatment_date"))).len()
