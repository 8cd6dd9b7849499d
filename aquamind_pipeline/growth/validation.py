"""Records that no states follow from: refused by name, before anything is computed.

What has a documented fallback is not refused: a weighing of 0 g does not count; deaths, weighings and feed outside the
days of a stay belong to nobody; water without measurement follows the profile, and without profile stays unknown.
"""

from __future__ import annotations

import polars as pl

from aquamind_pipeline.errors import InputError
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.rules import RuleSet


def validate(records: Records, rules: RuleSet) -> None:
    """Refuse what has no answer: a batch without scenario under any rules, contradictions where the rules say so.

    Raises:
        InputError: names the first record that is wrong, and what to do.
    """
    stays = records.assignments
    known = records.stages.select("batch_id", "lifecycle_stage_id").unique()
    _refuse(
        stays.join(records.batches, on="batch_id", how="anti"),
        "assignment {assignment_id}: batch {batch_id} has no scenario; pin a projection run to the batch",
    )
    _refuse(
        stays.join(known, on=["batch_id", "lifecycle_stage_id"], how="anti"),
        "assignment {assignment_id}: the scenario of batch {batch_id} does not know its stage {lifecycle_stage_id}; "
        "add the lifecycle stage",
    )
    if rules.refuse_contradictions:
        _refuse_contradictions(records)


def _refuse_contradictions(records: Records) -> None:
    stays = records.assignments
    _refuse(
        stays.filter(pl.col("population_count") < 0),
        "assignment {assignment_id} has a population_count of {population_count}; correct it",
    )
    _refuse(
        stays.filter(pl.col("departure_date") < pl.col("assignment_date")),
        "assignment {assignment_id} ends on {departure_date}, before it begins on {assignment_date}; correct its dates",
    )
    _refuse(
        stays.join(records.batches, on="batch_id").filter(pl.col("assignment_date") < pl.col("start_date")),
        "assignment {assignment_id} begins on {assignment_date}, before its batch {batch_id} on {start_date}; "
        "correct one of the dates",
    )
    for name, what in (("placements", "egg delivery"), ("deaths", "mortality event")):
        _refuse(
            getattr(records, name).filter(pl.col("count") < 0),
            f"{what} of {{date}} in assignment {{assignment_id}} counts {{count}} fish; correct it",
        )
    _refuse(
        records.weighings.filter(pl.col("weight_g") < 0),
        "weighing of {date} in assignment {assignment_id} is {weight_g} g; correct it",
    )
    moves = "transfer of {date} from assignment {source_assignment_id} to {dest_assignment_id} "
    transfers = records.transfers
    _refuse(
        transfers.filter((pl.col("count") < 0) | (pl.col("deaths") < 0) | (pl.col("measured_weight_g") < 0)),
        moves + "has a negative count or weight; correct it",
    )
    _refuse(
        transfers.filter(pl.col("source_assignment_id") == pl.col("dest_assignment_id")),
        moves + "goes to its own source; correct one of them",
    )
    dates = stays.select("assignment_id", "assignment_date", "departure_date")
    for side in ("source", "dest"):
        of_side = transfers.join(dates, left_on=f"{side}_assignment_id", right_on="assignment_id")
        _refuse(
            of_side.filter(pl.col("date") < pl.col("assignment_date")),
            moves + f"comes before its {side} exists ({{assignment_date}}); correct one of the dates",
        )
        _refuse(
            of_side.filter(pl.col("date") > pl.col("departure_date")),
            moves + f"comes after its {side} has ended ({{departure_date}}); correct one of the dates",
        )


def _refuse(wrong: pl.DataFrame, message: str) -> None:
    if wrong.height:
        more = f" ({wrong.height - 1:,} more like it)" if wrong.height > 1 else ""
        raise InputError(message.format(**wrong.row(0, named=True)) + more)


__all__ = ["validate"]
