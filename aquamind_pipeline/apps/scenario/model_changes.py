"""Changes of model within a baseline: some batches are expected to go through months of illness."""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.apps.scenario.baselines import duration_days
from aquamind_pipeline.apps.scenario.models import ILLNESS_MODEL_ID, MORTALITY_MODEL_ID
from aquamind_pipeline.schema.columns import NULL, identity, integer, refers, timestamp
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation import draws
from aquamind_pipeline.simulation.profile import Profile
from aquamind_pipeline.simulation.schedule import Plan

_SHARE = 0.25
"""Share of the scenarios with months of illness."""
_FIRST_DAY, _DAYS = 600, 120
"""First day of illness and its length, in days of real fish."""


def changes(farm: Profile, plan: Plan) -> pl.DataFrame:
    """scenario_id, number (from 0), change_day, new_mortality_model_id and start_date of all changes."""
    begins = max(1, _FIRST_DAY // farm.speed)
    ends = max(begins + 1, (_FIRST_DAY + _DAYS) // farm.speed)
    both = pl.DataFrame(
        {
            "number": [0, 1],
            "change_day": [begins, ends],
            "new_mortality_model_id": [ILLNESS_MODEL_ID, MORTALITY_MODEL_ID],
        }
    )
    batches = plan.hatched
    luck = draws.uniform(draws.stream(farm.seed, "scenario", "illness"), batches["batch_id"].to_numpy())
    chosen = batches.filter(pl.Series(luck < _SHARE)).select("start_date", scenario_id="batch_id")
    # A baseline that is shorter than this has no such months.
    both = both.filter(pl.lit(ends <= duration_days(farm)))
    return chosen.join(both, how="cross", maintain_order="left_right")


def model_changes(inputs: Inputs) -> pl.DataFrame:
    """Rows of scenario_scenariomodelchange."""
    return changes(inputs.farm, inputs.plan).select(
        "scenario_id",
        "change_day",
        "new_mortality_model_id",
        change_id=(pl.col("scenario_id") - 1) * 2 + pl.col("number") + 1,
        created_at=pl.col("start_date").cast(pl.Datetime("us", "UTC")),
    )


MODEL_CHANGES = TableDefinition(
    name="scenario_scenariomodelchange",
    kind=Kind.LEDGER,
    meaning="Day of a scenario from which on another model holds.",
    how="A quarter of the baselines has some months of illness at sea, with a mortality model of their own.",
    columns=(
        identity("change_id"),
        integer("change_day", comment="Day of the scenario from which on the model holds, from 1"),
        timestamp("created_at", comment="Midnight (UTC) of the scenario's first day"),
        timestamp("updated_at", fill=pl.col("created_at")),
        refers("new_fcr_model_id", "scenario_fcrmodel.model_id", nullable=True, fill=NULL),
        refers("new_mortality_model_id", "scenario_mortalitymodel.model_id", nullable=True),
        refers("new_tgc_model_id", "scenario_tgcmodel.model_id", nullable=True, fill=NULL),
        refers("scenario_id", "scenario.scenario_id"),
    ),
    reads=PLAN,
    generate=model_changes,
    expected=ByFormula(lambda farm, plan: changes(farm, plan).height),
    lineage={"change_day": "scenario.duration_days"},
    rules=(),
)

__all__ = ["MODEL_CHANGES"]
