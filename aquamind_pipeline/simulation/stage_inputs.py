"""What the days of a stage need before the first of them: temperature, chance, and factors of batches and containers.

Nothing here depends on what happens to the fish, so it is computed for all days at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, exponential
from aquamind_pipeline.simulation import deaths, draws, feeding_plan
from aquamind_pipeline.simulation.biology import Stage
from aquamind_pipeline.simulation.conditions import Conditions
from aquamind_pipeline.simulation.episodes import FRESHWATER_CAUSES, SEA_CAUSES, at_age, susceptibility

Reasons = np.typing.NDArray[np.int8]
"""Indexes into `deaths.REASONS`."""

_EPOCH = date(1970, 1, 1).toordinal()
_MONTH_DAYS = 30.4
_DEPTH_SPREAD_C = 0.1
"""Standard deviation of the temperature between the containers of a site."""
_VIGOUR_SPREAD = 0.01
"""Standard deviation of growth between the containers of a batch, as a share."""
_MOVE_SPREAD = 0.7
"""Standard deviation of the logarithm of the share of fish that die after a move."""
_MOVE_STRESS = 0.5
"""Share of their appetite that fish have lost when they arrive."""


@dataclass(frozen=True)
class Arrivals:
    """Fish that come into the containers of a stage.

    Attributes:
        fish: Fish of each container.
        root: Cube root of their weight in g.
        days: Days that they have been in the stage already; None if they begin it.
        lice: Lice per fish [stage of `lice.STAGES`, container]; None for none.
        gill: Mean gill score; None for 0.
        wound: Mean score of skin and fins; None for 0.
    """

    fish: Ints
    root: Floats
    days: Ints | None = None
    lice: Floats | None = None
    gill: Floats | None = None
    wound: Floats | None = None

    def of(self, chosen: np.typing.NDArray[np.bool_]) -> Arrivals:
        """Those of some containers."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        some: dict[str, Any] = {name: None if one is None else one[..., chosen] for name, one in values.items()}
        return Arrivals(**some)


@dataclass(frozen=True)
class StageInputs:
    """What is known of one stage. Days are counted from the first day of each container.

    Attributes:
        conditions: What site and date decide.
        stage: The stage.
        assignments: Its assignments, sorted by id.
        ids: Their ids [container].
        batch: Their batches [container].
        begins: Their first day, as `date.toordinal()` [container].
        ends: Day on which the fish leave by the plan [container].
        lived: Days to simulate [container].
        place: Row of the site in the arrays of `conditions` [container].
        where: Place and day in the arrays of `conditions` [day, container].
        water_c: Temperature of the water [day, container].
        gain: Growth of the cube root of the weight per day and °C at full appetite [container].
        hunger: Appetite by weekday and chance [day, container].
        fed_until: Days with feed before the fish are fasted for their move [container].
        background: Chance of death that needs no episode [day, container].
        background_reason: Its reason [day, container].
        failed_smolts: Chance of death of smolts that do not cope with salt water [day, container].
        resistance: How strongly a container feels each cause of episodes [container, cause].
        susceptibility: The same by the age of the fish [day, cause], or [day, container, cause] where ages differ.
        death_luck: Uniform draws that round the dead to whole fish [day, container].
        second_luck: The same for the dead of the second reason [day, container].
        reasons: Reason of each row of the table of chances: see `stage_days`.
        handling_loss: Share of the fish that die in the days after they came in [container].
        handling_stress: Share of their appetite that they have lost when they come in [container].
    """

    conditions: Conditions
    stage: Stage
    assignments: pl.DataFrame
    ids: Ints
    batch: Ints
    begins: Ints
    ends: Ints
    lived: Ints
    place: Ints
    where: Ints
    water_c: Floats
    gain: Floats
    hunger: Floats
    fed_until: Ints
    background: Floats
    background_reason: Reasons
    failed_smolts: Floats
    resistance: Floats
    susceptibility: Floats
    death_luck: Floats
    second_luck: Floats
    reasons: Ints
    handling_loss: Floats
    handling_stress: Floats

    @property
    def width(self) -> int:
        """Days of the container that is simulated longest."""
        return int(self.lived.max(initial=0))

    @classmethod
    def of(
        cls, conditions: Conditions, stage: Stage, assignments: pl.DataFrame, before: Ints | None = None
    ) -> StageInputs:
        """Look up and draw what the stage needs.

        Args:
            conditions: What site and date decide.
            stage: The stage.
            assignments: Its planned assignments, sorted by id.
            before: Days that the fish of each have been in the stage already; None if they begin it.
        """
        profile = conditions.profile
        seed, speed = profile.seed, profile.speed
        ids, batch, site = (assignments[name].to_numpy() for name in ("assignment_id", "batch_id", "site"))
        begins, planned = as_ordinals(assignments["assignment_date"]), assignments["days"].to_numpy()
        lived = np.clip(conditions.horizon - begins, 0, planned)
        width = int(lived.max(initial=0))
        day = np.arange(width, dtype=np.int64)[:, None]

        place = conditions.place(site)
        column = np.minimum(begins[None, :] + day - conditions.first_day, conditions.days - 1)
        where = place[None, :] * conditions.days + column
        depth = draws.normal(draws.stream(seed, "life", "container"), assignments["container_id"].to_numpy())
        vigour = draws.normal(draws.stream(seed, "life", "vigour"), ids)
        at_death = draws.bits(draws.stream(seed, "life", "deaths"), ids[None, :], day)
        of_day = draws.bits(draws.stream(seed, "life", "day"), ids[None, :], day)
        kind = (at_death >> np.uint64(16)).astype(np.uint16)

        background = (stage.daily_mortality * speed * deaths.background(seed, stage, batch))[None, :]
        background = background * deaths.day_factor(_bell((of_day >> np.uint64(32)).astype(np.uint32)))
        if stage.at_sea:
            months = np.arange(width) * speed / _MONTH_DAYS if before is None else (day + before) * speed / _MONTH_DAYS
            background *= at_age(deaths.AGE_AT_SEA, months if before is not None else months[:, None])
            susceptible = susceptibility(SEA_CAUSES, months)
        else:
            of_stage = susceptibility(FRESHWATER_CAUSES, np.array([float(stage.order)]))
            susceptible = np.broadcast_to(of_stage, (width, len(FRESHWATER_CAUSES)))
        hunger = conditions.week.take(column)
        hunger *= 1.0 + feeding_plan.APPETITE_SPREAD * _bell(of_day.astype(np.uint32))
        moved = deaths.MOVE_LOSS[stage.order - 1]
        move_luck = draws.normal(draws.stream(seed, "deaths", "moved"), batch, stage.order)
        return cls(
            conditions=conditions,
            stage=stage,
            assignments=assignments,
            ids=ids,
            batch=batch,
            begins=begins,
            ends=begins + planned,
            lived=lived,
            place=place,
            where=where,
            water_c=conditions.temp_c.take(where) + (_DEPTH_SPREAD_C * depth)[None, :],
            gain=stage.tgc / 1000 * speed * feeding_plan.FULL[stage.order - 1] * (1.0 + _VIGOUR_SPREAD * vigour),
            hunger=hunger,
            fed_until=feeding_plan.last_fed(seed, speed, stage, batch, planned),
            background=background,
            background_reason=deaths.background_reason(kind, stage),
            failed_smolts=np.zeros((width, 1))
            if before is not None
            else deaths.failed_smolts(seed, speed, stage, batch, width),
            resistance=deaths.feels(seed, stage, batch, ids),
            susceptibility=susceptible,
            death_luck=(at_death >> np.uint64(32)).astype(np.float64) * 2.0**-32,
            second_luck=(at_death & np.uint64(0xFFFF)).astype(np.float64) * 2.0**-16,
            reasons=np.concatenate([deaths.FIXED_REASONS, deaths.reasons_of(stage.at_sea)]),
            handling_loss=moved * exponential(_MOVE_SPREAD * move_luck),
            handling_stress=np.full(ids.size, _MOVE_STRESS if moved else 0.0),
        )


def as_ordinals(dates: pl.Series) -> Ints:
    """Dates as numbers as by `date.toordinal()`."""
    return dates.to_physical().to_numpy().astype(np.int64) + _EPOCH


def as_dates(ordinals: Ints) -> pl.Series:
    """Days as dates, from numbers as by `date.toordinal()`."""
    return pl.Series((ordinals - _EPOCH).astype(np.int32)).cast(pl.Date)


def _bell(random_bits: np.typing.NDArray[np.uint32]) -> Floats:
    """Bell-shaped deviates with standard deviation 1: the sum of two uniforms of 16 bits."""
    total = (random_bits & np.uint32(0xFFFF)) + (random_bits >> np.uint32(16))
    bell: Floats = (total - 65_535.0) * (np.sqrt(6.0) / 65_536.0)
    return bell


__all__ = ["Arrivals", "Reasons", "StageInputs", "as_dates", "as_ordinals"]
