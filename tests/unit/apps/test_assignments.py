"""What closed assignments keep, and what AquaMind's engine makes of it."""

from __future__ import annotations

import polars as pl
from polars.testing import assert_frame_equal

from aquamind_pipeline.apps import REGISTRY
from aquamind_pipeline.apps.batch.assignments import ASSIGNMENTS
from aquamind_pipeline.apps.batch.daily_states import STATES
from aquamind_pipeline.growth.assimilation import assimilate
from aquamind_pipeline.growth.rules import AQUAMIND
from aquamind_pipeline.schema.frames import complete
from tests.helpers.farms import Made, books


def _closed(made: Made) -> pl.DataFrame:
    """Closed assignments of a day at least. Those of less than a day, such as of trucks, have no states."""
    closed = made.frame(ASSIGNMENTS.name).filter(~pl.col("is_active"))
    return closed.filter(pl.col("departure_date") > pl.col("assignment_date")).rename({"id": "assignment_id"})


def _moved(made: Made) -> pl.DataFrame:
    """Transfers that were executed, with their date."""
    actions = complete(made.scan("batch_transferaction"), REGISTRY.table("batch_transferaction"))
    return actions.filter(status="COMPLETED").rename({"actual_execution_date": "date"}).collect()


def test_a_closed_assignment_keeps_the_fish_that_left_it(tiny_made: Made) -> None:
    """I4: they are the fish of its last state, and those of the records by which they left."""
    closed, states = _closed(tiny_made), tiny_made.frame(STATES.name)
    last = states.sort("date").group_by("assignment_id").agg(pl.col("date", "population").last())
    both = closed.join(last, on="assignment_id")
    assert both.height == closed.height > 50
    assert both.filter(pl.col("population_count") != pl.col("population")).is_empty()
    assert both.filter(pl.col("date") != pl.col("departure_date").dt.offset_by("-1d")).is_empty()

    moved = _moved(tiny_made).rename({"source_assignment_id": "assignment_id"})
    last_day = moved.join(closed, on="assignment_id").filter(pl.col("date") == pl.col("departure_date"))
    left = last_day.group_by("assignment_id").agg(
        left=(pl.col("transferred_count") + pl.col("mortality_during_transfer")).cast(pl.Int64).sum()
    )
    events = tiny_made.frame("harvest_harvestevent").select("assignment_id", event_id="id")
    lots = tiny_made.frame("harvest_harvestlot").join(events, on="event_id")
    caught = lots.group_by("assignment_id").agg(left=pl.col("unit_count").cast(pl.Int64).sum())
    every = pl.concat([left, caught]).group_by("assignment_id").agg(pl.col("left").sum())  # mixed rings have both
    recorded = closed.join(every, on="assignment_id")
    assert recorded.height == closed.height
    assert recorded.filter(pl.col("population_count") != pl.col("left")).is_empty()


def test_a_closed_assignment_keeps_its_biomass(tiny_made: Made) -> None:
    """AquaMind's pages fail on a biomass of 0, which its API turns into null."""
    closed = _closed(tiny_made)
    kg = pl.col("population_count") * pl.col("avg_weight_g").cast(pl.Float64) / 1000
    assert closed.filter((pl.col("biomass_kg").cast(pl.Float64) - kg).abs() > 0.0051).is_empty()
    assert closed["biomass_kg"].min() > 0  # type: ignore[operator]


def test_aquaminds_engine_counts_the_deaths_of_a_tray_twice(tiny_made: Made) -> None:
    """R28: without a transfer on its first day an assignment opens with its count, and the deaths are taken off again.

    Ours open with the eggs that were laid, so that opening = left + deaths. Other assignments open with the fish that
    came, under both rules.
    """
    closed, records = _closed(tiny_made), books(tiny_made)
    theirs = assimilate(records, tiny_made.farm.as_of, AQUAMIND)
    died = records.deaths.group_by("assignment_id").agg(died=pl.col("count").cast(pl.Int64).sum())
    trays = closed.filter(pl.col("lifecycle_stage_id") == 1).join(died, on="assignment_id")
    assert trays.height
    for states, opening in (
        (theirs, pl.col("population_count").cast(pl.Int64)),
        (tiny_made.frame(STATES.name), pl.col("population_count") + pl.col("died")),
    ):
        first = states.sort("date").group_by("assignment_id").agg(pl.col("population", "mortality_count").first())
        opened = trays.join(first, on="assignment_id").select(
            "assignment_id",
            expected=opening.cast(pl.Int64),
            opened=(pl.col("population") + pl.col("mortality_count")).cast(pl.Int64),
        )
        assert opened.height == trays.height
        assert opened.filter(pl.col("expected") != pl.col("opened")).is_empty()

    moved = _moved(tiny_made).join(
        closed.select("assignment_id", "departure_date"), left_on="source_assignment_id", right_on="assignment_id"
    )
    early = moved.filter(pl.col("date") < pl.col("departure_date"))  # AquaMind counts such fish at both ends
    touched = pl.concat([early["source_assignment_id"], early["dest_assignment_id"]])
    whole = closed.filter(pl.col("lifecycle_stage_id") > 1, ~pl.col("assignment_id").is_in(touched.implode()))
    assert whole.height > 20
    others = pl.col("assignment_id").is_in(whole["assignment_id"].implode())
    columns = ("assignment_id", "date", "population")
    ours = tiny_made.frame(STATES.name).filter(others).select(columns).sort("assignment_id", "date")
    assert_frame_equal(theirs.filter(others).select(columns).sort("assignment_id", "date"), ours, check_dtypes=False)
