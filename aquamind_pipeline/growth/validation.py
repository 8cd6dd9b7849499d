"""Validation of records, before anything is computed from them.

Under any rules, every frame must have its columns in the right types, no nulls where a value is needed, no number that
is NaN or infinite, and no duplicates of its key. Every assignment must have a batch, and the scenario of the batch must
know its stage.

Under rules that refuse contradictions, records must also agree with each other. That no more fish leave or die than
there are is checked in `population`, where fish are added up.

Records with a documented fallback are not refused. A weighing of 0 g does not count. Deaths, weighings and feed outside
the days of an assignment are not used. Water without measurement follows the profile, and stays unknown without one.
"""

from __future__ import annotations

from typing import NoReturn

import polars as pl

from aquamind_pipeline.errors import InputError
from aquamind_pipeline.growth.record_schema import FRAMES
from aquamind_pipeline.growth.records import Records
from aquamind_pipeline.growth.rules import RuleSet

_NEGATIVE = {
    ("batches", "initial_weight_g"): "batch {batch_id} has an initial weight of {initial_weight_g} g",
    ("assignments", "population_count"): "assignment {assignment_id} has a population_count of {population_count}",
    ("assignments", "avg_weight_g"): "assignment {assignment_id} has an avg_weight_g of {avg_weight_g} g",
    ("placements", "count"): "egg delivery of {date} in assignment {assignment_id} counts {count} fish",
    ("deaths", "count"): "mortality event of {date} in assignment {assignment_id} counts {count} fish",
    ("weighings", "weight_g"): "weighing of {date} in assignment {assignment_id} is {weight_g} g",
    ("feed", "feed_kg"): "feed of {date} in container {container_id} is {feed_kg} kg",
}
"""What a record says whose column must lie between 0 and `_MOST`, by frame and column."""
_MOST = 99_999_999
"""No farm counts or weighs as much in one record. Sums of larger numbers could overflow."""
_COLDEST_C, _HOTTEST_C, _LARGEST_TGC = -10, 100, 100
_TRANSFER = "transfer of {date} from assignment {source_assignment_id} to {dest_assignment_id} "


def validate(records: Records, rules: RuleSet) -> Records:
    """Check the records.

    Args:
        records: The records as the user gave them.
        rules: Say whether contradictions are refused.

    Returns:
        The records with all declared columns, in the declared types.

    Raises:
        InputError: names the first wrong record, what is wrong and how to mend it.
    """
    records = records.conformed()
    for name, frame in records.frames().items():
        _check_values(name, frame)
    _check_scenarios(records, rules)
    if rules.refuse_contradictions:
        _check_numbers(records)
        _check_assignments(records)
        _check_references(records)
        _check_transfers(records)
    return records


def _check_values(name: str, frame: pl.DataFrame) -> None:
    """Check nulls, numbers, choices and keys of one frame. One query finds the columns that are wrong, if any."""
    if frame.is_empty():
        return
    declared = FRAMES[name]
    for column_name, column in declared.columns.items():
        values = frame[column_name]
        if not column.nullable and values.null_count():
            _refuse_values(name, values, values.is_null(), "fill it or leave the row out")
    allowed = {
        column_name: pl.col(column_name).is_finite()
        if column.dtype.is_float()
        else pl.col(column_name).is_in(column.choices)
        for column_name, column in declared.columns.items()
        if column.dtype.is_float() or column.choices
    }
    for result in frame.select(check.all() for check in allowed.values()).get_columns():
        if not result[0]:
            column = declared.columns[result.name]
            unknown = ", or null if it is unknown" if column.nullable else ""
            hint = "use " + " or ".join(column.choices) if column.choices else "give a number" + unknown
            wrong = frame.select(~allowed[result.name].fill_null(True)).to_series()
            _refuse_values(name, frame[result.name], wrong, hint)
    if declared.key and (is_duplicate := frame.select(declared.key).is_duplicated()).any():
        key = frame.filter(is_duplicate).select(declared.key).row(0, named=True)
        values_of_key = " and ".join(f"{column} {value}" for column, value in key.items())
        raise InputError(f"Records.{name} has several rows with {values_of_key}; keep one of them")


def _refuse_values(name: str, values: pl.Series, wrong: pl.Series, hint: str) -> NoReturn:
    """Refuse the values that `wrong` marks. Rows are counted from 0."""
    row, number = wrong.arg_true()[0], int(wrong.sum())
    value = "null" if values[row] is None else values[row]
    meaning = FRAMES[name].columns[values.name].meaning
    raise InputError(
        f"Records.{name}: column {values.name!r} ({meaning}) is {value} in row {row}{_more(number)}; {hint}"
    )


def _check_scenarios(records: Records, rules: RuleSet) -> None:
    """Check what every assignment needs from its batch and from the scenario of that batch."""
    assignments, stages = records.assignments, records.stages
    _refuse(
        assignments.join(records.batches, on="batch_id", how="anti"),
        "assignment {assignment_id}: batch {batch_id} has no scenario; pin a projection run to the batch "
        "(Records.batches has no row of it)",
    )
    _refuse(
        assignments.join(stages, on=["batch_id", "lifecycle_stage_id"], how="anti"),
        "assignment {assignment_id}: the scenario of batch {batch_id} does not know its stage {lifecycle_stage_id}; "
        "add the lifecycle stage (to Records.stages)",
    )
    if not rules.ledger_population:
        _refuse(
            assignments.filter(pl.col("population_count").is_null()),
            f"assignment {{assignment_id}} has no population_count, with which the rules {rules.name!r} begin; add it",
        )
    if records.incomplete.height or not rules.recorded_deaths_only:
        _refuse(
            stages.filter(pl.col("daily_mortality").is_null()),
            "stage {name} of batch {batch_id} has no daily_mortality, by which unrecorded deaths are modelled; add it",
        )


def _check_numbers(records: Records) -> None:
    """Check the range of numbers."""
    for (name, column), what in _NEGATIVE.items():
        rows: pl.DataFrame = getattr(records, name)
        least, most = rows[column].min(), rows[column].max()  # cheaper than a filter
        if isinstance(least, int | float) and isinstance(most, int | float) and (least < 0 or most > _MOST):
            _refuse(rows.filter(~pl.col(column).is_between(0, _MOST)), what + "; correct it")
    _refuse(
        records.stages.filter(~pl.col("tgc").is_between(0, _LARGEST_TGC)),
        f"stage {{name}} of batch {{batch_id}} has a tgc of {{tgc}}; give a number between 0 and {_LARGEST_TGC}",
    )
    _refuse(
        records.stages.filter(~pl.col("daily_mortality").is_between(0, 1)),
        "stage {name} of batch {batch_id} has a daily_mortality of {daily_mortality}; give a share between 0 and 1",
    )
    _refuse(
        records.stages.filter(pl.any_horizontal(pl.col("^(expected_weight|constraint)_.*_g$") < 0)),
        "stage {name} of batch {batch_id} has a negative weight; correct it",
    )
    _refuse(
        records.temperature.filter(pl.col("readings") < 1),
        "temperature of {date} in container {container_id} has {readings} readings; leave out days without readings",
    )
    possible = f"; water has {_COLDEST_C} to {_HOTTEST_C} °C: correct it"
    _refuse(
        records.temperature.filter(~(pl.col("total_c") / pl.col("readings")).is_between(_COLDEST_C, _HOTTEST_C)),
        "temperature of {date} in container {container_id} is {total_c} °C in {readings} readings" + possible,
    )
    _refuse(
        records.profiles.filter(~pl.col("temp_c").is_between(_COLDEST_C, _HOTTEST_C)),
        "day {day_number} of temperature profile {profile_id} has {temp_c} °C" + possible,
    )
    _refuse(
        records.transfers.filter(
            pl.any_horizontal(~pl.col("count", "deaths", "measured_weight_g").is_between(0, _MOST))
        ),
        _TRANSFER + "has a negative or impossible count or weight; correct it",
    )


def _check_assignments(records: Records) -> None:
    """Check the dates of assignments, and that their fish come from somewhere."""
    assignments, placements = records.assignments, records.placements
    _refuse(
        assignments.filter(pl.col("departure_date") < pl.col("assignment_date")),
        "assignment {assignment_id} ends on {departure_date}, before it begins on {assignment_date}; correct its dates",
    )
    _refuse(
        assignments.join(records.batches, on="batch_id").filter(pl.col("assignment_date") < pl.col("start_date")),
        "assignment {assignment_id} begins on {assignment_date}, before its batch {batch_id} on {start_date}; "
        "correct one of the dates",
    )
    _refuse(
        placements.join(assignments, on="assignment_id").filter(pl.col("date") > pl.col("departure_date")),
        "egg delivery of {date} in assignment {assignment_id} comes after the assignment has ended ({departure_date}); "
        "correct one of the dates",
    )
    _refuse(
        assignments.filter(pl.col("population_count").is_null())
        .join(placements, on="assignment_id", how="anti")
        .join(records.transfers, left_on="assignment_id", right_on="dest_assignment_id", how="anti"),
        "assignment {assignment_id} has no fish: no population_count, no placement and no transfer to it; add one",
    )


def _check_references(records: Records) -> None:
    """Check that events name known assignments. One side of a transfer may be in a batch that is not given."""
    ids = records.assignments["assignment_id"].implode()
    for name, what in (
        ("placements", "egg delivery"),
        ("deaths", "mortality event"),
        ("incomplete", "incomplete day"),
        ("weighings", "weighing"),
    ):
        _refuse(
            getattr(records, name).filter(~pl.col("assignment_id").is_in(ids)),
            f"{what} of {{date}}: there is no assignment {{assignment_id}}; add the assignment or correct the number "
            f"(Records.{name})",
        )
    _refuse(
        records.transfers.filter(
            ~pl.col("source_assignment_id").is_in(ids).fill_null(False)
            & ~pl.col("dest_assignment_id").is_in(ids).fill_null(False)
        ),
        _TRANSFER + "names no known assignment; add one of them or correct the numbers",
    )


def _check_transfers(records: Records) -> None:
    """Check the two assignments of each transfer, and that both exist on its day."""
    transfers = records.transfers
    _refuse(
        transfers.filter(pl.col("source_assignment_id") == pl.col("dest_assignment_id")),
        _TRANSFER + "goes to its own source; correct one of them",
    )
    dates = records.assignments.select("assignment_id", "assignment_date", "departure_date")
    for side in ("source", "dest"):
        dated = transfers.join(dates, left_on=f"{side}_assignment_id", right_on="assignment_id")
        _refuse(
            dated.filter(pl.col("date") < pl.col("assignment_date")),
            _TRANSFER + f"comes before its {side} exists ({{assignment_date}}); correct one of the dates",
        )
        _refuse(
            dated.filter(pl.col("date") > pl.col("departure_date")),
            _TRANSFER + f"comes after its {side} has ended ({{departure_date}}); correct one of the dates",
        )


def require_known_start(records: Records) -> None:
    """Refuse assignments whose fish at the start can be known from nothing but a doubtful `population_count`.

    Raises:
        InputError: when more fish died than are left, and neither a placement nor a transfer says how many came.
    """
    uncertain = (
        records.assignments.filter(pl.col("population_count").is_not_null())
        .join(records.placements, on="assignment_id", how="anti")
        .join(records.transfers, left_on="assignment_id", right_on="dest_assignment_id", how="anti")
    )
    if uncertain.is_empty():
        return
    dead = records.deaths.group_by("assignment_id").agg(dead=pl.col("count").sum())
    _refuse(
        uncertain.join(dead, on="assignment_id")
        .filter(pl.col("dead") > pl.col("population_count"))
        .sort("assignment_id"),
        "assignment {assignment_id}: {dead:,} fish die (Records.deaths), more than its population_count of "
        "{population_count:,}; correct one of them, or say in Records.placements how many fish were put in",
    )


def _refuse(wrong: pl.DataFrame, message: str) -> None:
    """Refuse wrong records, if there are any: `message` is filled with the columns of the first."""
    if wrong.height:
        raise InputError(message.format(**wrong.row(0, named=True)) + _more(wrong.height))


def _more(number: int) -> str:
    return f" ({number - 1:,} more like it)" if number > 1 else ""


__all__ = ["require_known_start", "validate"]
