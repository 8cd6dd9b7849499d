"""Mixed batches: the event that made one, what each contribution brought, and the batches that it is made of."""

from __future__ import annotations

import numpy as np
import polars as pl

from aquamind_pipeline.apps.batch.assignments import ASSIGNMENTS, BATCHES
from aquamind_pipeline.apps.batch.transfers import TRANSFER_ACTIONS
from aquamind_pipeline.apps.farm.life import LIFE_MOVES
from aquamind_pipeline.arithmetic import rounded
from aquamind_pipeline.schema.check_result import CheckResult, check_result
from aquamind_pipeline.schema.columns import (
    EMPTY,
    boolean,
    count,
    day,
    identity,
    numeric,
    refers,
    text,
    timestamp,
)
from aquamind_pipeline.schema.definition import ByFormula, Parent, TableDefinition
from aquamind_pipeline.schema.inputs import PLAN, Inputs
from aquamind_pipeline.schema.kinds import Kind
from aquamind_pipeline.schema.rules import Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import MISLEADING
from aquamind_pipeline.simulation.mixing import MIXED_PREFIX

SIDES = ("source", "resident")
"""Contributions to a mixed batch: the fish that moved into the ring, and those that were there."""
_MIXED = (*PLAN, LIFE_MOVES.name)
_MIXED_AT = "10h"
"""Time of day of a mix, after midnight UTC."""
_HUNDRED = 10_000
"""All fish, in hundredths of a percent."""


def contributions(inputs: Inputs) -> pl.DataFrame:
    """What each side brought into each mixed batch.

    Returns:
        batch_id, assignment_id, date, side (index into SIDES), of_batch_id, of_assignment_id, fish, biomass_kg, and
        share (of the fish, in hundredths of a percent; the shares of a mixed batch add up to all of it).
    """
    mixes = inputs.plan.mixes
    sides = pl.concat(
        mixes.select(
            "batch_id",
            "assignment_id",
            "date",
            side=pl.lit(number, pl.Int64),
            of_batch_id=f"{name}_batch_id",
            of_assignment_id=f"{name}_assignment_id",
        )
        for number, name in enumerate(SIDES)
    )
    moved = inputs.whole(LIFE_MOVES.name).select(
        "weight_g", of_assignment_id="source_assignment_id", assignment_id="dest_assignment_id", fish="count"
    )
    total = pl.max_horizontal(pl.col("fish").sum().over("batch_id"), 1)
    moved_in = pl.col("fish").filter(side=0).first().over("batch_id")
    # The second share is the rest, so that both add up.
    first = (2 * moved_in * _HUNDRED + total) // (2 * total)
    return (
        sides.join(moved, on=["of_assignment_id", "assignment_id"], how="left", maintain_order="left")
        .with_columns(pl.col("fish", "weight_g").fill_null(0))
        .sort("batch_id", "side")
        .with_columns(
            share=pl.when(side=0).then(first).otherwise(_HUNDRED - first),
            biomass_kg=pl.col("fish") * pl.col("weight_g") / 1000,
        )
    )


def _percent(shares: pl.Series) -> pl.Series:
    return rounded(shares.to_numpy().astype(np.float64) / 100, 5, 2)


def mix_events(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_batchmixevent. The action is the one that brought the fish."""
    rings = inputs.plan.assignments.select("assignment_id", "container_id")
    actions = inputs.whole(TRANSFER_ACTIONS.name).filter("allow_mixed")
    actions = actions.select(workflow_action_id="id", assignment_id="dest_assignment_id")
    return (
        inputs.plan.mixes.join(rings, on="assignment_id", maintain_order="left")
        .join(actions, on="assignment_id", how="left", maintain_order="left")
        .sort("batch_id")
        .select(
            "container_id",
            "workflow_action_id",
            id="batch_id",
            mixed_batch_id="batch_id",
            mixed_at=day("date").dt.offset_by(_MIXED_AT),
        )
    )


MIX_EVENTS = TableDefinition(
    name="batch_batchmixevent",
    part="transfers",
    kind=Kind.LEDGER,
    meaning="Event in which fish of two batches became a mixed batch.",
    how="One for each mixed batch, at the time of the action that brought the fish.",
    columns=(
        identity("id"),
        timestamp("mixed_at", comment="Time of the mix (UTC)"),
        text("notes", fill=EMPTY),
        timestamp("created_at", fill=pl.col("mixed_at")),
        timestamp("updated_at", fill=pl.col("mixed_at")),
        refers("container_id", "infrastructure_container.id"),
        refers("mixed_batch_id", f"{BATCHES.name}.id"),
        refers("workflow_action_id", f"{TRANSFER_ACTIONS.name}.id", nullable=True),
    ),
    reads=(*_MIXED, TRANSFER_ACTIONS.name),
    generate=mix_events,
    expected=ByFormula(lambda farm, plan: plan.mixes.height),
    lineage={"id": "plan_mix.batch_id", "mixed_at": "plan_mix.date"},
    rules=(),
)


def compositions(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_batchcomposition. The two sides of a mix are of different batches, so each is a row."""
    brought = contributions(inputs)
    return brought.select(
        id=(pl.col("batch_id") - 1) * len(SIDES) + pl.col("side") + 1,
        percentage=_percent(brought["share"]),
        population_count="fish",
        biomass_kg=rounded(brought["biomass_kg"], 10, 2),
        created_at=day("date").dt.offset_by(_MIXED_AT),
        mixed_batch_id="batch_id",
        source_batch_id="of_batch_id",
    )


COMPOSITIONS = TableDefinition(
    name="batch_batchcomposition",
    part="transfers",
    kind=Kind.LEDGER,
    meaning="Share of a mixed batch that came from one other batch.",
    how="The contributions of the mix event, by batch.",
    columns=(
        identity("id"),
        numeric("percentage", 5, 2, range_=(0, 100), comment="Share of the mixed batch's fish [%]"),
        count("population_count"),
        numeric("biomass_kg", 10, 2, range_=(0, None)),
        timestamp("created_at", comment="Time of the mix (UTC)"),
        refers("mixed_batch_id", f"{BATCHES.name}.id"),
        refers("source_batch_id", f"{BATCHES.name}.id"),
    ),
    reads=_MIXED,
    generate=compositions,
    expected=ByFormula(lambda farm, plan: plan.mixes.height * len(SIDES)),
    lineage={
        "population_count": f"{LIFE_MOVES.name}.count",
        "biomass_kg": f"{LIFE_MOVES.name}.count {LIFE_MOVES.name}.weight_g",
        "percentage": f"{LIFE_MOVES.name}.count",
        "created_at": "plan_mix.date",
    },
    rules=(),
)


def mix_components(inputs: Inputs) -> pl.DataFrame:
    """Rows of batch_batchmixeventcomponent."""
    brought = contributions(inputs)
    return brought.select(
        id=(pl.col("batch_id") - 1) * len(SIDES) + pl.col("side") + 1,
        population_count="fish",
        biomass_kg=rounded(brought["biomass_kg"], 10, 2),
        percentage=_percent(brought["share"]),
        is_transferred_in=pl.col("side") == SIDES.index("source"),
        created_at=day("date").dt.offset_by(_MIXED_AT),
        mix_event_id="batch_id",
        source_assignment_id="of_assignment_id",
        source_batch_id="of_batch_id",
    )


def _conserves(inputs: RuleInputs) -> CheckResult:
    """Each contribution is the fish that an action moved from its assignment, and its assignment ended that day."""
    assignments = inputs.whole(ASSIGNMENTS.name)
    moved = (
        inputs.whole(TRANSFER_ACTIONS.name)
        .filter(pl.col("status") == "COMPLETED")
        .group_by("source_assignment_id", "dest_assignment_id")
        .agg(moved=pl.col("transferred_count").sum(), came=pl.col("allow_mixed").any())
    )
    events = inputs.whole(MIX_EVENTS.name).select(
        "container_id", batch_id="mixed_batch_id", mix_event_id="id", mixed_on=pl.col("mixed_at").dt.date()
    )
    new = assignments.select("batch_id", "container_id", "assignment_date", dest_assignment_id="id")
    old = assignments.select("departure_date", source_assignment_id="id", owner="batch_id", of_ring="container_id")
    rows = (
        events.join(inputs.rows, on="mix_event_id", how="full", coalesce=True)
        .join(new, on=["batch_id", "container_id"], how="left")
        .join(old, on="source_assignment_id", how="left")
        .join(moved, on=["source_assignment_id", "dest_assignment_id"], how="left")
    )
    wrong = rows.filter(
        pl.col("population_count").ne_missing(pl.col("moved"))
        | pl.col("is_transferred_in").ne_missing(pl.col("came"))
        | pl.col("is_transferred_in").ne_missing(pl.col("of_ring") != pl.col("container_id"))
        | pl.col("source_batch_id").ne_missing(pl.col("owner"))
        | pl.col("departure_date").ne_missing(pl.col("mixed_on"))
        | pl.col("assignment_date").ne_missing(pl.col("mixed_on"))
    )
    return check_result(
        MIX_CONSERVES.name,
        wrong.sort("mix_event_id", "id"),
        f"{rows.height} contributions are the fish that left their rings",
        "contributions are not the fish that left their rings on that day",
    )


MIX_CONSERVES = Rule(
    "mix_conserves",
    "What a mix event counts is what actions moved into the mixed batch, from assignments that ended that day.",
    MISLEADING,
    _conserves,
    reads=(MIX_EVENTS.name, ASSIGNMENTS.name, TRANSFER_ACTIONS.name),
)


def _has_lineage(inputs: RuleInputs) -> CheckResult:
    """Each mixed batch is made of what its mix event counts, and its percentages add up to 100."""
    mixed = inputs.whole(BATCHES.name).filter(pl.col("batch_number").str.starts_with(MIXED_PREFIX)).select("id")
    amounts = ["population_count", "biomass_kg", "percentage"]
    key = ["mixed_batch_id", "source_batch_id"]
    events = inputs.whole(MIX_EVENTS.name).select("mixed_batch_id", mix_event_id="id")
    counted = inputs.whole(COMPONENTS.name).join(events, on="mix_event_id").group_by(key).agg(pl.col(amounts).sum())
    made_of = inputs.whole(COMPOSITIONS.name).group_by(key).agg(pl.col(amounts).sum())
    rows = (
        mixed.rename({"id": "mixed_batch_id"})
        .join(counted.join(made_of, on=key, how="full", coalesce=True, suffix="_stored"), on=key[0], how="full")
        .with_columns(
            batches=pl.col("mixed_batch_id_right").count().over("mixed_batch_id"),
            total=pl.col("percentage_stored").sum().over("mixed_batch_id"),
            fish=pl.col("population_count").sum().over("mixed_batch_id"),
        )
    )
    share = pl.col("population_count") / pl.max_horizontal("fish", 1) * 100
    wrong = rows.filter(
        pl.any_horizontal(pl.col(one).ne_missing(pl.col(f"{one}_stored")) for one in amounts)
        | (pl.col("batches") < len(SIDES))
        | (pl.col("total") != 100)
        | ((pl.col("percentage").cast(pl.Float64) - share).abs() > _ROUNDING)
        | pl.col("mixed_batch_id").is_null()
    )
    return check_result(
        MIX_LINEAGE.name,
        wrong.sort("mixed_batch_id", "source_batch_id"),
        f"{mixed.height} mixed batches are made of the fish of two others",
        "mixed batches are not made of what their mix events count",
    )


_ROUNDING = 0.0051
"""Largest error of a percentage that is rounded."""

MIX_LINEAGE = Rule(
    "mix_lineage",
    "A mixed batch is made of what its mix event counts, by number of fish, and its percentages add up to 100.",
    MISLEADING,
    _has_lineage,
    reads=(MIX_EVENTS.name, COMPOSITIONS.name, BATCHES.name),
)

COMPONENTS = TableDefinition(
    name="batch_batchmixeventcomponent",
    part="transfers",
    kind=Kind.CHILD,
    parent=Parent(MIX_EVENTS.name, "mix_event_id"),
    meaning="Fish of one assignment that became part of a mixed batch.",
    how="The fish that came, and those that were in the ring; shares of the fish, which add up to 100.",
    columns=(
        identity("id"),
        count("population_count"),
        numeric("biomass_kg", 10, 2, range_=(0, None)),
        numeric("percentage", 5, 2, range_=(0, 100), comment="Share of the mixed batch's fish [%]"),
        boolean("is_transferred_in", comment="Whether the fish came, or were in the container already"),
        timestamp("created_at", comment="Time of the mix (UTC)"),
        refers("mix_event_id", f"{MIX_EVENTS.name}.id"),
        refers("source_assignment_id", f"{ASSIGNMENTS.name}.id"),
        refers("source_batch_id", f"{BATCHES.name}.id"),
    ),
    reads=(*_MIXED, MIX_EVENTS.name),
    generate=mix_components,
    expected=ByFormula(lambda farm, plan: plan.mixes.height * len(SIDES)),
    lineage={
        "population_count": f"{LIFE_MOVES.name}.count",
        "biomass_kg": f"{LIFE_MOVES.name}.count {LIFE_MOVES.name}.weight_g",
        "percentage": f"{LIFE_MOVES.name}.count",
        "created_at": "plan_mix.date",
    },
    rules=(MIX_CONSERVES, MIX_LINEAGE),
)

__all__ = ["COMPONENTS", "COMPOSITIONS", "MIX_CONSERVES", "MIX_EVENTS", "MIX_LINEAGE"]
