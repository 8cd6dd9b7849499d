"""Daily states from records: the rows of batch_actualdailyassignmentstate."""

from __future__ import annotations

from datetime import date

import polars as pl

from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.growth.grid import days_of
from aquamind_pipeline.growth.ledger import with_population
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.rules import CORRECTED, RuleSet
from aquamind_pipeline.growth.temperature import with_temperature
from aquamind_pipeline.growth.weights import with_weight


def assimilate(records: Records, until: date, rules: RuleSet = CORRECTED) -> pl.DataFrame:
    """States of every assignment and day up to `until`, sorted by both; computed from records alone.

    Returns:
        Columns of batch_actualdailyassignmentstate but for its id. Values are carried at full precision and rounded
        where they are stored. `sources` and `confidence_scores` say where each value comes from (R42).

    Raises:
        InputError: when the records contradict themselves.
    """
    days = with_temperature(days_of(records, until), records, rules)
    states = with_weight(with_population(days, records), records, rules)
    states = _with_feed(states, records)
    biomass_kg = pl.col("population") * pl.col("weight_g") / 1000
    # Growth of the fish that were there all day: those that came in bring their weight, the dead take theirs along.
    came_kg = (pl.col("population") + pl.col("mortality_count")) * pl.col("before_g") / 1000
    gain_kg = biomass_kg - came_kg
    states = states.with_columns(biomass_kg=biomass_kg, gain_kg=gain_kg)
    has_fcr = (pl.col("feed_kg") > 0) & (pl.col("gain_kg") > rules.least_gain_kg)
    states = states.with_columns(
        fcr=pl.when(has_fcr).then(pl.col("feed_kg") / pl.col("gain_kg")),
        weight_source=pl.when(pl.col("anchor_g").is_not_null())
        .then(pl.lit("measured"))
        .when(pl.col("population") > 0)
        .then(pl.lit("tgc_computed"))
        .otherwise(pl.lit("unchanged")),
        weight_confidence=pl.when(pl.col("anchor_g").is_not_null())
        .then("anchor_confidence")
        .when(pl.col("population") > 0)
        .then(pl.min_horizontal("temp_confidence", 0.8))
        .otherwise(0.3),
    )
    fed, converted = pl.col("feed_kg") > 0, pl.col("fcr").is_not_null()
    return states.select(
        "assignment_id",
        "batch_id",
        "container_id",
        "lifecycle_stage_id",
        "date",
        "day_number",
        avg_weight_g=rounded(states["weight_g"], 10, 2),
        population=pl.col("population").cast(pl.Int32),
        biomass_kg=rounded(states["biomass_kg"], 12, 2),
        temp_c=rounded(states["temp_c"], 5, 2),
        mortality_count=pl.col("mortality_count").cast(pl.Int32),
        feed_kg=rounded(states["feed_kg"], 10, 2),
        observed_fcr=pl.when(converted).then(rounded(states["fcr"].fill_null(0.0), 8, 3)),
        anchor_type="anchor_type",
        sources=_json(
            '"',
            temp=pl.col("temp_source"),
            mortality=pl.lit("actual"),
            weight=pl.col("weight_source"),
            feed=pl.when(fed).then(pl.lit("actual")).otherwise(pl.lit("none")),
            fcr=pl.when(converted).then(pl.lit("calculated")).otherwise(pl.lit("insufficient_data")),
        ),
        confidence_scores=_json(
            "",
            temp=pl.col("temp_confidence"),
            mortality=pl.lit(1.0),
            weight=pl.col("weight_confidence"),
            feed=pl.when(fed).then(1.0).otherwise(0.0),
            fcr=pl.when(converted).then(0.9).otherwise(0.0),
        ),
    )


def _with_feed(states: pl.DataFrame, records: Records) -> pl.DataFrame:
    """feed_kg of the stay's own feeding events; of the container's where events name no stay."""
    own = records.feed.filter(pl.col("assignment_id").is_not_null())
    own = own.group_by("assignment_id", "date").agg(feed_kg=pl.col("feed_kg").sum())
    shared = records.feed.filter(pl.col("assignment_id").is_null()).select("container_id", "date", shared_kg="feed_kg")
    return (
        states.join(own, on=["assignment_id", "date"], how="left", maintain_order="left")
        .join(shared, on=["container_id", "date"], how="left", maintain_order="left")
        .with_columns(feed_kg=pl.coalesce("feed_kg", "shared_kg", pl.lit(0.0)))
        .drop("shared_kg")
    )


def _json(quote: str, **fields: pl.Expr) -> pl.Expr:
    """A JSON object with keys in order, each value between `quote`s."""
    parts: list[pl.Expr] = []
    for name, value in sorted(fields.items()):
        parts += [pl.lit(("{" if not parts else ", ") + f'"{name}": {quote}'), value.cast(pl.String), pl.lit(quote)]
    return pl.concat_str([*parts, pl.lit("}")])


__all__ = ["assimilate"]
