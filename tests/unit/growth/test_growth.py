"""Daily states: against the lives they were recorded from, and on fish moved about at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date, timedelta
from fractions import Fraction
from random import Random

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
from aquamind_pipeline.growth.record_grid import known
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.rules import AQUAMIND, CORRECTED
from aquamind_pipeline.simulation.profile import Profile
from tests.helpers.farms import Made, books, farms, make_or_skip
from tests.helpers.herds import DAYS, START, herds, seeded

KEY = ["assignment_id", "date"]
UNTIL = START + timedelta(days=DAYS - 1)
MANY = settings(max_examples=100)


@given(farms())
def test_states_are_the_lives_lived(profile: Profile) -> None:
    """One state per assignment and day, its fish and its dead to the unit."""
    made = make_or_skip(profile)
    states = assimilate(books(made), profile.as_of)
    both = made.life.days.join(states, on=KEY, how="full", coalesce=True, suffix="_found").sort(KEY)
    assert both.height == made.life.days.height == states.height
    assert (both["population"] == both["population_found"]).all()
    assert (both["deaths"] == both["mortality_count"]).all()


@given(farms())
def test_transfers_never_make_fish(profile: Profile) -> None:
    """AquaMind's Issue #112: nothing but eggs adds fish to a batch."""
    made = make_or_skip(profile)
    states = assimilate(books(made), profile.as_of)
    daily = states.group_by("batch_id", "date").agg(pl.col("population").sum()).sort("batch_id", "date")
    assert daily.filter(pl.col("population") > pl.col("population").shift(1).over("batch_id")).is_empty()


@given(farms(), st.randoms(use_true_random=False))
def test_batches_do_not_know_each_other(profile: Profile, random: Random) -> None:
    made = make_or_skip(profile)
    records = books(made)
    ids = made.plan.batches["batch_id"].to_list()
    random.shuffle(ids)
    alone = pl.concat(assimilate(records.of_batches([one]), profile.as_of) for one in ids)
    assert_frame_equal(alone.sort(KEY), assimilate(records, profile.as_of).sort(KEY))


def test_weights_follow_the_fish(tiny_made: Made) -> None:
    """Between weekly samples of 30 fish the weight stays within a tenth of the truth; anchors are where samples are."""
    states = assimilate(books(tiny_made), tiny_made.profile.as_of)
    both = tiny_made.life.days.join(states, on=KEY)
    error = both.select(error=pl.col("avg_weight_g").cast(pl.Float64) / pl.col("weight_g") - 1)["error"].abs()
    assert float(error.max()) < 0.15  # type: ignore[arg-type]
    assert float(error.mean()) < 0.03  # type: ignore[arg-type]
    sampled = tiny_made.events["batch_growthsample"].select("assignment_id", date="sample_date").unique()
    anchors = states.filter(pl.col("anchor_type") == "growth_sample").select(KEY)
    assert anchors.join(sampled, on=KEY, how="anti").is_empty()
    assert anchors.height > 0


def _up_to(frame: pl.DataFrame, column: str, day: date) -> int:
    return int(frame.filter(pl.col("date") <= day)[column].sum())


@MANY
@given(herds())
def test_fish_are_conserved(records: Records) -> None:
    """On every day: placed = alive + dead + dead in transfer, so no transfer, chain or top-up makes a fish."""
    states = assimilate(records, UNTIL)
    alive = states.group_by("date").agg(pl.col("population").cast(pl.Int64).sum()).sort("date")
    for day, count in alive.iter_rows():
        dead = _up_to(records.deaths, "count", day) + _up_to(records.transfers, "deaths", day)
        assert count == _up_to(records.placements, "count", day) - dead


@MANY
@given(herds())
def test_weights_are_continuous(records: Records) -> None:
    """A day's growth is small where nothing was weighed and nobody came; nobody left, nobody grows."""
    states = run(records, UNTIL)
    grid, found = states.known.grid, states.solution
    quiet = (states.known.anchor == 0) & (states.known.arrived == 0) & (grid.day > grid.start[grid.owner])
    before = np.concatenate([[np.nan], found.weight_g[:-1]])
    growth = np.cbrt(found.weight_g[quiet]) - np.cbrt(before[quiet])
    assert (growth >= -1e-9).all()
    assert (growth <= 0.00275 * 16 + 1e-9).all()
    assert (np.abs(growth[found.population[quiet] == 0]) < 1e-9).all()
    alone = (states.known.arrived == 0) & (grid.day > grid.start[grid.owner])
    assert (found.population[alone] <= np.concatenate([[0], found.population[:-1]])[alone]).all()


@MANY
@given(herds())
def test_mixed_fish_weigh_between_their_sources(records: Records) -> None:
    """What comes into a day by transfer lies between the lightest and the heaviest that were mixed."""
    states = run(records, UNTIL)
    facts, found = states.known, states.solution
    known_g = [facts.own_g, facts.moves.given_g[~np.isnan(facts.moves.given_g)], found.weight_g]
    lightest, heaviest = np.min(np.concatenate(known_g)), np.max(np.concatenate(known_g))
    came = facts.arrived > 0
    assert (found.before_g[came] >= lightest * (1 - 1e-9)).all()
    assert (found.before_g[came] <= heaviest * (1 + 1e-9)).all()


@MANY
@given(herds(), st.randoms(use_true_random=False))
def test_order_of_records_does_not_matter(records: Records, random: Random) -> None:
    """But for what was measured several times on one day, where AquaMind's order of reading decides."""
    records = replace(
        records,
        transfers=records.transfers.with_columns(
            measured_weight_g=pl.when(pl.struct("source_assignment_id", "date").is_unique()).then("measured_weight_g")
        ),
    )
    shuffled = replace(
        records,
        **{
            field.name: getattr(records, field.name).sample(fraction=1, shuffle=True, seed=random.randint(0, 2**32))
            for field in fields(records)
        },
    )
    assert_frame_equal(assimilate(shuffled, UNTIL), assimilate(records, UNTIL))


@MANY
@given(herds(), st.integers(0, DAYS - 2))
@example(seeded(300), 28)  # on the first day after the split, fish go from a stay into which others come
def test_a_split_run_is_the_whole_run(records: Records, days: int) -> None:
    """Byte for byte, wherever it is split: the second run knows only where the first one ended."""
    records = replace(records, temperature=records.temperature.clear())  # what is measured later fills gaps before
    split = START + timedelta(days=days)
    first = run(records, split)
    second = assimilate(records, UNTIL, carried=first.carried(split))
    assert_frame_equal(pl.concat([assimilate(records, split), second]).sort(KEY), assimilate(records, UNTIL))


@MANY
@given(herds())
def test_steps_and_sums_agree(records: Records) -> None:
    """The closed form against stepping day by day, under the rules that allow both."""
    facts = known(records, UNTIL, CORRECTED)
    summed, stepped = closed_form_solver.solve(facts, CORRECTED), daily_solver.solve(facts, CORRECTED)
    assert (summed.population == stepped.population).all()
    assert (summed.deaths == stepped.deaths).all()
    np.testing.assert_allclose(summed.weight_g, stepped.weight_g, rtol=1e-9)
    np.testing.assert_allclose(summed.before_g, stepped.before_g, rtol=1e-9)


@given(herds())
def test_every_state_is_whole(records: Records) -> None:
    """Under AquaMind's rules and ours, nothing is missing but what says so by its source."""
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


def test_two_in_one_container_each_have_their_own() -> None:
    """Feed and temperature that name a stay are its own; feed that names the container only is shared by biomass."""
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
    given_kg = unnamed.feed.group_by("date").agg(pl.col("feed_kg").sum()).sort("date")
    found_kg = shared.group_by("date").agg(pl.col("feed_kg").cast(pl.Float64).sum()).sort("date")
    there = given_kg.join(found_kg, on="date", suffix="_found")
    assert there.filter((pl.col("feed_kg") - pl.col("feed_kg_found")).abs() > 0.05).is_empty()
    assert shared["sources"].str.contains('"feed": "shared"').any()
    assert AQUAMIND.own_records is False
    everyones = assimilate(unnamed, UNTIL, AQUAMIND)
    assert set(everyones["feed_kg"].cast(pl.Float64)) == {12.5 * records.assignments.height}


def _put(name: str, **values: object) -> Callable[[Records], Records]:
    """The records with values in the first row of a table."""

    def change(records: Records) -> Records:
        frame = getattr(records, name)
        first = [pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(v)).otherwise(k).alias(k) for k, v in values.items()]
        return replace(records, **{name: frame.with_columns(first).cast(frame.schema)})

    return change


WRONG = [
    (lambda r: replace(r, stages=r.stages.clear()), "the scenario of batch 1 does not know its stage"),
    (lambda r: replace(r, batches=r.batches.clear()), "batch 1 has no scenario; pin a projection run"),
    (_put("assignments", population_count=-5), "population_count of -5"),
    (_put("assignments", assignment_date=date(2025, 12, 31)), "before its batch 1"),
    (_put("assignments", departure_date=date(2025, 12, 31)), "ends on 2025-12-31, before it begins"),
    (_put("deaths", count=-1), "mortality event of .* counts -1 fish"),
    (_put("placements", count=-1), "egg delivery of .* counts -1 fish"),
    (_put("weighings", weight_g=-0.5), "weighing of .* is -0.5 g"),
    (_put("transfers", count=-1), "negative count or weight"),
    (_put("transfers", dest_assignment_id=1, source_assignment_id=1), "goes to its own source"),
    (_put("transfers", date=date(2025, 12, 31)), "comes before its source exists"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_what_cannot_be_is_refused(change: Callable[[Records], Records], message: str) -> None:
    records = seeded(3)
    assert records.transfers.height
    assert records.weighings.height
    with pytest.raises(InputError, match=message):
        assimilate(change(records), UNTIL)


def test_a_transfer_after_its_source_has_ended_is_refused() -> None:
    records = seeded(3)
    source, day = records.transfers.sort("date").select("source_assignment_id", "date").row(-1)
    ended = pl.when(assignment_id=source).then(pl.lit(day - timedelta(days=1))).alias("departure_date")
    with pytest.raises(InputError, match="comes after its source has ended"):
        assimilate(replace(records, assignments=records.assignments.with_columns(ended)), UNTIL)


def test_what_weighs_nothing_was_not_weighed() -> None:
    """A sample of 0 g and none at all give the same states."""
    records = seeded(3)
    zero = replace(records, weighings=records.weighings.with_columns(weight_g=pl.lit(0.0)))
    none = replace(records, weighings=records.weighings.clear())
    assert_frame_equal(assimilate(zero, UNTIL), assimilate(none, UNTIL))


def test_water_that_nobody_measured_stays_unknown() -> None:
    """Without readings the profile holds; without a profile nothing is known, and the states say so."""
    records = seeded(4)
    dry = replace(records, temperature=records.temperature.clear())
    assert set(assimilate(dry, UNTIL)["sources"].str.json_path_match("$.temp")) == {"profile"}
    unknown = assimilate(replace(dry, profiles=records.profiles.clear()), UNTIL)
    assert unknown["temp_c"].null_count() == unknown.height
    assert set(unknown["sources"].str.json_path_match("$.temp")) == {"none"}
    assert set(unknown["confidence_scores"].str.json_path_match("$.temp")) == {"0.0"}


def test_transfers_in_a_circle_are_refused() -> None:
    """Two containers that each got their first fish from the other: no weight follows from that."""
    records = seeded(3)
    begin = records.assignments["assignment_date"][0]
    pair = records.transfers.head(2).with_columns(
        source_assignment_id=pl.Series([1, 2]),
        dest_assignment_id=pl.Series([2, 1]),
        date=pl.lit(begin),
        measured_weight_g=pl.lit(None, pl.Float64),
    )
    assignments = records.assignments.with_columns(assignment_date=pl.lit(begin))
    nobody = replace(records, assignments=assignments, transfers=pair, placements=records.placements.clear())
    with pytest.raises(InputError, match="circle"):
        assimilate(nobody, UNTIL)
    with pytest.raises(InputError, match="circle"):
        daily_solver.solve(known(nobody, UNTIL, CORRECTED), CORRECTED)


@settings(max_examples=500)
@given(st.floats(-1e9, 1e9), st.integers(0, 3))
def test_rounding_is_pythons(value: float, scale: int) -> None:
    assert int(rounded_units(np.array([value]), scale)[0]) == round(round(value, scale) * 10**scale)


def test_ties_are_rounded_by_their_binary_value() -> None:
    """All thousandths that end in five, which are above, below or at the tie only as binary numbers."""
    values = np.arange(5, 2_000_000, 10) / 1000.0
    wanted = [round(round(value, 2) * 100) for value in values.tolist()]
    assert rounded_units(values, 2).tolist() == wanted


def test_powers_are_correctly_rounded() -> None:
    """Against exact arithmetic: no other float is nearer."""
    weights = np.array([0.1, 0.44, 1.0, 2.75, 60.0, 485.43, 7999.99])
    for weight, root, back in zip(weights, third_power(weights), cubed(weights), strict=True):
        exact = Fraction(float(weight)) ** 3
        assert abs(Fraction(float(back)) - exact) <= Fraction(float(np.spacing(back))) / 2
        assert abs(float(root) - float(weight) ** (1 / 3)) <= np.spacing(root)
