"""Daily states against the lives they were recorded from: life is the truth, assimilation knows only the books."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aquamind_pipeline.errors import InputError
from aquamind_pipeline.growth.assimilation import assimilate
from aquamind_pipeline.profile import Profile
from tests.farms import Made, books, farms, make_or_skip

KEY = ["assignment_id", "date"]


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
def test_batches_do_not_know_each_other(profile: Profile, random: object) -> None:
    made = make_or_skip(profile)
    records = books(made)
    ids = made.plan.batches["batch_id"].to_list()
    random.shuffle(ids)  # type: ignore[attr-defined]
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


def test_transfers_in_a_circle_are_refused(tiny_made: Made) -> None:
    """Two containers that each got their first fish from the other: no weight follows from that."""
    records = books(tiny_made)
    first = records.transfers.sort("date").head(1)
    one = records.transfers.join(first.select("date"), on="date", how="semi")["dest_assignment_id"].unique().sort()
    pair = pl.concat([first, first]).with_columns(
        source_assignment_id=one.head(2), dest_assignment_id=one.head(2).reverse()
    )
    circle = replace(records, transfers=pl.concat([records.transfers, pair]))
    with pytest.raises(InputError, match="circle"):
        assimilate(circle, tiny_made.profile.as_of)
