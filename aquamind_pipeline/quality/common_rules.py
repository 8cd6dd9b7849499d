"""Rules that follow from a table's definition. Each table has the ones that apply to it, without listing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import polars as pl

from aquamind_pipeline.months import day_after, first_day, month_key
from aquamind_pipeline.schema.check_result import SAMPLE_ROWS, CheckResult, check_result
from aquamind_pipeline.schema.daily_rows import by_day
from aquamind_pipeline.schema.definition import TableDefinition, Unpredictable
from aquamind_pipeline.schema.frames import (
    lake_schema,
    primary_key,
    references,
    references_ahead,
    referring_ahead,
    unique_keys,
)
from aquamind_pipeline.schema.grouping import all_different, grouped
from aquamind_pipeline.schema.rules import WHOLE, Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import ASSIGNMENTS, MISLEADING, REFUSED, assignment_days

SHARED_COLUMNS = ("batch_id", "container_id", "lifecycle_stage_id")
"""Columns that have the same value in a row and in its assignment."""
_FEW_ROWS = 50_000
"""Unique values of so few rows are counted at once."""


def assignment_column(definition: TableDefinition) -> str | None:
    """The column that refers to a row's assignment; None if there is none."""
    targets = references(definition.table).items()
    return next((column for column, (parent, _) in targets if parent == ASSIGNMENTS), None)


def schema(inputs: RuleInputs) -> CheckResult:
    """The lake's columns have the definition's names, order and types."""
    expected, actual = lake_schema(inputs.definition.table), inputs.rows.schema
    wrong = [
        {"column": name, "expected": str(expected.get(name)), "found": str(actual.get(name))}
        for name in dict.fromkeys([*expected, *actual])
        if expected.get(name) != actual.get(name)
    ]
    if not wrong and list(expected) != list(actual):
        wrong = [{"column": "(order)", "expected": ", ".join(expected), "found": ", ".join(actual)}]
    detail = f"{len(expected)} columns as defined" if not wrong else f"{len(wrong)} columns differ from the definition"
    return CheckResult("schema", not wrong, len(wrong), detail, pl.DataFrame(wrong))


def keys(inputs: RuleInputs) -> CheckResult:
    """The primary key and every unique constraint are unique, and the key is never null.

    The key of a partitioned table has the time in it, because PostgreSQL asks for that. Django uses the id alone as
    the key, so the id alone must be unique.
    """
    table, rows = inputs.definition.table, inputs.rows
    stored = set(lake_schema(table))
    sets = [primary_key(table)[:1], *unique_keys(table)]
    total, nulls = rows.height, rows[sets[0][0]].null_count()
    counts = {", ".join(columns): _unique(rows, columns) for columns in sets if stored.issuperset(columns)}
    repeated = {columns: total - unique for columns, unique in counts.items() if unique != total}
    wrong = sum(repeated.values()) + nulls
    detail = f"{total:,} rows, unique by {'; '.join(counts)}"
    if wrong:
        found = [f"rows that repeat the {columns} of another: {count:,}" for columns, count in repeated.items()]
        detail = "; ".join([*found, *([f"rows whose {sets[0][0]} is null: {nulls:,}"] if nulls else [])])
    samples = [_repeated(rows, columns) for columns in sets if ", ".join(columns) in repeated]
    sample = pl.concat(samples).head(SAMPLE_ROWS) if samples else pl.DataFrame()
    return CheckResult("keys", wrong == 0, wrong, detail, sample)


def _repeated(rows: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    """Some values of a key that occur more than once: key, value, rows."""
    counts = (rows if len(columns) > 1 else rows.drop_nulls(columns)).group_by(columns).agg(rows=pl.len())
    some = counts.filter(pl.col("rows") > 1).sort(columns).head(SAMPLE_ROWS)
    value = pl.concat_str(pl.col(columns).cast(pl.String).fill_null("null"), separator=", ")
    return some.select(pl.lit(", ".join(columns)).alias("key"), value.alias("value"), pl.col("rows").cast(pl.Int64))


def _unique(rows: pl.DataFrame, columns: tuple[str, ...]) -> int:
    """Number of rows with different values. As in PostgreSQL, nulls of a single column differ from each other."""
    if len(columns) > 1:
        return int(rows.select(pl.struct(columns).n_unique()).item())
    column = rows[columns[0]]
    if column.dtype.is_integer() and rows.height > _FEW_ROWS and all_different(column):
        return rows.height
    nulls = column.null_count()
    return (column.drop_nulls() if nulls else column).n_unique() + nulls


def values(inputs: RuleInputs) -> CheckResult:
    """No column that is NOT NULL has a null, no value lies outside its column's declared range, and none is NaN or
    infinite."""
    table, rows = inputs.definition.table, inputs.rows.lazy()
    tests: dict[str, pl.Expr] = {}
    for name, dtype in lake_schema(table).items():
        column, finite = table.columns[name], pl.lit(value=True)
        if not column.nullable:
            tests[f"{name} is null"] = pl.col(name).is_null()
        if dtype.is_float():  # PostgreSQL stores them, but JSON has no such numbers: AquaMind's pages would fail
            finite = pl.col(name).is_finite()
            tests[f"{name} is NaN or infinite"] = ~finite
        low, high = column.info.get("range", (None, None))
        if low is not None:
            tests[f"{name} < {low}"] = finite & (pl.col(name) < _literal(low))
        if high is not None:
            tests[f"{name} > {high}"] = finite & (pl.col(name) > _literal(high))
    if not tests:
        return CheckResult("values", passed=True, detail="the definition declares no limits")
    counts = rows.select(test.sum().alias(name) for name, test in tests.items()).collect()
    broken = {name: int(count or 0) for name, count in counts.row(0, named=True).items() if count}
    if not broken:
        return CheckResult("values", passed=True, detail=f"no value breaks one of {len(tests)} declared limits")
    sample = rows.filter(pl.any_horizontal(tests[name] for name in broken)).head(SAMPLE_ROWS).collect()
    first = dict.fromkeys([*primary_key(table), *(name.partition(" ")[0] for name in broken)])
    sample = sample.select(*first, pl.exclude(*first))  # a page shows as many columns as fit
    detail = "; ".join(f"{test}: {count:,} rows" for test, count in broken.items())
    return CheckResult("values", passed=False, wrong=sum(broken.values()), detail=detail, sample=sample)


def _literal(bound: float) -> pl.Expr:
    return pl.lit(Decimal(str(bound))) if isinstance(bound, float) else pl.lit(bound)


def foreign_keys(inputs: RuleInputs) -> CheckResult:
    """Every reference to a table that has been made resolves. A child's parent must be in the child's own month.

    A reference to a table that is made later is checked with that table. Before that, the lake has the table's rows of
    an earlier build.
    """
    definition, rows = inputs.definition, by_day(inputs)
    ahead, columns = references_ahead(definition.table), set(rows.columns)
    known: dict[str, pl.Series] = {}
    resolved = []
    for column, (parent, key) in references(definition.table).items():
        if column in columns and column not in ahead and (values := _known(inputs, parent, key)) is not None:
            known[column] = values
            resolved.append(f"{column} → {parent}")
    tests = {column: ~pl.col(column).is_in(values.implode()) for column, values in known.items()}
    broken = rows.select(test.any() for test in tests.values()).row(0, named=True) if tests else {}
    orphans = [
        _orphans(reference, rows.filter(test).select("rows", value=column))
        for reference, (column, test) in zip(resolved, tests.items(), strict=True)
        if broken[column]
    ]
    for earlier, column, key in referring_ahead(definition.table):
        if inputs.is_there(earlier):
            resolved.append(f"{earlier}.{column} → {definition.name}")
            unknown = ~pl.col("value").is_in(inputs.rows[key].implode())
            referring = inputs.scan(earlier).select(value=column, rows=pl.lit(1, pl.Int64)).filter(unknown).collect()
            orphans += [_orphans(resolved[-1], referring)] if referring.height else []
    unresolved = pl.concat(orphans) if orphans else pl.DataFrame()
    wrong = int(unresolved["rows"].sum()) if unresolved.height else 0
    detail = f"{len(resolved)} references resolve" if not wrong else f"{wrong:,} rows refer to a row that is missing"
    return CheckResult("foreign_keys", wrong == 0, wrong, detail, unresolved.head(SAMPLE_ROWS))


def _known(inputs: RuleInputs, parent: str, key: str) -> pl.Series | None:
    """The values of a parent's key; None if the table has not been made. They are read once for all months.

    The rows of a parent with months are those of the month looked at.
    """

    def values(months: list[str] | None) -> pl.Series:
        return inputs.scan(parent, months).select(key).collect().to_series()

    if inputs.month != WHOLE and parent == inputs.definition.parent.table and inputs.months(parent):
        return values([inputs.month])
    return inputs.shared(("key", parent, key), lambda: values(None) if inputs.is_there(parent) else None)


def _orphans(reference: str, rows: pl.DataFrame) -> pl.DataFrame:
    """How many rows have each value that does not resolve: reference (in words), value, rows.

    Args:
        reference: The reference, in words.
        rows: value and rows, of the rows that do not resolve.
    """
    counts = rows.group_by("value").agg(pl.col("rows").sum()).sort("value")
    return counts.select(pl.lit(reference).alias("reference"), pl.col("value").cast(pl.String), "rows")


def in_month(inputs: RuleInputs) -> CheckResult:
    """The time of every row lies in the month of its file. So keys with the time in them can be checked by month."""
    column = str(inputs.definition.time)
    begins, ends = (
        pl.lit(day).cast(lake_schema(inputs.definition.table)[column])
        for day in (first_day(inputs.month), day_after(inputs.month))
    )
    outside = inputs.rows.filter((pl.col(column) < begins) | (pl.col(column) >= ends))
    return check_result(
        "in_month", outside, f"every {column} lies in its file's month", f"rows with a {column} in another month"
    )


def of_its_assignment(inputs: RuleInputs) -> CheckResult:
    """Batch, container and stage of a row equal those of its assignment, and its day lies in the assignment."""
    assignment, days, day = str(assignment_column(inputs.definition)), by_day(inputs), pl.col("date")
    shared = [name for name in SHARED_COLUMNS if name in days.columns]
    covered = pl.col("last").dt.month_start() if inputs.definition.covers_month else pl.col("last")
    keys = {name: pl.col(name) for name in (assignment, *shared)}
    groups = grouped(days, keys, pl.col("rows").sum(), day.min().alias("first"), day.max().alias("last"))
    differs = pl.any_horizontal(
        *(pl.col(name).ne_missing(pl.col(f"{name}_assigned")) for name in shared),
        pl.col("first") < pl.col("assignment_date"),
        covered > pl.col("departure_date").fill_null(inputs.farm.as_of),
    )
    assigned = inputs.whole(ASSIGNMENTS).select(
        pl.col("id").alias(assignment), "assignment_date", "departure_date", *shared
    )
    wrong = groups.join(assigned, on=assignment, suffix="_assigned").filter(differs).sort(assignment)
    agreement = f"{', '.join((*shared, 'day'))} as in the assignment"
    return check_result("of_its_assignment", wrong, agreement, "groups of rows that do not fit their assignment")


def gaps(inputs: RuleInputs) -> CheckResult:
    """On each of its days, every assignment has exactly the rows that are due, at the times that are due."""
    days = by_day(inputs)
    off_schedule = pl.col("off_schedule") if "off_schedule" in days.columns else pl.lit(0, pl.Int64)
    keys = {"assignment_id": pl.col(str(assignment_column(inputs.definition))), "date": pl.col("date")}
    counted = grouped(days, keys, pl.col("rows").sum(), off_schedule.sum().alias("off_schedule"))
    assert inputs.definition.rows_due is not None
    due = inputs.definition.rows_due(inputs)
    wrong = (
        due.join(counted.lazy(), on=["assignment_id", "date"], how="full", coalesce=True)
        .with_columns(pl.col("rows", "due", "off_schedule").fill_null(0))
        .filter((pl.col("rows") != pl.col("due")) | (pl.col("off_schedule") > 0))
        .sort("date", "assignment_id")
        .collect()
    )
    return check_result(
        "gaps",
        wrong,
        "every day has the rows that are due, at the times that are due",
        "days of an assignment with missing, extra or mistimed rows",
    )


def fresh(inputs: RuleInputs) -> CheckResult:
    """The table's last row is not older than the last day on which the table's fish lived, less its silent days."""
    definition, until = inputs.definition, inputs.farm.as_of
    assert definition.freshness is not None
    if inputs.chosen is not None and inputs.last_month not in inputs.chosen:
        return CheckResult("fresh", passed=True, detail="this run does not make the farm's last month")
    stages = pl.col("stage") > (1 if definition.freshness.fed else 0)
    days = assignment_days(inputs, all_time=True).filter(stages)
    last_lived, lived = days.select(pl.col("date").max(), days=pl.col("date").n_unique()).collect().row(0)
    slack = definition.freshness.silent_days
    if lived <= slack or not definition.freshness.wanted(inputs.farm):
        return CheckResult("fresh", passed=True, detail="nothing is due yet")
    due = last_lived - timedelta(days=slack)
    months = [month for month in inputs.months(definition.name) if month >= month_key(due)]
    if inputs.chosen is not None and month_key(due) not in {*months, *inputs.chosen}:
        detail = f"the month of {due} is not built, and this run does not make it"
        return CheckResult("fresh", passed=True, detail=detail)
    time = pl.col(str(definition.time)).max().cast(pl.Date)
    last = inputs.scan(definition.name, months).select(time).collect().item() if months else None
    late = last is None or last < due
    behind = pl.DataFrame({"last_row": [last], "due": [due], "as_of": [until]}) if late else pl.DataFrame()
    ends = f"has no row since {due}" if last is None else f"ends on {last}"
    return check_result("fresh", behind, f"reaches to {last}", f"{ends}, but the farm reaches to {until}")


@dataclass(frozen=True)
class CommonRule:
    """A rule for several tables.

    Attributes:
        applies: Whether a table has the rule.
        made: Makes the table's own rule, which says what it reads.
    """

    applies: Callable[[TableDefinition], bool]
    made: Callable[[TableDefinition], Rule]


def _always(definition: TableDefinition) -> bool:
    return True


def _parents(definition: TableDefinition) -> tuple[str, ...]:
    """The tables that `foreign_keys` reads."""
    ahead = references_ahead(definition.table)
    parents = [parent for column, (parent, _) in references(definition.table).items() if column not in ahead]
    return tuple(dict.fromkeys([*parents, *(name for name, _, _ in referring_ahead(definition.table))]))


def _common(
    rule: Rule,
    applies: Callable[[TableDefinition], bool] = _always,
    reads: Callable[[TableDefinition], tuple[str, ...]] = lambda definition: (),
) -> CommonRule:
    return CommonRule(applies, lambda definition: replace(rule, reads=reads(definition)))


def _checked_elsewhere(inputs: RuleInputs) -> CheckResult:
    raise AssertionError("the runner compares volumes and runs the expectations itself")


SCHEMA = Rule(
    "schema",
    "Columns have the definition's names, order and types.",
    "Other checks could not read the table.",
    schema,
)
KEYS = Rule("keys", "Primary key and unique constraints are unique, and keys are not null.", REFUSED, keys)
VOLUME = Rule(
    "volume",
    "The table has exactly the rows that the plan predicts, or that follow from the simulated life.",
    MISLEADING,
    _checked_elsewhere,
    once=True,
)
EXPECTATIONS = Rule(
    "expectations",
    "The table's Great Expectations suite passes, on its rows or on its monthly profile.",
    REFUSED,
    _checked_elsewhere,
    once=True,
)
COMMON_RULES = (
    _common(SCHEMA),
    _common(KEYS),
    _common(
        Rule(
            "values",
            "No required value is null, every value lies in its declared range, and no number is NaN or infinite.",
            REFUSED,
            values,
        )
    ),
    _common(Rule("foreign_keys", "Every reference to another table resolves.", REFUSED, foreign_keys), reads=_parents),
    _common(VOLUME, lambda definition: not isinstance(definition.expected, Unpredictable)),
    _common(EXPECTATIONS),
    _common(
        Rule(
            "in_month",
            "The time of every row lies in the month of its file.",
            "Reloading a month would not replace the row.",
            in_month,
        ),
        lambda definition: definition.is_monthly,
    ),
    _common(
        Rule(
            "of_its_assignment",
            "Batch, container, stage and day of a row agree with the row's assignment.",
            MISLEADING,
            of_its_assignment,
        ),
        lambda definition: definition.is_monthly and assignment_column(definition) is not None,
        lambda definition: (ASSIGNMENTS,),
    ),
    _common(
        Rule(
            "gaps",
            "On each of its days, every assignment has the rows that are due, at the hours that are due.",
            MISLEADING,
            gaps,
        ),
        lambda definition: definition.rows_due is not None,
        lambda definition: (ASSIGNMENTS, *definition.reads),
    ),
    _common(
        Rule(
            "fresh",
            "The table reaches to the farm's last day.",
            "Users would take a farm without recent data for a closed one.",
            fresh,
            once=True,
        ),
        lambda definition: definition.freshness is not None,
        lambda definition: (ASSIGNMENTS,),
    ),
)

__all__ = ["COMMON_RULES", "EXPECTATIONS", "KEYS", "SCHEMA", "VOLUME", "assignment_column"]
