"""Growth samples: thirty fish weighed and measured on fixed days of each batch, reported by their aggregates."""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.arithmetic import Floats, rounded
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.biology import FULTON_K, length_cm
from aquamind_pipeline.simulation.schedule import Plan, is_sampling_day, samples_before

SAMPLE_SIZE = 30
WEIGHT_VARIATION, CONDITION_VARIATION = 0.15, 0.06
"""Coefficients of variation within a container: weight 10-20 % after grading, condition factor about 6 %."""


def growth_samples(seed: int, plan: Plan, days: pl.DataFrame, per_week: int) -> pl.DataFrame:
    """batch_growthsample of some of life's `days`, of every stage that feeds."""
    lived = (
        days.filter((pl.col("stage") > 1) & is_sampling_day(pl.col("batch_day"), per_week))
        .join(plan.assignments.select("assignment_id", "first_sample_id", first_day="batch_day"), on="assignment_id")
        .with_columns(
            id=pl.col("first_sample_id")
            + samples_before(pl.col("batch_day"), per_week)
            - samples_before(pl.col("first_day"), per_week)
        )
        .sort("container_id", "date")
    )
    ids = lived["id"].to_numpy()

    def draw(name: str) -> Floats:
        return draws.normal(draws.stream(seed, "samples", name), ids)

    truth_g = lived["weight_g"].to_numpy()
    root_n = float(np.sqrt(SAMPLE_SIZE))
    mean_g = np.maximum(truth_g * (1.0 + WEIGHT_VARIATION / root_n * draw("mean")), 0.01)
    # The standard deviation of a sample of n scatters by about 1/sqrt(2n); the extremes of 30 lie near 2.04 of it.
    deviation = WEIGHT_VARIATION * (1.0 + draw("spread") / float(np.sqrt(2.0 * SAMPLE_SIZE)))
    condition = FULTON_K * (1.0 + CONDITION_VARIATION / root_n * draw("condition"))
    mean_cm = length_cm(mean_g, condition)
    low = np.maximum(1.0 - deviation * (2.04 + 0.35 * draw("low")), 0.3)
    high = 1.0 + deviation * (2.04 + 0.35 * draw("high"))
    return lived.select(
        "id",
        "assignment_id",
        sample_date="date",
        sample_size=pl.lit(SAMPLE_SIZE, pl.Int32),
        avg_weight_g=rounded(mean_g, 10, 2),
        avg_length_cm=rounded(mean_cm, 10, 2),
        std_deviation_weight=rounded(mean_g * deviation, 10, 2),
        std_deviation_length=rounded(mean_cm * deviation / 3.0, 10, 2),
        min_weight_g=rounded(np.minimum(mean_g * low, mean_g), 10, 2),
        max_weight_g=rounded(mean_g * high, 10, 2),
        condition_factor=rounded(100.0 * mean_g / mean_cm**3, 10, 2),
    )


__all__ = ["SAMPLE_SIZE", "growth_samples"]
