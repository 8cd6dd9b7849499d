"""Scores of examined fish: nine parameters from 0, the best, to 3.

A fish's scores follow from the welfare of its container on that day (gills, skin, appetite), from the fish itself, and
from chance. A weak fish scores badly in several parameters.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.apps.farm.life import LIFE_DAYS
from aquamind_pipeline.apps.health.catalogue import PARAMETER, PARAMETERS
from aquamind_pipeline.apps.health.moments import lived
from aquamind_pipeline.apps.health.sampling import OBSERVATIONS, events_about, shapes
from aquamind_pipeline.arithmetic import Floats, Ints
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import PARTITIONED, identity, refers, small_count, timestamp, unique
from aquamind_pipeline.schema.definition import CountedIn, Parent, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation import draws

THRESHOLDS = (0.85, 1.95, 2.75)
"""A healthy fish scores 1, 2 or 3 above these standard normal deviates: 20, 2.6 and 0.3 % of fish do."""
_ALIKE = 0.6
"""Weight of the fish itself in each of its scores; the square is the correlation between two scores of a fish."""
_OWN = float(np.sqrt(1.0 - _ALIKE**2))
_SIGNS = 2.0
"""Deviates at a welfare score of 1. They grow with its root, because signs show before fish die."""
_PARAMETERS = len(PARAMETER)
_MOSTLY_WELL = 0.35
"""Least share of a sampling's scores that are 0 or 1. Even in bad weeks fish are ill in some parameters only."""
_ENOUGH_FISH = 5
"""Fish of a sampling from which on the share is judged."""


def burdens(gill: Floats, wound: Floats, loss: Floats) -> Floats:
    """How much worse than of healthy fish the scores are, as deviates [parameter, container].

    Args:
        gill: Mean gill score of the containers, 0 to 3.
        wound: Mean score of skin and fins, 0 to 3.
        loss: Share of its appetite that a container has lost.
    """
    gills, skin = _SIGNS * np.sqrt(gill), _SIGNS * np.sqrt(wound)
    by_name = {
        "Gill Condition": gills,
        "Eye Condition": 0.2 * skin - 0.1,
        "Wounds/Lesions": skin - 0.2,
        "Fin Condition": 0.5 * skin + 0.3,
        "Body Condition": 0.8 * loss,
        "Swimming Behavior": 1.5 * loss + 0.2 * gills - 0.3,
        "Appetite": 2.0 * loss - 0.1,
        "Mucous Membrane": 0.4 * gills + 0.3 * skin,
        "Color/Pigmentation": 0.2 * skin - 0.2,
    }
    return np.stack([by_name[name] for name in PARAMETER])


def fish_scores(inputs: Inputs) -> pl.DataFrame:
    """Rows of health_fishparameterscore, in the order of their fish."""
    seed, most = inputs.farm.seed, inputs.farm.fish_per_health_sample
    days = (
        lived(inputs, LIFE_DAYS)
        .filter(pl.col("fish_examined") > 0)
        .select("state_id", "gill", "wound", "appetite", "fasting")
        .sort("state_id")
        .collect()
    )
    fish = inputs.frame(OBSERVATIONS.name)
    row = np.searchsorted(days["state_id"].to_numpy(), fish["sampling_event_id"].to_numpy())
    fed = days["fasting"].to_numpy() == 0
    loss = np.where(fed, np.clip(1.0 - days["appetite"].to_numpy(), 0.0, 1.0), 0.0)
    burden = burdens(days["gill"].to_numpy(), days["wound"].to_numpy(), loss).take(row, axis=1)
    ids, event = fish["id"].to_numpy(), fish["sampling_event_id"].to_numpy()
    parameter = np.arange(1, _PARAMETERS + 1)
    level = _OWN * draws.normal(draws.stream(seed, "health", "score"), ids, parameter[:, None])
    slim = -shapes(seed, event, ids - (event - 1) * most)
    level[PARAMETER["Body Condition"] - 1] = _OWN * slim  # thin fish score badly
    level += _ALIKE * draws.normal(draws.stream(seed, "health", "fish"), ids)
    level += burden
    score = (level > THRESHOLDS[0]).astype(np.int16)
    for threshold in THRESHOLDS[1:]:
        score += level > threshold
    return pl.DataFrame(
        {
            "id": _each(ids - 1) * _PARAMETERS + np.tile(parameter, ids.size),
            "score": score.T.ravel(),
            "created_at": fish["created_at"].gather(_each(np.arange(ids.size))),
            "individual_fish_observation_id": _each(ids),
            "parameter_id": np.tile(parameter, ids.size),
        }
    )


def _each(values: Ints) -> Ints:
    """One value for each parameter."""
    return np.repeat(values, _PARAMETERS)


def _mostly_well(inputs: RuleInputs) -> CheckResult:
    """Compare the scores of each sampling with what even ill fish have."""
    event = inputs.scan(OBSERVATIONS.name, [inputs.month]).select(
        "sampling_event_id", individual_fish_observation_id="id"
    )
    shares = (
        inputs.rows.lazy()
        .join(event, on="individual_fish_observation_id")
        .group_by("sampling_event_id")
        .agg(
            fish=pl.col("individual_fish_observation_id").n_unique(),
            well=(pl.col("score") <= 1).mean(),
        )
        .filter(pl.col("fish") >= _ENOUGH_FISH)
        .sort("sampling_event_id")
        .collect()
    )
    return check_result(
        MOSTLY_WELL.name,
        shares.filter(pl.col("well") < _MOSTLY_WELL),
        f"{shares.height:,} samplings of fish that are mostly well",
        "samplings of fish that score badly in nearly everything",
    )


MOSTLY_WELL = Rule(
    "mostly_well",
    "In each sampling at least a third of the scores are good (0 or 1), because 0 is the best score.",
    MISLEADING,
    _mostly_well,
    reads=(OBSERVATIONS.name,),
)


def _all_scored(inputs: RuleInputs) -> CheckResult:
    """Count the scores of each fish."""
    fish = inputs.scan(OBSERVATIONS.name, [inputs.month]).select(individual_fish_observation_id="id").collect()
    scored = inputs.rows.group_by("individual_fish_observation_id").agg(scores=pl.col("parameter_id").n_unique())
    both = fish.join(scored, on="individual_fish_observation_id", how="left").sort("individual_fish_observation_id")
    wrong = both.filter(pl.col("scores").ne_missing(pl.lit(_PARAMETERS, pl.UInt32)))
    return check_result(ALL_SCORED.name, wrong, f"{fish.height:,} fish with all their scores", "fish without a score")


ALL_SCORED = Rule(
    "all_scored",
    "Each examined fish has a score for every parameter.",
    MISLEADING,
    _all_scored,
    reads=(OBSERVATIONS.name,),
)

FISH_SCORES = TableDefinition(
    name="health_fishparameterscore",
    kind=Kind.CHILD,
    parent=Parent(OBSERVATIONS.name, "individual_fish_observation_id"),
    meaning="Score of one fish for one parameter.",
    how="From the welfare of the container on that day, from the fish, and from chance.",
    columns=(
        identity("id"),
        small_count("score", range_=(0, 3), comment="From 0, the best, to 3"),
        timestamp("created_at", primary_key=True, comment="Midnight (UTC) of the sampling's day"),
        timestamp("updated_at", fill=pl.col("created_at")),
        refers("individual_fish_observation_id", f"{OBSERVATIONS.name}.id", unenforced=PARTITIONED),
        refers("parameter_id", f"{PARAMETERS.name}.id"),
        unique("individual_fish_observation_id", "parameter_id", "created_at"),
    ),
    time="created_at",
    reads=("life_day", PARAMETERS.name, OBSERVATIONS.name),
    generate=fish_scores,
    expected=CountedIn(
        OBSERVATIONS.name,
        pl.len() * _PARAMETERS,
        about=lambda farm, plan: events_about(farm, plan) * farm.fish_per_health_sample * _PARAMETERS,
    ),
    lineage={
        "id": f"{OBSERVATIONS.name}.id",
        "score": "life_day.gill life_day.wound life_day.appetite",
        "created_at": f"{OBSERVATIONS.name}.created_at",
    },
    rules=(MOSTLY_WELL, ALL_SCORED),
    bytes_per_row=(3, 208),
)

__all__ = ["FISH_SCORES", "burdens", "fish_scores"]
