"""The rule that fish weigh what fish of their stage can."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.rules import RuleInputs
from aquamind_pipeline.schema.standard_rules import PLAUSIBLE

WEIGHT_MARGIN = 6.0
"""Fish may be so many times lighter or heavier than AquaMind's stage expects: fry begin at 0.1 g, not at its 0.5."""
_STAGES, _ASSIGNMENTS = "batch_lifecyclestage", "batch_batchcontainerassignment"


def _plausible(inputs: RuleInputs, rows: pl.DataFrame) -> CheckResult:
    """`rows` have lifecycle_stage_id, avg_weight_g and what is to be shown."""
    grams = pl.col("avg_weight_g").cast(pl.Float64)
    expected = inputs.whole(_STAGES).select(
        pl.col("expected_weight_min_g", "expected_weight_max_g").cast(pl.Float64), lifecycle_stage_id="id"
    )
    too_light = grams < pl.col("expected_weight_min_g") / WEIGHT_MARGIN
    too_heavy = grams > pl.col("expected_weight_max_g") * WEIGHT_MARGIN
    wrong = rows.join(expected, on="lifecycle_stage_id").filter(too_light | too_heavy)
    return check_result("plausible", wrong, "every weight one of its stage", "weights that no fish of the stage has")


def _of_states(inputs: RuleInputs) -> CheckResult:
    return _plausible(inputs, inputs.rows.select("id", "avg_weight_g", "lifecycle_stage_id"))


def _of_samples(inputs: RuleInputs) -> CheckResult:
    stage = inputs.whole(_ASSIGNMENTS).select("lifecycle_stage_id", assignment_id="id")
    rows = inputs.rows.join(stage, on="assignment_id").select("id", "avg_weight_g", "lifecycle_stage_id")
    return _plausible(inputs, rows)


PLAUSIBLE_STATES = PLAUSIBLE.checked_by(_of_states, _STAGES)
PLAUSIBLE_SAMPLES = PLAUSIBLE.checked_by(_of_samples, _STAGES, _ASSIGNMENTS)

__all__ = ["PLAUSIBLE_SAMPLES", "PLAUSIBLE_STATES", "WEIGHT_MARGIN"]
