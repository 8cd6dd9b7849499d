"""Rules that follow from a table's definition: each table has those that fit it, without naming them."""

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
from aquamind_pipeline.schema.frames import lake_schema, primary_key, references, unique_keys
from aquamind_pipeline.schema.grouping import all_different, grouped
from aquamind_pipeline.schema.rules import WHOLE, Rule, RuleInputs
from aquamind_pipeline.schema.standard_rules import ASSIGNMENTS, MISLEADING, REFUSED, assignment_days

SHARED_COLUMNS = ("batch_id", "container_id", "lifecycle_stage_id")
"""Columns that a row has in common with its assignment."""


def assignment_column(definition: TableDefinition) -> str | None:
    """The column that says which assignment a row belongs to."""
    targets = references(definition.table).items()
    return next((column for column, (parent, _) in targets if parent == ASSIGNMENTS), None)


def schema(inputs: RuleInputs) -> CheckResult:
    """The lake's columns have the definition's names, order and types."""
    wanted, given = lake_schema(inputs.definition.table), inputs.rows.schema
    wrong = [
        {"column": name, "expected": str(wanted.get(name)), "found": str(given.get(name))}
        for name in dict.fromkeys([*wanted, *given])
        if wanted.get(name) != given.get(name)
    ]
    if not wrong and list(wanted) != list(given):
        wrong = [{"column": "(order)", "expected": ", ".join(wanted), "found": ", ".join(given)}]
    detail = f"{len(wanted)} columns as defined" if not wrong else f"{len(wrong)} columns differ from the definition"
    return CheckResult("schema", not wrong, len(wrong), detail, pl.DataFrame(wrong))


def keys(inputs: RuleInputs) -> CheckResult:
    """The primary key and every unique constraint are unique, and the key is never null.

    Only partitioning puts the time into a key. The id is unique without it: Django takes the id for the key.
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
        detail = f"repeated: {repeated or 'none'}; null keys: {nulls}"
    sample = pl.DataFrame({"key": list(repeated), "repeated": list(repeated.values())})
    return CheckResult("keys", wrong == 0, wrong, detail, sample)


def _unique(rows: pl.DataFrame, columns: tuple[str, ...]) -> int:
    if len(columns) > 1:
        return int(rows.select(pl.struct(columns).n_unique()).item())
    column = rows[columns[0]]
    return rows.height if column.dtype.is_integer() and all_different(column) else column.n_unique()


def values(inputs: RuleInputs) -> CheckResult:
    """No null where the definition has NOT NULL, and no value outside a column's declared range."""
    table, rows = inputs.definition.table, inputs.rows.lazy()
    tests: dict[str, pl.Expr] = {}
    for name in lake_schema(table):
        column = table.columns[name]
        if not column.nullable:
            tests[f"{name} is null"] = pl.col(name).is_null()
        low, high = column.info.get("range", (None, None))
        if low is not None:
            tests[f"{name} < {low}"] = pl.col(name) < _literal(low)
        if high is not None:
            tests[f"{name} > {high}"] = pl.col(name) > _literal(high)
    if not tests:
        return CheckResult("values", passed=True, detail="nothing declared")
    counts = rows.select(test.sum().alias(name) for name, test in tests.items()).collect()
    broken = {name: int(count or 0) for name, count in counts.row(0, named=True).items() if count}
    if not broken:
        return CheckResult("values", passed=True, detail=f"{len(tests)} declarations hold")
    sample = rows.filter(pl.any_horizontal(tests[name] for name in broken)).head(SAMPLE_ROWS).collect()
    detail = "; ".join(f"{test}: {count:,} rows" for test, count in broken.items())
    return CheckResult("values", passed=False, wrong=sum(broken.values()), detail=detail, sample=sample)


def _literal(bound: float) -> pl.Expr:
    return pl.lit(Decimal(str(bound))) if isinstance(bound, float) else pl.lit(bound)


def foreign_keys(inputs: RuleInputs) -> CheckResult:
    """Every reference to a table that has been made resolves. A child's parent must be in the child's own month."""
    definition, rows = inputs.definition, by_day(inputs).lazy()
    stored = set(lake_schema(definition.table))
    orphans: list[pl.DataFrame] = []
    resolved = []
    for column, (parent, key) in references(definition.table).items():
        if column not in stored or not inputs.is_there(parent):
            continue
        resolved.append(f"{column} → {parent}")
        same_month = inputs.month != WHOLE and parent == definition.parent.table
        targets = inputs.scan(parent, [inputs.month] if same_month else None)
        value = pl.col(column).alias("value")
        used = rows.group_by(value).agg(pl.col("rows").sum()).filter(pl.col("value").is_not_null())
        missing = used.join(targets.select(pl.col(key).alias("value")), on="value", how="anti").collect()
        reference = pl.lit(f"{column} → {parent}").alias("reference")
        orphans.append(missing.select(reference, pl.col("value").cast(pl.String), "rows"))
    lost = pl.concat(orphans) if orphans else pl.DataFrame()
    wrong = int(lost["rows"].sum()) if lost.height else 0
    detail = f"{len(resolved)} references resolve" if not wrong else f"{wrong:,} rows refer to nothing"
    return CheckResult("foreign_keys", wrong == 0, wrong, detail, lost.head(SAMPLE_ROWS))


def in_month(inputs: RuleInputs) -> CheckResult:
    """Every row of a month's file happened in that month, so keys that hold the time may be checked month by month."""
    column = str(inputs.definition.time)
    begins, ends = (
        pl.lit(day).cast(lake_schema(inputs.definition.table)[column])
        for day in (first_day(inputs.month), day_after(inputs.month))
    )
    outside = inputs.rows.filter((pl.col(column) < begins) | (pl.col(column) >= ends))
    return check_result("in_month", outside, f"every {column} lies in its month", f"rows whose {column} lies elsewhere")


def of_its_assignment(inputs: RuleInputs) -> CheckResult:
    """Batch, container, stage and day of a row are those of the assignment that it refers to."""
    assignment, days, day = str(assignment_column(inputs.definition)), by_day(inputs), pl.col("date")
    shared = [name for name in SHARED_COLUMNS if name in days.columns]
    keys = {name: pl.col(name) for name in (assignment, *shared)}
    groups = grouped(days, keys, pl.col("rows").sum(), day.min().alias("first"), day.max().alias("last"))
    differs = pl.any_horizontal(
        *(pl.col(name).ne_missing(pl.col(f"{name}_assigned")) for name in shared),
        pl.col("first") < pl.col("assignment_date"),
        pl.col("last") > pl.col("departure_date").fill_null(inputs.farm.as_of),
    )
    assigned = inputs.whole(ASSIGNMENTS).select(
        pl.col("id").alias(assignment), "assignment_date", "departure_date", *shared
    )
    wrong = groups.join(assigned, on=assignment, suffix="_assigned").filter(differs).sort(assignment)
    held = f"{', '.join((*shared, 'day'))} as in the assignment"
    return check_result("of_its_assignment", wrong, held, "groups of rows that do not fit their assignment")


def gaps(inputs: RuleInputs) -> CheckResult:
    """Every assignment has on each of its days just the rows that are due, at the times at which they are due."""
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
        "gaps", wrong, "no day too few, too many or off schedule", "days of an assignment with other rows than due"
    )


def fresh(inputs: RuleInputs) -> CheckResult:
    """The last row is as young as the last day on which fish lived that the table is about."""
    definition, until = inputs.definition, inputs.farm.as_of
    assert definition.freshness is not None
    if inputs.chosen is not None and inputs.last_month not in inputs.chosen:
        return CheckResult("fresh", passed=True, detail="the farm's last month is not of this run")
    stages = pl.col("stage") > (1 if definition.freshness.fed else 0)
    days = assignment_days(inputs, all_time=True).filter(stages)
    last_lived, lived = days.select(pl.col("date").max(), days=pl.col("date").n_unique()).collect().row(0)
    slack = definition.freshness.silent_days
    if lived <= slack or not definition.freshness.wanted(inputs.farm):
        return CheckResult("fresh", passed=True, detail="nothing is due yet")
    due = last_lived - timedelta(days=slack)
    months = [month for month in inputs.months(definition.name) if month >= month_key(due)]
    if inputs.chosen is not None and month_key(due) not in {*months, *inputs.chosen}:
        return CheckResult("fresh", passed=True, detail=f"the month of {due} is not built, and not of this run")
    time = pl.col(str(definition.time)).max().cast(pl.Date)
    last = inputs.scan(definition.name, months).select(time).collect().item() if months else None
    late = last is None or last < due
    behind = pl.DataFrame({"last_row": [last], "due": [due], "as_of": [until]}) if late else pl.DataFrame()
    return check_result("fresh", behind, f"reaches to {last}", f"ends on {last}, though the farm reaches to {until}")


@dataclass(frozen=True)
class CommonRule:
    """A rule for every table that it applies to; `made` gives the table's own version of it, with what it reads."""

    applies: Callable[[TableDefinition], bool]
    made: Callable[[TableDefinition], Rule]


def _always(definition: TableDefinition) -> bool:
    return True


def _parents(definition: TableDefinition) -> tuple[str, ...]:
    return tuple(dict.fromkeys(parent for parent, _ in references(definition.table).values()))


def _common(
    rule: Rule,
    applies: Callable[[TableDefinition], bool] = _always,
    reads: Callable[[TableDefinition], tuple[str, ...]] = lambda definition: (),
) -> CommonRule:
    return CommonRule(applies, lambda definition: replace(rule, reads=reads(definition)))


def _checked_elsewhere(inputs: RuleInputs) -> CheckResult:
    raise AssertionError("the runner compares volumes and runs the expectations itself")


SCHEMA = Rule(
    "schema", "Columns have the definition's names, order and types.", "Nothing else can be read otherwise.", schema
)
VOLUME = Rule(
    "volume",
    "Exactly as many rows as the plan predicts by formula, or as life had events.",
    MISLEADING,
    _checked_elsewhere,
    once=True,
)
EXPECTATIONS = Rule(
    "expectations",
    "Great Expectations: the table's suite, row by row or on its monthly profile.",
    REFUSED,
    _checked_elsewhere,
    once=True,
)
COMMON_RULES = (
    _common(SCHEMA),
    _common(Rule("keys", "Primary key and unique constraints are unique and not null.", REFUSED, keys)),
    _common(Rule("values", "No null and no value outside the range that the definition declares.", REFUSED, values)),
    _common(Rule("foreign_keys", "Every reference to another table resolves.", REFUSED, foreign_keys), reads=_parents),
    _common(VOLUME, lambda definition: not isinstance(definition.expected, Unpredictable)),
    _common(EXPECTATIONS),
    _common(
        Rule(
            "in_month",
            "Every row of a month's file happened in that month.",
            "Reloading a month would miss it.",
            in_month,
        ),
        lambda definition: definition.is_monthly,
    ),
    _common(
        Rule(
            "of_its_assignment",
            "Batch, container, stage and day of a row are those of the assignment it refers to.",
            MISLEADING,
            of_its_assignment,
        ),
        lambda definition: definition.is_monthly and assignment_column(definition) is not None,
        lambda definition: (ASSIGNMENTS,),
    ),
    _common(
        Rule(
            "gaps",
            "Every assignment has on each of its days the rows it should have, at the hours it should.",
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
            "A stale farm looks like a dead one.",
            fresh,
            once=True,
        ),
        lambda definition: definition.freshness is not None,
        lambda definition: (ASSIGNMENTS,),
    ),
)

__all__ = ["COMMON_RULES", "EXPECTATIONS", "SCHEMA", "VOLUME", "assignment_column"]
