"""Projects scenarios: weight, fish, feed and biomass of each day, for all scenarios at once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, Ints, cubed, rounded_units, third_power
from aquamind_pipeline.projection.models import ScenarioModels
from aquamind_pipeline.projection.profiles import profile_table
from aquamind_pipeline.projection.refusals import refusals
from aquamind_pipeline.projection.rules import AQUAMIND, HALL_C, ProjectionRules
from aquamind_pipeline.projection.spans import spans

Bools = np.typing.NDArray[np.bool_]


@dataclass(frozen=True)
class Projection:
    """The result of projecting some scenarios.

    Attributes:
        rows: scenario_id, day_number, projection_date, average_weight (g), population (fish), biomass (kg), daily_feed
            (kg), cumulative_feed (kg), temperature (°C), current_stage_id: the columns of scenario_scenarioprojection,
            sorted by scenario and day. A scenario that was not projected has none.
        runs: scenario_id, outcome ("ok"; "refused" for a scenario that breaks a rule; "crash" where AquaMind's engine
            fails midway), reasons (words, separated by blanks), total_projections, final_weight_g, final_biomass_kg,
            days_of_chance (days on which AquaMind draws a random number), sorted by scenario.
    """

    rows: pl.DataFrame
    runs: pl.DataFrame


def project(models: ScenarioModels, rules: ProjectionRules = AQUAMIND, luck: pl.DataFrame | None = None) -> Projection:
    """Project every scenario.

    AquaMind draws an unseeded random number where less than one fish is expected to die. Here the expectation is
    rounded instead, so the same scenario always gives the same rows.

    Args:
        models: The scenarios and their models.
        rules: Behaviour of the projection.
        luck: Random numbers to use instead: scenario_id, day_number, u (from 0 to below 1). A fish dies if `u` is below
            the expected deaths.
    """
    refused = refusals(models)
    good = refused.filter(pl.col("reasons").list.len() == 0)
    scenarios = models.scenarios.join(good, on="scenario_id", how="semi").sort("scenario_id")
    table = _Days(scenarios, models, rules, luck)
    table.run()
    rows = table.rows()
    runs = refused.select("scenario_id", refused=pl.col("reasons").list.join(" ")).join(
        table.runs(rows), on="scenario_id", how="left", maintain_order="left"
    )
    outcome = pl.coalesce("outcome", pl.lit("refused")).alias("outcome")
    reasons = pl.coalesce("reasons", "refused").alias("reasons")
    figures = ("total_projections", "final_weight_g", "final_biomass_kg", "days_of_chance")
    return Projection(rows, runs.select("scenario_id", outcome, reasons, *figures))


class _Days:
    """All scenarios side by side: arrays [day, scenario], of which a scenario uses the days of its duration."""

    def __init__(
        self, scenarios: pl.DataFrame, models: ScenarioModels, rules: ProjectionRules, luck: pl.DataFrame | None
    ) -> None:
        self._scenarios = scenarios
        self._spans = cut = spans(models, scenarios, rules)
        self._length = scenarios["duration_days"].cast(pl.Int64).to_numpy()
        n, width = scenarios.height, int(self._length.max(initial=0))
        self._shape = (width, n)
        self._day = np.concatenate([np.arange(days) for days in self._length]) if n else np.zeros(0, np.int64)
        self._cell = self._day * n + np.repeat(np.arange(n), self._length)
        # Which span a cell is in; a scenario that is over stays in its last one.
        self._span = np.repeat(np.arange(cut.height), cut["days"].to_numpy())
        span = np.zeros(self._shape, np.int64)
        span.ravel()[self._cell] = self._span
        self._temp_c = np.full(self._shape, np.nan)
        self._temp_c.ravel()[self._cell] = self._temperatures(models)
        self._gain = cut["coefficient"].to_numpy().take(span) * self._temp_c
        self._is_fed = cut["is_fed"].to_numpy().take(span)
        self._cap_g = cut["cap_g"].to_numpy().take(span)
        death_share = cut["death_share"].to_numpy().take(span)
        self._no_share = np.isnan(death_share)
        self._death_share = np.where(self._no_share, 0.0, death_share)
        self._fcr = cut["fcr"].to_numpy().take(span)
        self._overrides = _Overrides(models.fcr_overrides)
        self._band = self._overrides.position(cut["fcr_stage_id"]).to_numpy().take(span)
        self._luck = np.full(self._shape, np.nan)
        if luck is not None:
            number = pl.DataFrame({"scenario_id": scenarios["scenario_id"], "column": range(n)})
            drawn = luck.join(number, on="scenario_id").filter(pl.col("day_number") <= width)
            self._luck[drawn["day_number"].to_numpy() - 1, drawn["column"].to_numpy()] = drawn["u"].to_numpy()
        self._weight, self._fish = np.zeros(self._shape), np.zeros(self._shape)
        self._feed_units: Ints = np.zeros(self._shape, np.int64)
        self._chance = np.zeros(n, np.int64)
        self._crash_day, self._crash = np.zeros(n, np.int64), np.full(n, "", object)

    def _temperatures(self, models: ScenarioModels) -> Floats:
        """Temperature of each row: that of the profile in force, or of a hall (P5)."""
        profiles = sorted(self._spans["profile_id"].unique().drop_nulls())
        table = profile_table(models.temperatures, profiles, self._shape[0])
        row = np.searchsorted(profiles, self._spans["profile_id"].to_numpy())
        in_hall = self._spans["in_hall"].to_numpy()
        return np.where(in_hall[self._span], HALL_C, table[row[self._span], self._day])

    def run(self) -> None:
        """Project day by day: deaths, growth, feed (P8, P9, P11 to P13)."""
        weight = self._scenarios["initial_weight"].cast(pl.Float64).to_numpy().copy()
        fish = self._scenarios["initial_count"].cast(pl.Float64).to_numpy().copy()
        has_bands: Bools = np.logical_or.reduce(self._band >= 0, axis=1)
        stops: Bools = np.logical_or.reduce(self._no_share, axis=1)
        for d in range(self._shape[0]):
            lives: Bools = (d < self._length) & (self._crash_day == 0)
            self._stop(d, lives & (weight < 0), "negative_weight")
            if stops[d]:
                self._stop(d, lives & self._no_share[d], "weekly_rate_without_stage_row")
            fish = fish - self._deaths(d, fish, lives)
            fcr = self._overrides.fcr(self._band[d], weight, self._fcr[d]) if has_bands[d] else self._fcr[d]
            grown = np.minimum(cubed(third_power(weight) + self._gain[d]), self._cap_g[d])
            grown = np.where(self._is_fed[d], grown, weight)
            feed = (grown - weight) * fish / 1000.0 * fcr
            self._feed_units[d] = rounded_units(np.where(self._is_fed[d] & lives, feed, 0.0), 3)
            self._weight[d], self._fish[d] = grown, fish
            weight = grown

    def _deaths(self, d: int, fish: Floats, lives: Bools) -> Floats:
        """Fish that die on a day, rounded half to even; by chance where less than one is expected and luck is given."""
        expected = fish * self._death_share[d]
        by_chance = (expected > 0.0) & (expected < 1.0) & lives
        self._chance += by_chance
        luck = self._luck[d]
        drawn = by_chance & ~np.isnan(luck)
        dead: Floats = np.where(drawn, luck < expected, np.rint(expected))
        return dead

    def _stop(self, d: int, where: Bools, reason: str) -> None:
        """Note scenarios whose run ends on a day."""
        new = np.flatnonzero(where & (self._crash_day == 0))
        self._crash_day[new] = d + 1
        self._crash[new] = reason

    def rows(self) -> pl.DataFrame:
        """`Projection.rows`."""
        ran = np.repeat(self._crash_day == 0, self._length)
        cell = self._cell[ran]
        weight, fish = self._weight.take(cell), self._fish.take(cell)
        # The sum is of the rounded amounts, carried as floats and rounded when it is stored.
        cumulative = np.cumsum(self._feed_units / 1000.0, axis=0)
        columns = {
            "average_weight": weight,
            "population": fish,
            "biomass": rounded_units(weight * fish / 1000.0, 2) / 100.0,
            "daily_feed": self._feed_units.take(cell) / 1000.0,
            "cumulative_feed": rounded_units(cumulative.take(cell), 3) / 1000.0,
        }
        days, span = self._day[ran], self._span[ran]
        begins = self._scenarios["start_date"].gather(np.repeat(np.arange(self._shape[1]), self._length)[ran])
        frame = pl.DataFrame(
            {
                "scenario_id": self._spans["scenario_id"].gather(span),
                "day_number": days + 1,
                "projection_date": begins,
            }
            | columns
            | {
                "temperature": self._temp_c.take(cell),
                "current_stage_id": self._spans["lifecycle_stage_id"].gather(span),
            }
        )
        return frame.with_columns(
            projection_date=pl.col("projection_date") + pl.duration(days=pl.col("day_number") - 1)
        )

    def runs(self, rows: pl.DataFrame) -> pl.DataFrame:
        """scenario_id, outcome, reasons and figures of the scenarios that were not refused."""
        crashed = self._crash_day > 0
        reasons = [
            f"{reason} on day {day}" if day else "" for reason, day in zip(self._crash, self._crash_day, strict=True)
        ]
        finals = rows.group_by("scenario_id").agg(pl.col("average_weight", "biomass").last())
        return (
            self._scenarios.select("scenario_id", total_projections="duration_days")
            .with_columns(
                outcome=pl.when(pl.Series(crashed)).then(pl.lit("crash")).otherwise(pl.lit("ok")),
                reasons=pl.Series(reasons, dtype=pl.String),
                days_of_chance=pl.Series(self._chance),
            )
            .join(finals, on="scenario_id", how="left")
            .rename({"average_weight": "final_weight_g", "biomass": "final_biomass_kg"})
        )


class _Overrides:
    """Feed per growth by weight, for the FCR stages that have such rows (P12)."""

    def __init__(self, overrides: pl.DataFrame) -> None:
        """Lay the rows out by FCR stage and lower bound, with the bounds as floats that compare as the decimals do."""
        ordered = overrides.sort("fcr_stage_id", "min_weight_g", maintain_order=True).with_columns(
            band=pl.int_range(pl.len()).over("fcr_stage_id")
        )
        self._stages = ordered["fcr_stage_id"].unique(maintain_order=True)
        bands = int(ordered["band"].max() or 0) + 1  # type: ignore[arg-type]
        shape = (self._stages.len(), bands)
        self._least, self._most, self._fcr = np.full(shape, np.inf), np.full(shape, -np.inf), np.zeros(shape)
        if ordered.height:
            at = (self.position(ordered["fcr_stage_id"]).to_numpy(), ordered["band"].to_numpy())
            self._least[at] = [_at_least(bound) for bound in ordered["min_weight_g"]]
            self._most[at] = [_at_most(bound) for bound in ordered["max_weight_g"]]
            self._fcr[at] = ordered["fcr_value"].cast(pl.Float64).to_numpy()

    def position(self, fcr_stage_ids: pl.Series) -> pl.Series:
        """Row of each FCR stage in the table; -1 for one without overrides."""
        return fcr_stage_ids.replace_strict(self._stages, range(self._stages.len()), default=-1, return_dtype=pl.Int64)

    def fcr(self, position: Ints, weight: Floats, otherwise: Floats) -> Floats:
        """Feed per growth at a weight: the first band that holds it, else the value of the stage."""
        held = (self._least[position] <= weight[:, None]) & (weight[:, None] <= self._most[position])
        held &= (position >= 0)[:, None]
        value = self._fcr[position, held.argmax(axis=1)]
        return np.where(held.any(axis=1), value, otherwise)


def _at_least(bound: Decimal) -> float:
    """The smallest float that is not below a decimal."""
    value = float(bound)
    return value if Decimal(value) >= bound else float(np.nextafter(value, np.inf))


def _at_most(bound: Decimal) -> float:
    """The largest float that is not above a decimal."""
    value = float(bound)
    return value if Decimal(value) <= bound else float(np.nextafter(value, -np.inf))


__all__ = ["Projection", "project"]
