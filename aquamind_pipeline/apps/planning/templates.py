"""Activity templates: what is planned for every batch, and on which day of its life."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from aquamind_pipeline.schema.columns import (
    INSTALLED,
    boolean,
    identity,
    integer,
    numeric,
    refers,
    text,
    timestamp,
    unique,
    varchar,
)
from aquamind_pipeline.schema.definition import ByFormula, TableDefinition
from aquamind_pipeline.schema.inputs import Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.simulation.biology import STAGES


@dataclass(frozen=True)
class Template:
    """What is planned for every batch.

    Attributes:
        name: Name of the template.
        type: Kind of activity in AquaMind.
        day: Day of the batch's life on which it is due, in days of real fish.
        task: What is to be done.
        stage: Stage that it is about: the one that fish leave by a transfer, or that a feed is for; 0 for none.
    """

    name: str
    type: str
    day: int
    task: str
    stage: int = 0


_FIRST_DAY = {stage.order: sum(before.days for before in STAGES[: stage.order - 1]) for stage in STAGES}

TEMPLATES = (
    *(
        Template(
            f"Transfer to {after.name}",
            "TRANSFER",
            _FIRST_DAY[after.order],
            f"Move all fish to {after.name}",
            before.order,
        )
        for before, after in pairwise(STAGES)
    ),
    Template("Vaccination", "VACCINATION", 298, "Vaccinate the smolts at 60 to 90 g", 4),
    *(
        Template(
            f"Feed for {stage.name}",
            "FEED_CHANGE",
            _FIRST_DAY[stage.order],
            f"Change to the feed for {stage.name}",
            stage.order,
        )
        for stage in STAGES
        if stage.feed_id is not None
    ),
    Template("Sampling of post-smolts", "SAMPLING", 395, "Weigh, measure and score fish of one tank"),
    Template(
        "Sampling before the sea", "SAMPLING", 435, "Weigh, measure and score fish before the transfer to the sea"
    ),
    Template("First sampling at sea", "SAMPLING", 500, "Weigh, measure and score fish of one ring"),
    Template("Second sampling at sea", "SAMPLING", 600, "Weigh, measure and score fish of one ring"),
    Template("Sampling before harvest", "SAMPLING", 700, "Weigh, measure and score fish before the harvest"),
    Template("First delousing", "TREATMENT", 560, "Delouse the rings, if counts ask for it"),
    Template("Second delousing", "TREATMENT", 680, "Delouse the rings, if counts ask for it"),
    Template("Change of nets", "MAINTENANCE", 640, "Change and inspect the nets of all rings"),
    Template("Harvest", "HARVEST", 800, "Harvest all rings"),
)
"""Templates that AquaMind uses for every batch, by day of life. The first ones are the transfers, by stage."""
HARVEST = len(TEMPLATES)
"""Number of the harvest among the templates, from 1."""
GRADING_G = 45
"""Weight at which AquaMind would plan a grading, if its template were active."""


def templates(inputs: Inputs) -> pl.DataFrame:
    """Rows of planning_activitytemplate.

    AquaMind's growth engine makes activities of active templates with another trigger than the day (rule R41). There
    are two of them, inactive, so that a recalculation adds no activity.
    """
    farm, n = inputs.farm, len(TEMPLATES)
    by_day = pl.DataFrame(
        {
            "id": range(1, n + 1),
            "name": [one.name for one in TEMPLATES],
            "activity_type": [one.type for one in TEMPLATES],
            "trigger_type": ["DAY_OFFSET"] * n,
            "day_offset": [one.day // farm.speed for one in TEMPLATES],
            "weight_threshold_g": pl.Series([None] * n, dtype=pl.Int64),
            "notes_template": [one.task for one in TEMPLATES],
            "is_active": [True] * n,
            "target_lifecycle_stage_id": pl.Series([None] * n, dtype=pl.Int64),
        }
    )
    others = pl.DataFrame(
        {
            "id": [n + 1, n + 2],
            "name": ["Grading by weight", "Counting of fish at sea"],
            "activity_type": ["OTHER", "OTHER"],
            "trigger_type": ["WEIGHT_THRESHOLD", "STAGE_TRANSITION"],
            "day_offset": pl.Series([None, None], dtype=pl.Int64),
            "weight_threshold_g": [GRADING_G, None],
            "notes_template": ["Grade the smolts", "Count the fish of each ring"],
            "is_active": [False, False],
            "target_lifecycle_stage_id": [None, STAGES[-1].order],
        }
    )
    return pl.concat([by_day, others])


ACTIVITY_TEMPLATES = TableDefinition(
    name="planning_activitytemplate",
    kind=Kind.REFERENCE,
    meaning="What is planned for every batch, and when.",
    how="Transfers, vaccination, feeds, samplings, treatments and the harvest, by day of life; two more are inactive.",
    columns=(
        identity("id"),
        varchar("name", 200),
        text("description", nullable=True, fill=pl.format("{}.", "notes_template")),
        varchar("activity_type", 50, comment="Kind of activity, such as TRANSFER or HARVEST"),
        varchar("trigger_type", 20, comment="What decides when it is due: day of life, weight or stage"),
        integer("day_offset", nullable=True, comment="Day of life on which it is due [days]"),
        numeric("weight_threshold_g", 10, 2, nullable=True, comment="Weight at which it is due [g]"),
        text("notes_template", nullable=True, comment="What is to be done"),
        boolean("is_active", comment="Whether AquaMind uses the template"),
        timestamp("created_at", fill=INSTALLED),
        timestamp("updated_at", fill=INSTALLED),
        refers("target_lifecycle_stage_id", "batch_lifecyclestage.id", nullable=True),
        unique("name"),
    ),
    natural_key=("name",),
    reads=(),
    generate=templates,
    expected=ByFormula(lambda farm, plan: len(TEMPLATES) + 2),
    lineage={},
    rules=(),
)

__all__ = ["ACTIVITY_TEMPLATES", "HARVEST", "TEMPLATES", "Template"]
