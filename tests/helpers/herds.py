"""Records of fish moved about at random: chains, splits, merges, top-ups, fish pumped on the same day."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from random import Random

import polars as pl
from hypothesis import strategies as st

from aquamind_pipeline.growth.records import Records

START = date(2026, 1, 1)
DAYS = 40
STAGES = ((1, "Fry", 1, 2.25, 0.5, 6.0), (2, "Parr", 2, 2.75, 6.0, 60.0), (3, "Smolt", 3, 2.75, 60.0, 180.0))
EMPTY = {"assignment_id": pl.Int64, "date": pl.Date, "count": pl.Int64}


def herds() -> st.SearchStrategy[Records]:
    """Records of a batch in a few containers, that fit together: nobody moves who is not there."""
    return st.integers(0, 2**32).map(seeded)


def seeded(seed: int) -> Records:
    """The herd of a seed."""
    return herd(Random(seed))  # noqa: S311 - reproducible, not secret


def herd(random: Random) -> Records:
    """Draw stays, then live their days: some fish die, some move to other stays, some are weighed."""
    number = random.randint(2, 7)
    begins = [0, *sorted(random.randint(0, DAYS // 2) for _ in range(number - 1))]
    stays = list(range(1, number + 1))
    fish: dict[int, int] = defaultdict(int)
    placements, transfers, deaths, weighings = [], [], [], []
    for day in range(DAYS):
        today = START + timedelta(days=day)
        for stay in (s for s in stays if begins[s - 1] == day):
            if stay == 1 or random.random() < 0.4:
                fish[stay] = random.randint(1, 100_000)
                placements.append((stay, today, fish[stay]))
        there = [s for s in stays if begins[s - 1] <= day]
        for _ in range(random.choice((0, 0, 0, 1, 2, 4))):
            source, dest = random.choice(there), random.choice(there)
            moved = random.randint(0, fish[source])
            # A day's moves go to later stays only: what goes round in a circle is another test's.
            if source >= dest or moved == 0:
                continue
            lost = random.randint(0, moved // 20)
            method = random.choice(("AVERAGE", "LARGEST", "SMALLEST"))
            measured = round(random.uniform(2, 90), 2) if random.random() < 0.3 else None
            transfers.append((source, dest, today, moved - lost, lost, measured, method))
            fish[source] -= moved
            fish[dest] += moved - lost
        for stay in there:
            if fish[stay] and random.random() < 0.5:
                dead = random.randint(0, max(1, fish[stay] // 50))
                fish[stay] -= dead
                deaths.append((stay, today, dead))
            if random.random() < 0.1:
                weighings.append((stay, today, round(random.uniform(2, 90), 2), "growth_sample"))
    by_stay = {"assignment_id": stays, "container_id": [100 + s for s in stays]}
    warm = [
        (100 + s, s, START + timedelta(days=d), "Temperature", 6 * c, 6, c)
        for s in stays
        for d in range(DAYS)
        if random.random() < 0.9
        for c in [round(random.uniform(2, 16), 2)]
    ]
    return Records(
        batches=pl.DataFrame(
            {"batch_id": [1], "start_date": [START], "profile_id": [1], "initial_weight_g": [0.1]},
        ),
        stages=pl.DataFrame(
            [
                (1, i, name, order, tgc, 0.001, False, low, high, None, None)
                for i, name, order, tgc, low, high in STAGES
            ],
            {
                "batch_id": pl.Int64,
                "lifecycle_stage_id": pl.Int64,
                "name": pl.String,
                "order": pl.Int64,
                "tgc": pl.Float64,
                "daily_mortality": pl.Float64,
                "weekly": pl.Boolean,
                "expected_weight_min_g": pl.Float64,
                "expected_weight_max_g": pl.Float64,
                "constraint_min_g": pl.Float64,
                "constraint_max_g": pl.Float64,
            },
            orient="row",
        ),
        assignments=pl.DataFrame(by_stay).with_columns(
            batch_id=pl.lit(1, pl.Int64),
            lifecycle_stage_id=pl.Series([random.choice((1, 2, 3)) for _ in stays]),
            population_count=pl.Series([fish[s] for s in stays]),
            avg_weight_g=pl.Series([round(random.uniform(2, 90), 2) for _ in stays]),
            assignment_date=pl.Series([START + timedelta(days=b) for b in begins]),
            departure_date=pl.lit(None, pl.Date),
        ),
        placements=pl.DataFrame(placements, EMPTY, orient="row"),
        transfers=pl.DataFrame(
            transfers,
            {
                "source_assignment_id": pl.Int64,
                "dest_assignment_id": pl.Int64,
                "date": pl.Date,
                "count": pl.Int64,
                "deaths": pl.Int64,
                "measured_weight_g": pl.Float64,
                "selection_method": pl.String,
            },
            orient="row",
        ),
        deaths=pl.DataFrame(deaths, EMPTY, orient="row"),
        incomplete=pl.DataFrame(schema={"assignment_id": pl.Int64, "date": pl.Date}),
        weighings=pl.DataFrame(
            weighings,
            {"assignment_id": pl.Int64, "date": pl.Date, "weight_g": pl.Float64, "kind": pl.String},
            orient="row",
        ),
        temperature=pl.DataFrame(
            warm,
            {
                "container_id": pl.Int64,
                "assignment_id": pl.Int64,
                "date": pl.Date,
                "parameter": pl.String,
                "total_c": pl.Float64,
                "readings": pl.Int64,
                "first_c": pl.Float64,
            },
            orient="row",
        ),
        feed=pl.DataFrame(
            [(100 + s, s, START + timedelta(days=d), 12.5) for s in stays for d in range(DAYS)],
            {"container_id": pl.Int64, "assignment_id": pl.Int64, "date": pl.Date, "feed_kg": pl.Float64},
            orient="row",
        ),
        profiles=pl.DataFrame({"profile_id": [1, 1], "day_number": [1, 30], "temp_c": [6.0, 9.0]}),
    )
