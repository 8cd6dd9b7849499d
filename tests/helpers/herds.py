"""Records of fish moved about at random: chains, splits, mergers, top-ups, fish pumped on the same day."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from random import Random

import polars as pl
from hypothesis import strategies as st

from aquamind_pipeline.growth.record_schema import FRAMES
from aquamind_pipeline.growth.records import Records

START = date(2026, 1, 1)
DAYS = 40
STAGES = ((1, "Fry", 1, 2.25, 0.5, 6.0), (2, "Parr", 2, 2.75, 6.0, 60.0), (3, "Smolt", 3, 2.75, 60.0, 180.0))


def herds() -> st.SearchStrategy[Records]:
    """Records of one batch in a few containers, without contradictions."""
    return st.integers(0, 2**32).map(seeded)


def seeded(seed: int) -> Records:
    """The herd of a seed."""
    return herd(Random(seed))  # noqa: S311 - reproducible, not secret


def frame(name: str, rows: list[tuple[object, ...]]) -> pl.DataFrame:
    """A frame of records with all its columns."""
    return pl.DataFrame(rows, FRAMES[name].schema, orient="row")


def herd(random: Random) -> Records:
    """Draw assignments and go through their days: fish die, move to other assignments, are weighed."""
    number = random.randint(2, 7)
    begins = [0, *sorted(random.randint(0, DAYS // 2) for _ in range(number - 1))]
    assignments = list(range(1, number + 1))
    fish: dict[int, int] = defaultdict(int)
    placements, transfers, deaths, weighings = [], [], [], []
    for day in range(DAYS):
        today = START + timedelta(days=day)
        for assignment in (a for a in assignments if begins[a - 1] == day):
            if assignment == 1 or random.random() < 0.4:
                fish[assignment] = random.randint(1, 100_000)
                placements.append((assignment, today, fish[assignment]))
        begun = [a for a in assignments if begins[a - 1] <= day]
        for _ in range(random.choice((0, 0, 0, 1, 2, 4))):
            source, dest = random.choice(begun), random.choice(begun)
            moved = random.randint(0, fish[source])
            # Only to later assignments, so that no transfers form a circle: another test has those.
            if source >= dest or moved == 0:
                continue
            lost = random.randint(0, moved // 20)
            method = random.choice(("AVERAGE", "LARGEST", "SMALLEST"))
            measured = round(random.uniform(2, 90), 2) if random.random() < 0.3 else None
            transfers.append((source, dest, today, moved - lost, lost, measured, method))
            fish[source] -= moved
            fish[dest] += moved - lost
        for assignment in begun:
            if fish[assignment] and random.random() < 0.5:
                dead = random.randint(0, max(1, fish[assignment] // 50))
                fish[assignment] -= dead
                deaths.append((assignment, today, dead))
            if random.random() < 0.1:
                weighings.append((assignment, today, round(random.uniform(2, 90), 2), "growth_sample"))
    temperature = [
        (100 + a, a, START + timedelta(days=d), "Temperature", 6 * c, 6, c)
        for a in assignments
        for d in range(DAYS)
        if random.random() < 0.9
        for c in [round(random.uniform(2, 16), 2)]
    ]
    stages = [random.choice((1, 2, 3)) for _ in assignments]
    weights = [round(random.uniform(2, 90), 2) for _ in assignments]
    return Records(
        batches=frame("batches", [(1, START, 1, 0.1)]),
        stages=frame(
            "stages",
            [
                (1, stage, name, order, tgc, 0.001, False, low, high, None, None)
                for stage, name, order, tgc, low, high in STAGES
            ],
        ),
        assignments=frame(
            "assignments",
            [
                (a, 1, 100 + a, stages[a - 1], fish[a], weights[a - 1], START + timedelta(days=begins[a - 1]), None)
                for a in assignments
            ],
        ),
        placements=frame("placements", placements),
        transfers=frame("transfers", transfers),
        deaths=frame("deaths", deaths),
        weighings=frame("weighings", weighings),
        temperature=frame("temperature", temperature),
        feed=frame("feed", [(100 + a, a, START + timedelta(days=d), 12.5) for a in assignments for d in range(DAYS)]),
        profiles=frame("profiles", [(1, 1, 6.0), (1, 30, 9.0)]),
    )
