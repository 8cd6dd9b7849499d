"""What a projection reads: scenarios and their models, as frames."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class ScenarioModels:
    """Scenarios with all models that they name. Columns that are not listed are left alone.

    Attributes:
        scenarios: scenario_id, start_date, duration_days, initial_count (fish), initial_weight (g, may be null),
            tgc_model_id, fcr_model_id, mortality_model_id.
        stages: Lifecycle stages of all species: lifecycle_stage_id, name, order.
        tgc_models: tgc_model_id, tgc_value, exponent_n, exponent_m, profile_id.
        tgc_stages: tgc_model_id, lifecycle_stage (a name), tgc_value.
        temperatures: profile_id, day_number, temperature (°C).
        fcr_stages: fcr_stage_id, fcr_model_id, lifecycle_stage_id, fcr_value, duration_days.
        fcr_overrides: fcr_stage_id, min_weight_g, max_weight_g, fcr_value, with exact decimals.
        mortality_models: mortality_model_id, frequency, rate (percent).
        mortality_stages: mortality_model_id, lifecycle_stage (a name), daily_rate_percent.
        model_changes: scenario_id, change_day, new_tgc_model_id, new_fcr_model_id, new_mortality_model_id (may be
            null), in the order in which they are read.
    """

    scenarios: pl.DataFrame
    stages: pl.DataFrame
    tgc_models: pl.DataFrame
    tgc_stages: pl.DataFrame
    temperatures: pl.DataFrame
    fcr_stages: pl.DataFrame
    fcr_overrides: pl.DataFrame
    mortality_models: pl.DataFrame
    mortality_stages: pl.DataFrame
    model_changes: pl.DataFrame


__all__ = ["ScenarioModels"]
