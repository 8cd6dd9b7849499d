"""Daily states: against the lives they were recorded from, of fish moved about at random, and of wrong records."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aquamind_pipeline.arithmetic import cubed, rounded_units, third_power
from aquamind_pipeline.errors import InputError
from aquamind_pipeline.growth import closed_form_solver, daily_solver
from aquamind_pipeline.growth.assimilation import assimilate, run
from aquamind_pipeline.growth.record_grid import lay_out
from aquamind_pipeline.growth.record_schema import FRAMES, conform, empty
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.rules import AQUAMIND, CORRECTED, RuleSet
from aquamind_pipeline.growth.validation import validate
from aquamind_pipeline.quality import truth
from aquamind_pipeline.simulation.biology import WEIGHT_VARIATION
from aquamind_pipeline.simulation.profile import Profile
from tests.helpers.farms import Made, books, farms, make_or_skip
from tests.helpers.herds import DAYS, START, frame, herds, seeded
from tests.helpers.places import DOCS

KEY = ["assignment_id", "date"]
UNTIL = START + timedelta(days=DAYS - 1)
MANY = settings(max_examples=100)
PAGE = DOCS / "growth.md"


@given(farms())
def test_states_are_the_lives_lived(profile: Profile) -> None:
    """One state per assignment and day, with exactly the fish that lived and died."""
    made = make_or_skip(profile)
    states = assimilate(books(made), profile.as_of)
    both = made.life.days.join(states, on=KEY, how="full", coalesce=True, suffix="_state").sort(KEY)
    assert both.height == made.life.days.height == states.height
    assert (both["population"] == both["population_state"]).all()
    assert (both["deaths"] == both["mortality_count"]).all()


@given(farms())
def test_transfers_never_make_fish(profile: Profile) -> None:
    """AquaMind's issue #112: only eggs add fish to a batch."""
    made = make_or_skip(profile)
    states = assimilate(books(made), profile.as_of)
    daily = states.group_by("batch_id", "date").agg(pl.col("population").sum()).sort("batch_id", "date")
    gains = daily.filter(pl.col("population") > pl.col("population").shift(1).over("batch_id"))
    came = made.plan.trays.select("batch_id", date="assignment_date")
    assert gains.join(came, on=["batch_id", "date"], how="anti").is_empty()


@given(farms(), st.randoms(use_true_random=False))
def test_batches_are_independent(profile: Profile, random: Random) -> None:
    made = make_or_skip(profile)
    records = books(made)
    ids = made.plan.batches["batch_id"].to_list()
    random.shuffle(ids)
    alone = pl.concat(assimilate(records.of_batches([batch_id]), profile.as_of) for batch_id in ids)
    assert_frame_equal(alone.sort(KEY), assimilate(records, profile.as_of).sort(KEY))


def test_weights_follow_the_fish(tiny_made: Made) -> None:
    """The weight stays near the truth between samples of 10 fish; anchors are where samples are.

    On days of samples the error is that of weighing ten fish: five standard errors at most, 0.8 of one on average. The
    tiny farm's fish live ten days in one, so a day without feed makes an error of up to two fifths. Fry grow faster:
    with them it is three quarters.
    """
    states = assimilate(books(tiny_made), tiny_made.profile.as_of)
    both = tiny_made.life.days.join(states, on=KEY).with_columns(
        error=(pl.col("avg_weight_g").cast(pl.Float64) / pl.col("weight_g") - 1).abs()
    )
    spread = dict(enumerate(WEIGHT_VARIATION, 1))
    standard_error = pl.col("stage").replace_strict(spread, return_dtype=pl.Float64) / 10**0.5
    weighed = both.filter(pl.col("anchor_type") == "growth_sample").select(pl.col("error") / standard_error)["error"]
    assert float(weighed.max()) < 5  # type: ignore[arg-type]
    assert float(weighed.mean()) == pytest.approx(0.8, rel=0.15)  # type: ignore[arg-type]
    error = both["error"]
    assert float(error.max()) < 0.75  # type: ignore[arg-type]
    assert float(both.filter(pl.col("stage") != 2)["error"].max()) < 0.4  # type: ignore[arg-type]
    assert float(error.quantile(0.95)) < 0.115  # type: ignore[arg-type]
    assert float(error.mean()) < 0.045  # type: ignore[arg-type]
    sampled = tiny_made.events["batch_growthsample"].select("assignment_id", date="sample_date").unique()
    anchors = states.filter(pl.col("anchor_type") == "growth_sample").select(KEY)
    assert anchors.join(sampled, on=KEY, how="anti").is_empty()
    assert anchors.height > 0


def _up_to(frame: pl.DataFrame, column: str, day: date) -> int:
    return int(frame.filter(pl.col("date") <= day)[column].sum())


@MANY
@given(herds())
def test_fish_are_conserved(records: Records) -> None:
    """On every day, placed = alive + dead + dead in transfer."""
    states = assimilate(records, UNTIL)
    alive = states.group_by("date").agg(pl.col("population").cast(pl.Int64).sum()).sort("date")
    for day, count in alive.iter_rows():
        dead = _up_to(records.deaths, "count", day) + _up_to(records.transfers, "deaths", day)
        assert count == _up_to(records.placements, "count", day) - dead


@MANY
@given(herds())
def test_weights_are_continuous(records: Records) -> None:
    """Growth is small on a day without weighing and arrival, and none without fish."""
    solved = run(records, UNTIL)
    inputs, solution, grid = solved.inputs, solved.solution, solved.inputs.grid
    is_quiet = (inputs.anchor == 0) & (inputs.arrived == 0) & (grid.day > grid.start[grid.owner])
    before_g = np.concatenate([[np.nan], solution.weight_g[:-1]])
    growth = np.cbrt(solution.weight_g[is_quiet]) - np.cbrt(before_g[is_quiet])
    assert (growth >= -1e-9).all()
    assert (growth <= 0.00275 * 16 + 1e-9).all()
    assert (np.abs(growth[solution.population[is_quiet] == 0]) < 1e-9).all()
    no_arrival = (inputs.arrived == 0) & (grid.day > grid.start[grid.owner])
    before = np.concatenate([[0], solution.population[:-1]])
    assert (solution.population[no_arrival] <= before[no_arrival]).all()


@MANY
@given(herds())
def test_mixed_fish_weigh_between_their_sources(records: Records) -> None:
    """After an arrival, the mean weight lies between the lightest and the heaviest fish."""
    solved = run(records, UNTIL)
    inputs, solution = solved.inputs, solved.solution
    corrected_g = inputs.transfers.corrected_g
    weights = np.concatenate([inputs.initial_g, corrected_g[~np.isnan(corrected_g)], solution.weight_g])
    has_arrival = inputs.arrived > 0
    assert (solution.before_g[has_arrival] >= np.min(weights) * (1 - 1e-9)).all()
    assert (solution.before_g[has_arrival] <= np.max(weights) * (1 + 1e-9)).all()


@MANY
@given(herds(), st.randoms(use_true_random=False))
def test_order_of_records_does_not_matter(records: Records, random: Random) -> None:
    """Except where several transfers of a day were weighed: there AquaMind takes the first that it reads."""
    records = replace(
        records,
        transfers=records.transfers.with_columns(
            measured_weight_g=pl.when(pl.struct("source_assignment_id", "date").is_unique()).then("measured_weight_g")
        ),
    )
    shuffled = replace(
        records,
        **{
            name: rows.sample(fraction=1, shuffle=True, seed=random.randint(0, 2**32))
            for name, rows in records.frames().items()
        },
    )
    assert_frame_equal(assimilate(shuffled, UNTIL), assimilate(records, UNTIL))


@MANY
@given(herds(), st.integers(0, DAYS - 2))
@example(seeded(300), 28)  # on the first day after the split, an assignment both sends and receives fish
def test_a_split_run_is_the_whole_run(records: Records, days: int) -> None:
    """The second run continues from the carried end of the first one, and gives the same bytes as one run."""
    records = replace(records, temperature=empty("temperature"))  # later measurements would bridge earlier gaps
    split = START + timedelta(days=days)
    first = run(records, split)
    second = assimilate(records, UNTIL, carried=first.carried(split))
    assert_frame_equal(pl.concat([assimilate(records, split), second]).sort(KEY), assimilate(records, UNTIL))


@MANY
@given(herds())
def test_both_solvers_agree(records: Records) -> None:
    """Under rules that allow both."""
    inputs = lay_out(records, UNTIL, CORRECTED)
    closed, daily = closed_form_solver.solve(inputs, CORRECTED), daily_solver.solve(inputs, CORRECTED)
    assert (closed.population == daily.population).all()
    assert (closed.deaths == daily.deaths).all()
    np.testing.assert_allclose(closed.weight_g, daily.weight_g, rtol=1e-9)
    np.testing.assert_allclose(closed.before_g, daily.before_g, rtol=1e-9)


@given(herds())
def test_states_are_complete(records: Records) -> None:
    """Under AquaMind's rules and ours, only temperature, feed conversion and anchor may be null."""
    for rules in (AQUAMIND, CORRECTED):
        states = assimilate(records, UNTIL, rules)
        assert states.drop("temp_c", "observed_fcr", "anchor_type").null_count().sum_horizontal().item() == 0
        assert (states["avg_weight_g"] > 0).all()


def test_deaths_are_modelled_where_recording_is_declared_incomplete() -> None:
    """One fish in a thousand, on that day only, and only where none was recorded."""
    records = seeded(1)
    day = START + timedelta(days=3)
    records = replace(
        records,
        deaths=records.deaths.clear(),
        incomplete=pl.DataFrame({"assignment_id": [1], "date": [day]}),
    )
    states = assimilate(records, UNTIL).filter(assignment_id=1).sort("date")
    before, modelled = states.row(2, named=True), states.row(3, named=True)
    left = records.transfers.filter(source_assignment_id=1, date=day)
    assert modelled["mortality_count"] == round(before["population"] * 0.001) > 0
    assert modelled["population"] == before["population"] - modelled["mortality_count"] - int(
        (left["count"] + left["deaths"]).sum()
    )
    assert '"mortality": "model"' in modelled["sources"]
    assert '"mortality": 0.4' in modelled["confidence_scores"]
    assert int(states["mortality_count"].sum()) == modelled["mortality_count"]


def test_assignments_in_one_container_have_their_own_records() -> None:
    """Feed and temperature that name an assignment belong to it. Feed that names only the container is shared."""
    records = seeded(2)
    together = replace(
        records,
        assignments=records.assignments.with_columns(container_id=pl.lit(101, pl.Int64)),
        feed=records.feed.with_columns(container_id=pl.lit(101, pl.Int64)),
    )
    apart = assimilate(records, UNTIL).drop("container_id")
    assert_frame_equal(assimilate(together, UNTIL).drop("container_id"), apart)
    unnamed = replace(together, feed=together.feed.with_columns(assignment_id=pl.lit(None, pl.Int64)))
    shared = assimilate(unnamed, UNTIL)
    recorded_kg = unnamed.feed.group_by("date").agg(pl.col("feed_kg").sum())
    shared_kg = shared.group_by("date").agg(shared_kg=pl.col("feed_kg").cast(pl.Float64).sum())
    both_kg = shared_kg.join(recorded_kg, on="date")
    assert both_kg.height == DAYS
    assert both_kg.filter((pl.col("feed_kg") - pl.col("shared_kg")).abs() > 0.05).is_empty()
    assert shared["sources"].str.contains('"feed": "shared"').any()
    assert AQUAMIND.own_records is False
    all_to_each = assimilate(unnamed, UNTIL, AQUAMIND)
    assert set(all_to_each["feed_kg"].cast(pl.Float64)) == {12.5 * records.assignments.height}


def _set(name: str, **values: object) -> Callable[[Records], Records]:
    """A change of the first row of a frame."""

    def change(records: Records) -> Records:
        rows = getattr(records, name)
        is_first = pl.int_range(pl.len()) == 0
        first = [
            pl.when(is_first).then(pl.lit(value)).otherwise(column).alias(column) for column, value in values.items()
        ]
        return replace(records, **{name: rows.with_columns(first).cast(rows.schema)})

    return change


def _edit(name: str, edit: Callable[[pl.DataFrame], object]) -> Callable[[Records], Records]:
    """A change of a whole frame."""
    return lambda records: replace(records, **{name: edit(getattr(records, name))})


def _twice(name: str) -> Callable[[Records], Records]:
    return _edit(name, lambda rows: pl.concat([rows, rows.head(1)]))


# Refused under any rules.
WRONG_FRAMES = [
    (_edit("deaths", lambda f: f.to_dicts()), "Records.deaths is a list; give a Polars DataFrame"),
    (_edit("deaths", lambda f: f.lazy()), "Records.deaths is a polars.LazyFrame; give a Polars DataFrame"),
    (_edit("deaths", lambda f: f.drop("count")), "Records.deaths has no column 'count' (fish); add it"),
    (
        _edit("deaths", lambda f: f.rename({"count": "counts"})),
        "Records.deaths has a column 'counts', which is not read; rename it to 'count' (fish) or drop it",
    ),
    (_edit("temperature", lambda f: f.rename({"readings": "READINGS"})), "has a column 'READINGS', which is not read"),
    (
        _edit("assignments", lambda f: f.rename({"departure_date": "departure_dt"})),
        "Records.assignments has a column 'departure_dt', which is not read; rename it to 'departure_date'",
    ),
    (
        _edit("deaths", lambda f: f.with_columns(pl.col("date").cast(pl.String))),
        "Records.deaths: column 'date' (day) has the type String; cast it to Date",
    ),
    (
        _edit("deaths", lambda f: f.with_columns(pl.col("date").cast(pl.Datetime) + pl.duration(hours=9))),
        "Records.deaths: column 'date' (day) is 2026-01-0",
    ),
    (
        _edit("deaths", lambda f: f.with_columns(pl.col("count") + 0.5)),
        ".5 in row 0, which Int64 cannot hold; correct it",
    ),
    (
        _edit("deaths", lambda f: f.with_columns(count=pl.lit(2**63, pl.UInt64))),
        "Records.deaths: column 'count' (fish) is 9223372036854775808 in row 0, which Int64 cannot hold; correct it",
    ),
    (
        _edit("stages", lambda f: f.with_columns(weekly=pl.lit(0, pl.Int64))),
        "column 'weekly' (whether `daily_mortality` is the share of a week) has the type Int64; cast it to Boolean",
    ),
    (
        _edit("deaths", lambda f: f.with_columns(date=pl.lit(None, pl.Date))),
        "Records.deaths: column 'date' (day) is null in row 0",
    ),
    (
        _set("assignments", container_id=None),
        "Records.assignments: column 'container_id' (the container) is null in row 0;",
    ),
    (
        _set("batches", start_date=None),
        "column 'start_date' (its first day; states are numbered from it) is null in row 0",
    ),
    (
        _set("weighings", weight_g=float("nan")),
        "column 'weight_g' (mean weight, g; null or 0 g does not count) is nan in row 0; give a number, or null if",
    ),
    (_set("feed", feed_kg=float("inf")), "(feed, kg, with at most 4 decimals) is inf in row 0; give a number"),
    (
        _set("weighings", kind="sample"),
        "column 'kind' (occasion of the weighing) is sample in row 0; use growth_sample or vaccination",
    ),
    (_set("transfers", selection_method="largest"), "is largest in row 0; use AVERAGE or LARGEST or SMALLEST"),
    (_twice("assignments"), "Records.assignments has several rows with assignment_id 1; keep one of them"),
    (_twice("batches"), "Records.batches has several rows with batch_id 1; keep one of them"),
    (_twice("stages"), "Records.stages has several rows with batch_id 1 and lifecycle_stage_id 1; keep one of them"),
    (_twice("profiles"), "Records.profiles has several rows with profile_id 1 and day_number 1; keep one of them"),
    (_edit("stages", pl.DataFrame.clear), "the scenario of batch 1 does not know its stage"),
    (_edit("batches", pl.DataFrame.clear), "batch 1 has no scenario; pin a projection run to the batch"),
]


@pytest.mark.parametrize("rules", [AQUAMIND, CORRECTED], ids=lambda rules: rules.name)
@pytest.mark.parametrize(("change", "message"), WRONG_FRAMES, ids=[message for _, message in WRONG_FRAMES])
def test_wrong_frames_are_refused(change: Callable[[Records], Records], message: str, rules: RuleSet) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as error:
        assimilate(change(seeded(3)), UNTIL, rules)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("until", ["2026-01-10", datetime(2026, 1, 10), None])
def test_the_last_day_is_a_date(until: Any) -> None:
    with pytest.raises(InputError, match="the last day is .*; give a datetime.date"):
        assimilate(seeded(3), until)


def test_rules_are_no_name() -> None:
    rules: Any = "AQUAMIND"
    with pytest.raises(InputError, match="the rules are 'AQUAMIND'; give CORRECTED, AQUAMIND or another RuleSet"):
        assimilate(seeded(3), UNTIL, rules)


def test_aquaminds_rules_need_what_they_start_from() -> None:
    """Under our rules both columns may be null."""
    records = seeded(3)
    uncounted = _set("assignments", population_count=None)(records)
    with pytest.raises(InputError, match="assignment 1 has no population_count, with which the rules 'aquamind' begin"):
        assimilate(uncounted, UNTIL, AQUAMIND)
    assert_frame_equal(assimilate(uncounted, UNTIL), assimilate(records, UNTIL))
    no_mortality = _set("stages", daily_mortality=None)(records)
    with pytest.raises(InputError, match="stage Fry of batch 1 has no daily_mortality"):
        assimilate(no_mortality, UNTIL, AQUAMIND)
    assert_frame_equal(assimilate(no_mortality, UNTIL), assimilate(records, UNTIL))


# Refused under our rules only. In these records, assignment 1 has the first row of placements and transfers.
CONTRADICTIONS = [
    (_set("assignments", population_count=-5), "assignment 1 has a population_count of -5; correct it"),
    (_set("assignments", avg_weight_g=-1.0), "assignment 1 has an avg_weight_g of -1.0 g; correct it"),
    (_set("batches", initial_weight_g=-1.0), "batch 1 has an initial weight of -1.0 g; correct it"),
    (_set("assignments", assignment_date=date(2025, 12, 31)), "assignment 1 begins on 2025-12-31, before its batch 1"),
    (_set("assignments", departure_date=date(2025, 12, 31)), "assignment 1 ends on 2025-12-31, before it begins"),
    (_set("placements", count=-1), "egg delivery of 2026-01-01 in assignment 1 counts -1 fish"),
    (_set("placements", assignment_id=99), "egg delivery of 2026-01-01: there is no assignment 99; add the assignment"),
    (_set("deaths", count=-1), "counts -1 fish; correct it"),
    (_set("placements", count=3_000_000_000), "counts 3000000000 fish; correct it"),
    (_set("weighings", weight_g=1e300), "is 1e+300 g; correct it"),
    (_set("stages", tgc=-1.0), "stage Fry of batch 1 has a tgc of -1.0; give a number between 0 and 100"),
    (_set("temperature", total_c=1e9), "is 1000000000.0 °C in 6 readings; water has -10 to 100 °C: correct it"),
    (_set("profiles", temp_c=-99.0), "of temperature profile 1 has -99.0 °C; water has -10 to 100 °C: correct it"),
    (_set("deaths", assignment_id=99), "there is no assignment 99; add the assignment or correct the number"),
    (
        lambda r: replace(r, incomplete=frame("incomplete", [(99, START)])),
        "incomplete day of 2026-01-01: there is no assignment 99",
    ),
    (_set("weighings", weight_g=-0.5), "is -0.5 g; correct it"),
    (_set("weighings", assignment_id=99), "there is no assignment 99"),
    (_set("feed", feed_kg=-0.5), "feed of 2026-01-01 in container 101 is -0.5 kg; correct it"),
    (_set("stages", daily_mortality=3.0), "stage Fry of batch 1 has a daily_mortality of 3.0; give a share"),
    (_set("stages", expected_weight_max_g=-6.0), "stage Fry of batch 1 has a negative weight; correct it"),
    (_set("temperature", readings=0), "in container 101 has 0 readings; leave out days without readings"),
    (_set("transfers", count=-1), "has a negative or impossible count or weight; correct it"),
    (_set("transfers", dest_assignment_id=1, source_assignment_id=1), "from assignment 1 to 1 goes to its own source"),
    (_set("transfers", dest_assignment_id=98, source_assignment_id=99), "names no known assignment"),
    (_set("transfers", date=date(2025, 12, 31)), "comes before its source exists (2026-01-01)"),
    (
        lambda r: _set("assignments", population_count=None)(replace(r, placements=empty("placements"))),
        "assignment 1 has no fish: no population_count, no placement and no transfer to it; add one",
    ),
]


@pytest.mark.parametrize(("change", "message"), CONTRADICTIONS, ids=[message for _, message in CONTRADICTIONS])
def test_contradictions_are_refused(change: Callable[[Records], Records], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        assimilate(change(seeded(3)), UNTIL)


@pytest.mark.parametrize(
    "change", [change for change, _ in CONTRADICTIONS], ids=[message for _, message in CONTRADICTIONS]
)
def test_contradictions_pass_where_rules_allow_them(change: Callable[[Records], Records]) -> None:
    validate(change(seeded(3)), replace(CORRECTED, refuse_contradictions=False))


def test_a_transfer_after_its_source_has_ended_is_refused() -> None:
    records = seeded(3)
    source, day = records.transfers.sort("date").select("source_assignment_id", "date").row(-1)
    ended = pl.when(assignment_id=source).then(pl.lit(day - timedelta(days=1))).alias("departure_date")
    with pytest.raises(InputError, match="comes after its source has ended"):
        assimilate(replace(records, assignments=records.assignments.with_columns(ended)), UNTIL)


def _tank(**frames: pl.DataFrame) -> Records:
    """Ten days of 1,000 fish in tank 1, from where 600 go to tank 2 on day 3 and the others when tank 1 ends."""
    ends = START + timedelta(days=9)
    known = Records(
        batches=pl.DataFrame({"batch_id": [1], "start_date": [START]}),
        stages=pl.DataFrame({"batch_id": [1], "lifecycle_stage_id": [1], "name": ["Fry"], "order": [1], "tgc": [2.25]}),
        assignments=pl.DataFrame(
            {
                "assignment_id": [1, 2],
                "batch_id": [1, 1],
                "container_id": [11, 12],
                "lifecycle_stage_id": [1, 1],
                "assignment_date": [START, START + timedelta(days=2)],
                "departure_date": [ends, None],
            }
        ),
        placements=pl.DataFrame({"assignment_id": [1], "date": [START], "count": [1000]}),
        transfers=_moved((START + timedelta(days=2), 600), (ends, 400)),
    )
    return replace(known, **frames)


def _moved(*transfers: tuple[date, int]) -> pl.DataFrame:
    """Transfers from assignment 1 to 2."""
    days, counts = zip(*transfers, strict=True)
    return pl.DataFrame(
        {"source_assignment_id": 1, "dest_assignment_id": 2, "date": list(days), "count": list(counts)},
        schema_overrides={"source_assignment_id": pl.Int32},
    )


def _died(assignment_id: int, day: int, count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"assignment_id": [assignment_id], "date": [START + timedelta(days=day)], "count": [count]},
    )


TOO_MANY = [
    # Day 0 is the first one. All 1,000 die of 5,000 recorded.
    (
        _tank(deaths=_died(1, 1, 5000)),
        "assignment 1 on 2026-01-02: 5,000 fish die and 0 leave, but only 1,000 are there",
    ),
    (
        _tank(deaths=_died(1, 2, 500)),
        "assignment 1 on 2026-01-03: 500 fish die and 600 leave, but only 1,000 are there",
    ),
    (_tank(deaths=_died(2, 2, 601)), "assignment 2 on 2026-01-03: 601 fish die and 0 leave, but only 600 are there"),
    (_tank(deaths=_died(1, 5, 1)), "assignment 1 on 2026-01-10: 400 fish leave, but only 399 are there"),
    (
        _tank(transfers=_moved((START + timedelta(days=2), 1001))),
        "0 fish die and 1,001 leave, but only 1,000 are there",
    ),
    (
        _tank(deaths=pl.concat([_died(1, 1, 1001), _died(2, 2, 601)])),
        "assignment 1 on 2026-01-02: 1,001 fish die and 0 leave, but only 1,000 are there; correct the deaths, the "
        "transfers or the fish placed (1 more like it)",
    ),
]


@pytest.mark.parametrize(("records", "message"), TOO_MANY, ids=[message for _, message in TOO_MANY])
def test_more_fish_than_there_are_is_refused(records: Records, message: str) -> None:
    """By both solvers: the daily one is used where deaths of a day may be modelled."""
    with pytest.raises(InputError, match=re.escape(message)):
        assimilate(records, UNTIL)
    incomplete = pl.DataFrame({"assignment_id": [2], "date": [START + timedelta(days=20)]})
    modelled = replace(records, incomplete=incomplete, stages=records.stages.with_columns(daily_mortality=0.001))
    with pytest.raises(InputError, match=re.escape(message)):
        assimilate(modelled, UNTIL)
    assert not assimilate(records, UNTIL, replace(CORRECTED, refuse_contradictions=False)).is_empty()


def test_all_fish_that_are_there_may_die_or_leave() -> None:
    states = assimilate(_tank(), UNTIL)
    last = states.filter(pl.col("assignment_id") == 1).row(-1, named=True)
    assert (last["date"], last["population"]) == (START + timedelta(days=8), 400)
    assert states.row(-1, named=True)["population"] == 1000
    died = assimilate(_tank(deaths=_died(2, 20, 1000)), UNTIL)
    assert died.row(-1, named=True)["population"] == 0


def test_a_carried_run_refuses_more_fish_than_there_are() -> None:
    split = START + timedelta(days=4)
    first = run(_tank(), split)
    with pytest.raises(
        InputError, match="assignment 1 on 2026-01-06: 401 fish die and 0 leave, but only 400 are there"
    ):
        assimilate(_tank(deaths=_died(1, 5, 401)), UNTIL, carried=first.carried(split))
    with pytest.raises(InputError, match="assignment 1 on 2026-01-10: 400 fish leave, but only 399 are there"):
        assimilate(_tank(deaths=_died(1, 5, 1)), UNTIL, carried=first.carried(split))


def test_population_count_is_of_the_fish_that_did_not_die() -> None:
    """So 500 deaths and a count of 1,000 mean 1,500 fish at first. If more died than are left, that must be told."""
    one = Records(
        batches=_tank().batches,
        stages=_tank().stages,
        assignments=_tank().assignments.head(1).with_columns(population_count=1000),
        deaths=_died(1, 1, 500),
    )
    assert assimilate(one, UNTIL)["population"].to_list()[:2] == [1500, 1000]
    most = replace(one, deaths=_died(1, 1, 5000))
    with pytest.raises(InputError, match=r"assignment 1: 5,000 fish die \(Records.deaths\), more than .* of 1,000"):
        assimilate(most, UNTIL)
    placed = pl.DataFrame({"assignment_id": [1], "date": [START], "count": [6000]})
    assert assimilate(replace(most, placements=placed), UNTIL)["population"].to_list()[:2] == [6000, 1000]
    with pytest.raises(InputError, match="5,000 fish die and 0 leave, but only 1,000 are there"):
        assimilate(replace(most, placements=placed.with_columns(count=pl.lit(1000))), UNTIL)


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_may_be_left_out(name: str) -> None:
    """An absent frame is an empty one with the declared columns."""
    assert getattr(Records(), name).schema == FRAMES[name].schema
    assert getattr(Records(), name).is_empty()


def test_frames_are_those_of_records() -> None:
    assert list(Records().frames()) == list(FRAMES)


@pytest.mark.parametrize("rules", [AQUAMIND, CORRECTED], ids=lambda rules: rules.name)
def test_no_records_have_no_states(rules: RuleSet) -> None:
    states = assimilate(Records(), UNTIL, rules)
    assert states.is_empty()
    assert states.schema == assimilate(seeded(1), UNTIL, rules).schema


LEFT_OUT = {
    "batches": {"profile_id": None, "initial_weight_g": None},
    "stages": {
        "daily_mortality": None,
        "weekly": False,
        "expected_weight_min_g": None,
        "expected_weight_max_g": None,
        "constraint_min_g": None,
        "constraint_max_g": None,
    },
    "assignments": {"population_count": None, "avg_weight_g": None, "departure_date": None},
    "placements": {},
    "transfers": {"deaths": 0, "measured_weight_g": None, "selection_method": "AVERAGE"},
    "deaths": {},
    "incomplete": {},
    "weighings": {"kind": "growth_sample"},
    "temperature": {"assignment_id": None, "parameter": "temperature", "readings": 1, "first_c": None},
    "feed": {"assignment_id": None},
    "profiles": {},
}


@pytest.mark.parametrize("name", FRAMES)
def test_columns_that_are_left_out_get_their_default(name: str) -> None:
    """All others are required."""
    defaults = LEFT_OUT[name]
    full = pl.DataFrame({column: [None] for column in FRAMES[name].columns}, FRAMES[name].schema)
    conformed = conform(name, full.drop(*defaults))
    assert conformed.schema == FRAMES[name].schema
    assert conformed.select(*defaults).rows(named=True) == ([defaults] if defaults else [])
    for column in set(full.columns) - set(defaults):
        with pytest.raises(InputError, match=f"Records.{name} has no column '{column}'"):
            conform(name, full.drop(column))


def test_the_least_records() -> None:
    """1,000 fish of 1 g, of which 10 die on day 1: at 8 °C the cube root of the weight rises by 0.00225 x 8 a day."""
    tank = _tank()
    records = Records(
        batches=tank.batches,
        stages=tank.stages,
        assignments=tank.assignments.head(1).drop("departure_date"),
        placements=tank.placements,
        deaths=_died(1, 1, 10),
        temperature=pl.DataFrame(
            {"container_id": [11] * 3, "date": [START + timedelta(days=d) for d in range(3)]}
        ).with_columns(total_c=8),
    )
    states = assimilate(records, START + timedelta(days=2))
    assert states["population"].to_list() == [1000, 990, 990]
    assert states["mortality_count"].to_list() == [0, 10, 0]
    assert [float(c) for c in states["temp_c"]] == [8.0] * 3
    assert [float(g) for g in states["avg_weight_g"]] == [round((1 + 0.018 * day) ** 3, 2) for day in (1, 2, 3)]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("assignment_id", pl.Series([1, 2], dtype=pl.Int32)),
        ("assignment_id", pl.Series([1.0, 2.0])),
        ("assignment_id", pl.Series(["1", "2"]).cast(pl.Decimal(10, 0))),
        ("assignment_id", pl.Series([1, 2], dtype=pl.UInt64)),
        ("date", pl.Series([START, START]).cast(pl.Datetime("us"))),
        ("date", pl.Series([START, START]).cast(pl.Datetime("ms", "UTC"))),
        ("weight_g", pl.Series([2, 4])),
        ("weight_g", pl.Series([2.0, 4.0], dtype=pl.Float32)),
        ("weight_g", pl.Series(["2", "4"]).cast(pl.Decimal(10, 2))),
        ("kind", pl.Series(["growth_sample"] * 2, dtype=pl.Categorical)),
        ("kind", pl.Series(["growth_sample"] * 2, dtype=pl.Enum(["growth_sample"]))),
    ],
)
def test_values_are_cast_where_nothing_is_lost(column: str, values: pl.Series) -> None:
    wanted = frame("weighings", [(1, START, 2.0, "growth_sample"), (2, START, 4.0, "growth_sample")])
    assert_frame_equal(conform("weighings", wanted.with_columns(values.alias(column))), wanted)


def test_columns_that_growth_does_not_read_are_dropped() -> None:
    weighings = frame("weighings", [(1, START, 2.0, "growth_sample")])
    assert_frame_equal(conform("weighings", weighings.with_columns(comment=pl.lit("calm"))), weighings)


def test_a_frame_without_values_needs_no_types() -> None:
    nothing = pl.DataFrame({"assignment_id": [], "date": [], "weight_g": []})
    assert_frame_equal(conform("weighings", nothing), empty("weighings"))
    assert_frame_equal(conform("weighings", pl.DataFrame()), empty("weighings"))


def test_the_first_reading_is_the_mean_where_it_is_unknown() -> None:
    """AquaMind's rules bridge gaps from it."""
    records = seeded(4)
    readings = records.temperature.with_columns(parameter=pl.lit("temperature"), readings=2, first_c=None)
    means = readings.with_columns(first_c=pl.col("total_c") / 2)
    states = assimilate(replace(records, temperature=readings), UNTIL, AQUAMIND)
    assert states["sources"].str.contains("interpolated").any()
    assert_frame_equal(states, assimilate(replace(records, temperature=means), UNTIL, AQUAMIND))


@pytest.mark.generated
def test_docs_declare_every_column() -> None:
    """`make renew` writes the table anew."""
    text = PAGE.read_text("utf-8")
    begin, end = text.index("<!-- records -->\n"), text.index("<!-- end of records -->")
    table = "<!-- records -->\n" + "\n".join(_declared()) + "\n"
    if os.environ.get("WRITE_GOLDEN"):
        PAGE.write_text(text[:begin] + table + text[end:], "utf-8")
    else:
        assert text[begin:end] == table


def _declared() -> list[str]:
    rows = ["| frame | column | type | null | left out | meaning |", "|---|---|---|---|---|---|"]
    for name, declared in FRAMES.items():
        key = f"; unique by {', '.join(declared.key)}" if declared.key else ""
        rows.append(f"| **`{name}`** | | | | | {declared.meaning}{key} |")
        for column_name, column in declared.columns.items():
            default = "null" if column.default is None else str(column.default)
            meaning = column.meaning + (f" ({', '.join(column.choices)})" if column.choices else "")
            cells = ("", f"`{column_name}`", str(column.dtype), "yes" if column.nullable else "–")
            rows.append(f"| {' | '.join(cells).strip()} | {default if column.optional else '–'} | {meaning} |")
    return rows


def test_the_example_of_the_docs() -> None:
    example = re.search(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert example is not None
    names: dict[str, pl.DataFrame] = {}
    exec(example[1], names)  # noqa: S102 - the page's own code
    assert names["states"]["population"].to_list() == [1000] + [990] * 9
    assert names["states"]["sources"].str.contains('"temp": "nearest_before"').sum() == 7


def test_a_weighing_of_nothing_does_not_count() -> None:
    """A sample of 0 g, one of unknown weight and none at all give the same states."""
    records = seeded(3)
    without = assimilate(replace(records, weighings=empty("weighings")), UNTIL)
    for weight_g in (0.0, None):
        weighings = records.weighings.with_columns(weight_g=pl.lit(weight_g, pl.Float64))
        assert_frame_equal(assimilate(replace(records, weighings=weighings), UNTIL), without)


def test_unmeasured_temperature_is_the_profiles_or_unknown() -> None:
    """Without readings the profile is used. Without a profile the temperature is null."""
    records = seeded(4)
    dry = replace(records, temperature=records.temperature.clear())
    assert set(assimilate(dry, UNTIL)["sources"].str.json_path_match("$.temp")) == {"profile"}
    unknown = assimilate(replace(dry, profiles=records.profiles.clear()), UNTIL)
    assert unknown["temp_c"].null_count() == unknown.height
    assert set(unknown["sources"].str.json_path_match("$.temp")) == {"none"}
    assert set(unknown["confidence_scores"].str.json_path_match("$.temp")) == {"0.0"}


def test_transfers_in_a_circle_are_refused() -> None:
    """Two containers that each get their first fish from the other: their weight is unknown."""
    records = seeded(3)
    begin = records.assignments["assignment_date"][0]
    pair = records.transfers.head(2).with_columns(
        source_assignment_id=pl.Series([1, 2]),
        dest_assignment_id=pl.Series([2, 1]),
        date=pl.lit(begin),
        measured_weight_g=pl.lit(None, pl.Float64),
    )
    assignments = records.assignments.with_columns(assignment_date=pl.lit(begin))
    circle = replace(
        records, assignments=assignments, transfers=pair, placements=empty("placements"), deaths=empty("deaths")
    )
    with pytest.raises(InputError, match="form a circle"):
        assimilate(circle, UNTIL)
    with pytest.raises(InputError, match="form a circle"):
        daily_solver.solve(lay_out(circle, UNTIL, CORRECTED), CORRECTED)


@settings(max_examples=500)
@given(st.floats(-1e9, 1e9), st.integers(0, 3))
def test_rounding_is_pythons(value: float, scale: int) -> None:
    assert int(rounded_units(np.array([value]), scale)[0]) == round(round(value, scale) * 10**scale)


def test_ties_are_rounded_by_their_binary_value() -> None:
    """Thousandths that end in five. As binary numbers most lie above or below the tie."""
    values = np.arange(5, 2_000_000, 10) / 1000.0
    rounded = [round(round(value, 2) * 100) for value in values.tolist()]
    assert rounded_units(values, 2).tolist() == rounded


def test_powers_are_correctly_rounded() -> None:
    """Compared with exact arithmetic, no other float is nearer."""
    weights = np.array([0.1, 0.44, 1.0, 2.75, 60.0, 485.43, 7999.99])
    for weight, root, back in zip(weights, third_power(weights), cubed(weights), strict=True):
        exact = Fraction(float(weight)) ** 3
        assert abs(Fraction(float(back)) - exact) <= Fraction(float(np.spacing(back))) / 2
        assert abs(float(root) - float(weight) ** (1 / 3)) <= np.spacing(root)


def test_a_container_that_is_not_weighed_with_the_others_may_drift_on() -> None:
    """Fish of one container are treated while the other is weighed; the drift of its weight goes on."""
    days = [date(2026, 3, day) for day in (2, 3, 4)]
    key = {"assignment_id": [1, 1, 1, 2, 2, 2], "date": days * 2}
    life = pl.LazyFrame({**key, "batch_id": 1, "stage": 6, "population": 10, "weight_g": 1000.0, "temp_c": 8.0})
    life = life.with_columns(appetite=pl.lit(0.0))
    states = pl.LazyFrame(
        {
            **key,
            "population": 10,
            "avg_weight_g": 1000.0,
            "biomass_kg": 10.0,
            "confidence_scores": '{"weight": 0.9}',
            "anchor_type": ["growth_sample", None, "growth_sample", "growth_sample", None, None],
        }
    )
    drift = truth.errors(states, life, 10).sort("assignment_id", "date")["drift"].to_list()
    assert drift[0] == drift[2] == drift[3] == 0.0
    assert 0.0 < drift[1] == drift[4] < drift[5]
